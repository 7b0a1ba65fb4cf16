"""Tiny files in the forms of the public traces."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.4799600,3180,8
2023-11-16 18:19:04.9799600,110,27
"""
DIGITISED = """minute,req_per_min_mid_rescaled,req_per_min_lo,req_per_min_hi
0.00,60.0,50,70
4.00,180.0,100,200
8.00,60.0,50,70
"""
SERVEGEN = """t_s,rate_rps,active_clients,rate_weighted_client_cv
600,1.5,43,2.1
1200,2.5,40,1.4
1800,0.0,0,1.0
"""
MOONCAKE = "".join(
    json.dumps({"timestamp": at, "input_length": size, "output_length": 5, "hash_ids": [0, at]}) + "\n"
    for at, size in ((0, 6758), (0, 7322), (61_500, 12))
)
BURSTGPT = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45.5,ChatGPT,1087,0,1087,API log
118,GPT-4,417,276,693,Conversation log
"""
COUNTS = "3 0 2\n\n5\n0 0\n"


def functions(*rows: tuple[str, int, int]) -> str:
    """Rows of function, day and what each minute of it has; minute 7 has ten more."""
    header = "func,day," + ",".join(str(minute) for minute in range(1440))
    lines = [
        f"{name},{day}," + ",".join(str(count + 10 * (minute == 7)) for minute in range(1440))
        for name, day, count in rows
    ]
    return "\n".join([header, *lines, ""])


def write_all(directory: Path) -> Path:
    """A file of each form, in folders, among others that are no traces."""
    texts = {
        "azure/AzureLLMInferenceTrace_code.csv": AZURE,
        "azure/azure_llm_2024_conv.csv": DIGITISED,
        "servegen/m-tiny-aggregate-days1.csv": SERVEGEN,
        "conversation_trace.jsonl": MOONCAKE,
        "BurstGPT_1.csv": BURSTGPT,
        "per_second.counts": COUNTS,
        "README.md": "# Not a trace\n",
        "prices.csv": "model,dollars\nbig,3\n",
        "sizes.json": "{}",
        "others.jsonl": '{"a": 1}\n',
    }
    for name, text in texts.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    packed = directory / "azure_functions_2019_two.csv.gz"
    packed.write_bytes(
        gzip.compress(functions(("aaaabbbbccccdddd", 2, 0), ("aaaabbbbccccdddd", 1, 6), ("e", 4, 0)).encode())
    )
    return directory

"""The report of the measurements, from its summary. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(summary: Mapping[str, Any]) -> str:
    """The report; a model that was not measured is left out."""
    lines = [f"# {summary['gpu']}", "", f"Driver {summary['driver']}, PyTorch {summary['torch']}."]
    if encoder := summary.get("encoder"):
        fit, most = encoder["fit"], encoder["capacity"]
        lines += [
            "",
            f"## Dynamic batches: an encoder, inputs of {encoder['input_tokens']} tokens",
            "",
            f"T(b) = {_ms(fit['fixed'])} + {_ms(fit['per_item'])} · b, off by {fit['error']:.0%} at most. "
            f"Capacity: {most['per_second']:.0f} inputs/s in batches of {most['batch']}.",
            "",
            *_table(
                ("batch", "time", "inputs/s"),
                [
                    (batch, _ms(taken), f"{batch / taken:.0f}")
                    for batch, taken in zip(encoder["batches"], encoder["seconds"], strict=True)
                ],
            ),
            *_served(encoder, "latency"),
        ]
    if decoder := summary.get("decoder"):
        fit, reading = decoder["fit"], decoder["prompt_fit"]
        lines += [
            "",
            "## Continuous batches: a language model",
            "",
            f"Step: {_ms(fit['fixed'])} + {_ms(fit['per_sequence'])} · b + {1e6 * fit['per_token']:.3f} µs · tokens in "
            f"the cache, off by {fit['error']:.0%} at most. Prompt: {_ms(reading['fixed'])} + "
            f"{_ms(reading['per_item'])} · tokens, off by {reading['error']:.0%} at most. "
            f"Capacity: {decoder['answers_per_second']:.1f} answers/s of {decoder['answer_tokens']:.0f} tokens.",
            "",
            *_table(
                ("batch", "context", "time of a step"),
                [
                    (batch, context, _ms(taken))
                    for batch, context, taken in zip(
                        decoder["batches"], decoder["contexts"], decoder["seconds"], strict=True
                    )
                ],
            ),
            *_served(decoder, "time to first token"),
        ]
    if start := summary.get("start"):
        lines += _starts(start)
    return "\n".join(lines) + "\n"


def _served(model: Mapping[str, Any], latency: str) -> list[str]:
    busy = model["load_at_95_percent_busy"]
    written = any(one["per_token"] is not None for one in model["served"])
    last = ("time per token",) if written else ("simulated: slower than that median", "than that p99")
    return [
        "",
        "The GPU calls itself 95% busy "
        + (f"from {busy:.0%} of capacity on." if busy is not None else "at none of these loads."),
        "",
        *_table(
            (
                *("load", "GPU utilization", "a batch ran", "simulated", "mean batch", "simulated"),
                *(f"{latency}, median", "p99", *last),
            ),
            [
                (
                    f"{one['load']:.0%}",
                    f"{one['utilization']:.0%}",
                    f"{one['running']:.1%}",
                    f"{pod['running']:.1%}",
                    f"{one['batch']:.1f}",
                    f"{pod['batch']:.1f}",
                    _ms(one["median"]),
                    _ms(one["p99"]),
                    *(
                        (_ms(one["per_token"]),)
                        if written
                        else (f"{pod['above_median']:.0%}", f"{pod['above_p99']:.1%}")
                    ),
                )
                for one, pod in zip(model["served"], model["simulated"], strict=True)
            ],
        ),
    ]


def _starts(start: Mapping[str, Any]) -> list[str]:
    stages = list(start["started"][0]["stages"])
    return [
        "",
        f"## Starts: {start['bytes'] / 1e9:.1f} GB of weights from a file",
        "",
        *_table(
            (
                "file",
                "at once",
                "starts",
                *(stage.replace("_", " ") for stage in stages),
                "median",
                "slowest",
            ),
            [
                (
                    {"cold": "on the disk", "warm": "in the page cache"}[one["weights"]],
                    one["at_once"],
                    one["starts"],
                    *(f"{one['stages'][stage]:.1f} s" for stage in stages),
                    f"{one['total']:.1f} s",
                    f"{one['slowest']:.1f} s",
                )
                for one in start["started"]
            ],
        ),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---:|' * len(head)}",
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
    ]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:z.2f} ms"

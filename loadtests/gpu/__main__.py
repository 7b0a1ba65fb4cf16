"""`PYTHON -m loadtests.gpu`: measure on an NVIDIA GPU what a model of one must tell.

Needs PyTorch, nvidia-ml-py and numpy, which are not among the locked dependencies: use an environment that has them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtests.gpu.curves import as_json, batch_time, busy_at, capacity, step_time
from loadtests.gpu.report import markdown
from loadtests.gpu.simulated import simulated
from loadtests.gpu.start import measured_starts
from localcluster.paths import this_python

BATCHES = (1, 2, 4, 8, 16, 32, 64)
INPUT_TOKENS = 512
ENCODER_LIMIT_SECONDS = 0.1
CONTEXTS = (256, 1024, 4096)
PROMPTS = (128, 512, 2048, 8192)
CONTEXT = 1024
PROMPT = 512
ANSWER_TOKENS = 100.0
LOADS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)
BUSY = 0.95


def main(argv: list[str] | None = None) -> int:
    """Measure, and write report and summary. Exit status 2 where there is no GPU or no PyTorch, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m loadtests.gpu", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the arrivals (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/gpu"), help="where the files go")
    options = parser.parse_args(argv)
    try:
        import pynvml
        import torch
    except ImportError as error:
        print(f"{error.name} is missing: use a Python that has PyTorch and nvidia-ml-py", file=sys.stderr)
        return 2
    if not torch.cuda.is_available():
        print("PyTorch finds no NVIDIA GPU here", file=sys.stderr)
        return 2
    pynvml.nvmlInit()
    began = time.monotonic()
    summary: dict[str, Any] = {
        "gpu": torch.cuda.get_device_name(),
        "driver": pynvml.nvmlSystemGetDriverVersion(),
        "torch": torch.__version__,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        for name, measured in (("encoder", encoder), ("decoder", decoder)):
            summary[name] = measured(options.seconds, options.seed)
            summary[name]["simulated"] = [asdict(one) for one in simulated(name, summary[name])]
            torch.cuda.empty_cache()
            _write(options.out, summary)
        summary["start"] = measured_starts(_say)
    except KeyboardInterrupt:
        print("interrupted; what was measured is written", file=sys.stderr)
        return 130
    summary["seconds"] = round(time.monotonic() - began, 1)
    _write(options.out, summary)
    print(markdown(summary))
    return 0


def encoder(seconds: float, seed: int) -> dict[str, Any]:
    """Whole inputs in dynamic batches."""
    from loadtests.gpu.model import ENCODER, Encoder, seconds_of
    from loadtests.gpu.serve import serve_batches

    model = Encoder(ENCODER, INPUT_TOKENS)
    graphs = {batch: model.graph(batch) for batch in BATCHES}
    times = [seconds_of(graphs[batch]) for batch in BATCHES]
    most = capacity(BATCHES, times, ENCODER_LIMIT_SECONDS)
    if most is None:
        raise SystemExit(f"no batch ends within {ENCODER_LIMIT_SECONDS} s: this GPU is too slow for it")
    _say(f"encoder: {most.per_second:.0f} inputs/s in batches of {most.batch}")
    used = {batch: graph for batch, graph in graphs.items() if batch <= most.batch}
    served = []
    for load in LOADS:
        served.append(serve_batches(used, load, most.per_second, seconds, seed))
        _say(f"  {load:.0%} of it: GPU says {served[-1].utilization:.0%}, p99 {served[-1].p99:.4f} s")
    return {
        "load_seconds": seconds,
        "seed": seed,
        "input_tokens": INPUT_TOKENS,
        "batches": list(BATCHES),
        "seconds": times,
        "fit": as_json(batch_time(BATCHES, times)),
        "capacity": as_json(most),
        "served": [asdict(one) for one in served],
        "load_at_95_percent_busy": busy_at(LOADS, [one.utilization for one in served], BUSY),
    }


def decoder(seconds: float, seed: int) -> dict[str, Any]:
    """Answers token by token in continuous batches."""
    from loadtests.gpu.model import DECODER, Decoder, seconds_of
    from loadtests.gpu.serve import serve_tokens

    model = Decoder(DECODER, max(BATCHES) * max(CONTEXTS))
    points = [(batch, context) for context in CONTEXTS for batch in BATCHES]
    steps = {point: model.step(*point) for point in points}
    times = [seconds_of(steps[point]) for point in points]
    prefills = {tokens: model.prefill(tokens) for tokens in PROMPTS}
    prompt_times = [seconds_of(prefills[tokens]) for tokens in PROMPTS]
    used = {batch: steps[batch, CONTEXT] for batch in BATCHES}
    of_step = dict(zip(points, times, strict=True))
    per_answer = (
        prompt_times[PROMPTS.index(PROMPT)] + ANSWER_TOKENS * of_step[BATCHES[-1], CONTEXT] / BATCHES[-1]
    )
    _say(f"decoder: {1 / per_answer:.1f} answers/s of {ANSWER_TOKENS:.0f} tokens")
    served = []
    for load in LOADS:
        served.append(
            serve_tokens(used, prefills[PROMPT], ANSWER_TOKENS, load, 1 / per_answer, seconds, seed)
        )
        _say(f"  {load:.0%} of it: GPU says {served[-1].utilization:.0%}, {served[-1].batch:.1f} at a time")
    return {
        "load_seconds": seconds,
        "seed": seed,
        "batches": [batch for batch, _ in points],
        "contexts": [context for _, context in points],
        "seconds": times,
        "fit": as_json(step_time([b for b, _ in points], [b * c for b, c in points], times)),
        "prompts": list(PROMPTS),
        "prompt_seconds": prompt_times,
        "prompt_fit": as_json(batch_time(PROMPTS, prompt_times)),
        "prompt_tokens": PROMPT,
        "context_tokens": CONTEXT,
        "answer_tokens": ANSWER_TOKENS,
        "answers_per_second": 1 / per_answer,
        "served": [asdict(one) for one in served],
        "load_at_95_percent_busy": busy_at(LOADS, [one.utilization for one in served], BUSY),
    }


def _write(out: Path, summary: dict[str, Any]) -> None:
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    (out / "report.md").write_text(markdown(summary))


def _say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())

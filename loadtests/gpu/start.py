"""`PYTHON -m loadtests.gpu.start FILE SPAWNED`: start as a model server does, say when each stage was over, end.

Run by `measured_starts`, each start in a process of its own, because what a process keeps (the CUDA context, the kernels
it has chosen) is what a start has to make.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

STAGES = ("imports", "context", "weights", "graphs", "first_answer")
BATCHES = (1, 2, 4, 8, 16, 32, 64)
CONTEXT = 1024
PROMPT = 512


@dataclass(frozen=True)
class Started:
    """Starts under one condition: medians in seconds, stage by stage, and of the whole up to the first answer."""

    weights: str
    """Where the file was: `cold` on the disk alone, `warm` in the page cache."""
    at_once: int
    starts: int
    stages: dict[str, float]
    total: float
    slowest: float
    """Of these starts, the longest."""


def measured_starts(say: Callable[[str], None]) -> dict[str, Any]:
    """Start a language model from a file: one by one from the disk and from the page cache, and four at once."""
    from safetensors.torch import save_file

    from loadtests.gpu.model import DECODER, random_weights

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        tensors = {
            f"{layer}.{name}": tensor.cpu()
            for layer in range(DECODER.layers)
            for name, tensor in random_weights(DECODER, gated=True).items()
        }
        save_file(tensors, path)
        del tensors
        say(f"start: {path.stat().st_size / 1e9:.1f} GB of weights are written")
        found = []
        for weights, at_once, times in (("cold", 1, 3), ("warm", 1, 3), ("cold", 4, 1)):
            seen: list[dict[str, float]] = []
            for _ in range(times):
                if weights == "cold":
                    _forget(path)
                seen += _starts(path, at_once)
            found.append(started(weights, at_once, seen))
            say(f"  {weights}, {at_once} at once: {found[-1].total:.1f} s")
        return {"bytes": path.stat().st_size, "started": [vars(one) for one in found]}


def started(weights: str, at_once: int, seen: Sequence[dict[str, float]]) -> Started:
    """Medians of starts that each say when a stage was over, in seconds after they were begun."""
    ends = [[0.0, *(one[stage] for stage in STAGES)] for one in seen]
    taken = [[after - before for before, after in pairwise(each)] for each in ends]
    totals = [each[-1] for each in ends]
    return Started(
        weights,
        at_once,
        len(seen),
        {stage: statistics.median(each[at] for each in taken) for at, stage in enumerate(STAGES)},
        statistics.median(totals),
        max(totals),
    )


def _forget(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _starts(path: Path, at_once: int) -> list[dict[str, float]]:
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "loadtests.gpu.start", str(path), str(time.monotonic())],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(at_once)
    ]
    answers = [one.communicate()[0] for one in running]
    if any(one.returncode for one in running):
        raise SystemExit("a start failed; what it said is above")
    return [json.loads(answer) for answer in answers]


def main(path: str, spawned: float) -> None:
    """Start, and print when each stage was over, in seconds after the process was spawned."""
    over: dict[str, float] = {}

    def done(stage: str) -> None:
        over[stage] = time.monotonic() - spawned

    import torch
    from safetensors.torch import load_file

    from loadtests.gpu.model import DECODER, DEVICE, Decoder

    done("imports")
    torch.zeros(1, device=DEVICE)
    torch.cuda.synchronize()
    done("context")
    flat = load_file(path, device=DEVICE)
    torch.cuda.synchronize()
    layers: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in flat.items():
        layer, name = key.split(".")
        layers.setdefault(int(layer), {})[name] = tensor
    done("weights")
    model = Decoder(DECODER, max(BATCHES) * CONTEXT, layers)
    steps = [model.step(batch, CONTEXT) for batch in BATCHES]
    done("graphs")
    prefill = model.prefill(PROMPT)
    prefill()
    steps[0]()
    torch.cuda.synchronize()
    done("first_answer")
    print(json.dumps(over))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))

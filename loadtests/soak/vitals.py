"""What operator and autoscaler take: memory, files and tasks, and whether it grows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from loadtests.scale.program import total

METRICS: Final[Mapping[str, str]] = {
    "rss_mebibytes": "process_resident_memory_bytes",
    "files": "process_open_fds",
    "tasks": "asyncio_tasks",
}
_UNITS: Final[Mapping[str, float]] = {"rss_mebibytes": 1 / 2**20}
SLACK: Final[Mapping[str, float]] = {"rss_mebibytes": 10.0, "files": 8.0, "tasks": 8.0}
"""What may come and go with what is under way."""
GROWTH: Final = 1.1
"""Of the median of the middle third that of the last may be so many times as much, besides."""
FEWEST: Final = 9
"""Samples of one process from which its growth is told."""


@dataclass(frozen=True)
class Vital:
    """One process at one moment."""

    at_seconds: float
    program: str
    process: str
    """Its start: another one is another process."""
    values: Mapping[str, float]
    """By the names of METRICS."""


def vital(program: str, page: str, at_seconds: float) -> Vital:
    """Read a page of metrics."""
    values = {name: total(page, metric) * _UNITS.get(name, 1.0) for name, metric in METRICS.items()}
    return Vital(at_seconds, program, f"{total(page, 'process_start_time_seconds'):.2f}", values)


def growth(vitals: Sequence[Vital], program: str) -> dict[str, object] | None:
    """Return how the program's last process has grown: medians of the middle and of the last third of its samples.

    The first third is left out, in which a process has yet to see everything once. None of too few samples.
    """
    own = [one for one in vitals if one.program == program]
    own = [one for one in own if one.process == own[-1].process]
    if len(own) < FEWEST:
        return None
    third = len(own) // 3
    middle, last = own[third : 2 * third], own[-third:]
    figures: dict[str, object] = {
        "seconds": round(own[-1].at_seconds - own[0].at_seconds),
        "samples": len(own),
    }
    leaks = []
    for name in METRICS:
        before, after = (median(one.values[name] for one in part) for part in (middle, last))
        figures[name] = [round(before, 1), round(after, 1)]
        if after > GROWTH * before + SLACK[name]:
            leaks.append(name)
    return figures | {"leaks": leaks}

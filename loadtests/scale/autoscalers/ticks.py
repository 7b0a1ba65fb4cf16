"""What the autoscaler's log says of its ticks: pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

PARTS: Final = ("objects", "signals", "decide")
"""To know the objects of the API, to ask Prometheus and read its answers, to decide and to build the writes."""
WRITES, HISTORY = "writes", "history"
_TICK = re.compile(
    r"tick of (?P<targets>\d+) targets: (?P<questions>\d+) questions, (?P<scalings>\d+) scalings, "
    r"(?P<statuses>\d+) statuses; (?P<parts>.*)"
)
_PART = re.compile(r"(\w+) ([\d.]+) s of CPU in ([\d.]+) s")


@dataclass(frozen=True)
class Tick:
    """One tick. Seconds by part."""

    targets: int
    questions: int
    scalings: int
    statuses: int
    cpu: Mapping[str, float]
    wall: Mapping[str, float]

    @property
    def cpu_seconds(self) -> float:
        """Of the autoscaler, until the writes were built."""
        return sum(self.cpu[part] for part in PARTS)

    @property
    def seconds_to_last_write(self) -> float:
        """Since its begin."""
        return sum(self.wall[part] for part in (*PARTS, WRITES))


def ticks_in(lines: Iterable[str]) -> list[Tick]:
    """Return the ticks that these lines of the log tell of."""
    found = []
    for line in lines:
        if match := _TICK.search(line):
            parts = [(name, float(cpu), float(wall)) for name, cpu, wall in _PART.findall(match["parts"])]
            found.append(
                Tick(
                    targets=int(match["targets"]),
                    questions=int(match["questions"]),
                    scalings=int(match["scalings"]),
                    statuses=int(match["statuses"]),
                    cpu={name: cpu for name, cpu, _ in parts},
                    wall={name: wall for name, _, wall in parts},
                )
            )
    return found


def figures(ticks: Sequence[Tick]) -> dict[str, Any]:
    """Return the medians of some ticks, and the most of what is bounded."""
    return {
        "ticks": len(ticks),
        "autoscalers": ticks[-1].targets,
        "cpu_seconds": round(median(tick.cpu_seconds for tick in ticks), 3),
        "cpu_seconds_most": round(max(tick.cpu_seconds for tick in ticks), 3),
        "cpu_parts": {
            part: round(median(tick.cpu[part] for tick in ticks), 3) for part in (*PARTS, WRITES, HISTORY)
        },
        "seconds_to_last_write": round(median(tick.seconds_to_last_write for tick in ticks), 2),
        "seconds_to_last_write_most": round(max(tick.seconds_to_last_write for tick in ticks), 2),
        "signals_seconds": round(median(tick.wall["signals"] for tick in ticks), 2),
        "queries_most": max(tick.questions for tick in ticks),
        "scalings": round(median(tick.scalings for tick in ticks)),
        "statuses": round(median(tick.statuses for tick in ticks)),
    }

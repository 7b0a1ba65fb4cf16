"""What is aimed at, for 1,000 services on a small machine, and what of it was met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_STORM_SECONDS = 60.0
MOST_CHILDREN_SECONDS = 2.0
MOST_RESTART_SECONDS = 60.0
MOST_CORES = 0.05
MOST_MEBIBYTES = 300.0
MOST_RATIO = 2.0


@dataclass(frozen=True, slots=True)
class Target:
    """One figure of the summary, found at `path`, and the value that it must stay below or be."""

    name: str
    path: tuple[str, ...]
    wanted: str
    holds: Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A target beside what was measured."""

    name: str
    wanted: str
    measured: float
    met: bool


def below(limit: float) -> Callable[[float], bool]:
    """Return whether a value is below the limit."""
    return lambda value: value < limit


TARGETS = (
    Target(
        "storm at 50/s settled (s)",
        ("storm", "settled_seconds"),
        f"< {MOST_STORM_SECONDS:g}",
        below(MOST_STORM_SECONDS),
    ),
    Target(
        "children complete at 10/s, p99 (s)",
        ("arrivals", "children", "p99_seconds"),
        f"< {MOST_CHILDREN_SECONDS:g}",
        below(MOST_CHILDREN_SECONDS),
    ),
    Target(
        "restart converged (s)",
        ("restart", "converged_seconds"),
        f"< {MOST_RESTART_SECONDS:g}",
        below(MOST_RESTART_SECONDS),
    ),
    Target("writes of a restart", ("restart", "writes"), "0", lambda value: value == 0),
    Target("writes where nothing changes", ("quiet", "writes"), "0", lambda value: value == 0),
    Target(
        "operator where nothing changes (cores)",
        ("quiet", "cores", "operator"),
        f"< {MOST_CORES:g}",
        below(MOST_CORES),
    ),
    Target(
        "operator's memory at most (MiB)",
        ("quiet", "operator_peak_mebibytes"),
        f"< {MOST_MEBIBYTES:g}",
        below(MOST_MEBIBYTES),
    ),
    Target(
        "p99 delay beside a busy namespace / alone",
        ("neighbours", "p99_ratio"),
        f"< {MOST_RATIO:g}",
        below(MOST_RATIO),
    ),
)


def outcomes(measured: Mapping[str, Any], targets: Sequence[Target] = TARGETS) -> list[Outcome]:
    """Return each target whose figure was measured."""
    found = []
    for target in targets:
        value: Any = measured
        for key in target.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            found.append(Outcome(target.name, target.wanted, value, target.holds(value)))
    return found

"""The load of a turn, in replicas that would be busy all the time, and the order of turns. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.arrivals import RateChange
from loadtests.live.policies import POLICIES, Policy
from loadtests.profile import Profile

WORK: Sequence[tuple[float, float]] = (
    (60, 0.3),
    *((20, 0.3 + 0.1 * step) for step in range(1, 13)),
    (90, 1.5),
    (90, 0.6),
    (60, 1.8),
    (120, 0.4),
)
"""Seconds, and the work that arrives per second in seconds of one replica: a morning, a noon, and a surge without notice."""
TURN_SECONDS = sum(seconds for seconds, _ in WORK)


def profile(work_seconds: float) -> Profile:
    """Return the load where one request takes so much work: its amplitude follows the machine, its times do not."""
    changes, at_seconds = [], 0.0
    for seconds, work in WORK:
        changes.append(RateChange(at_seconds, round(work / work_seconds, 2)))
        at_seconds += seconds
    return Profile(tuple(changes), at_seconds)


def turns(rounds: int) -> list[Policy]:
    """Return who takes turns: everybody once a round, each round begun by the next, and ours twice in the first.

    The pair tells how far two turns of the same differ by the machine alone.
    """
    found: list[Policy] = []
    for number in range(rounds):
        first = number % len(POLICIES)
        found += [*POLICIES[first:], *POLICIES[:first]]
    return ["ours", *found] if found else []


LOW_WORK, HIGH_WORK = 0.3, 1.5
"""Before and after a step of which the reaction is timed: one replica has time to spare, and then falls behind."""

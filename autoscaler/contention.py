"""Whether more replicas do more: where all share what they call, each only becomes slower by them.

Told by the elasticity of the time of work in the number of replicas, ln(S / S') / ln(n / n'), between now and the latest
moment with a fifth fewer: 0 where each works as before, 1 where all together do no more. Work that is longer by itself
was so before the replicas came, and shows none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from autoscaler.values import changed

FEWER: Final = 0.8
"""Of the replicas: with at most so many of them there has to have been a moment, or nothing can be told."""
ELASTICITY: Final = 0.6
"""From which on more replicas are taken to be in vain."""
NOISE: Final = 2.0
"""Standard errors of the two means by which it has to be above."""
RELIEF: Final = 0.8
"""Of the time of work at which it was found: below it the cause is gone, as it is below the middle between that and what
the work took with fewer."""
REMEMBERED_SECONDS: Final = 300.0
STEP_SECONDS: Final = 15.0
"""Between two moments that are remembered."""
BELIEVED_SECONDS: Final = 1800.0
"""For which it is not tried again."""
SHARE, REPLICAS = 0.5, 2
"""Beyond the replicas that should do: the larger of both is added in vain at most."""


@dataclass(frozen=True)
class Moment:
    """Replicas and mean seconds of work, both over the fast window."""

    at: float
    ready: float
    work_seconds: float


@dataclass(frozen=True)
class Contention:
    """What is remembered of it."""

    moments: tuple[Moment, ...] = ()
    ready: float = 0.0
    """Mean of the ready replicas over about the fast window."""
    found_at: float | None = None
    found_seconds: float = 0.0
    """Mean time of work then."""
    enough: int = 0
    """Replicas that had done as much."""
    enough_seconds: float = 0.0
    """Mean time of work with these."""
    found_demand: float = 0.0
    """Requests per second that were asked for then."""

    def most(self, demand: float) -> int | None:
        """Replicas beyond which none is added at so many requests per second; None where nothing speaks against more.

        What was in vain at one demand says nothing of those that a clearly higher one takes: they are added in proportion.
        """
        if self.found_at is None:
            return None
        grown = demand / self.found_demand if self.found_demand > 0 else 1.0
        return most_in_vain(int(self.enough * grown) if grown * FEWER >= 1 else self.enough)

    def relieved(self, now: float, work_seconds: float = math.inf) -> Contention:
        """Let go of it once the work takes clearly less again, or after a while: then it is tried anew."""
        if self.found_at is None:
            return self
        middle = math.sqrt(self.enough_seconds * self.found_seconds)
        relief = max(RELIEF * self.found_seconds, middle)
        gone = work_seconds < relief or now - self.found_at > BELIEVED_SECONDS
        return changed(self, found_at=None) if gone else self

    def with_work(
        self,
        now: float,
        elapsed: float,
        ready: int,
        work_seconds: float,
        learned_seconds: float,
        requests: float,
        variability: float,
        window_seconds: float,
        demand: float,
    ) -> Contention:
        """Learn from the mean time of work of so many requests in the window of that length, at a demand in requests per second.

        `learned_seconds` is the mean in force.
        """
        weight = 1 - math.exp(-elapsed / window_seconds) if self.ready else 1.0
        mean = self.ready + weight * (ready - self.ready)
        found_at = self.relieved(now, max(work_seconds, learned_seconds)).found_at
        found: dict[str, Any] = {}
        if found_at is None:
            noise = NOISE * math.sqrt(2 * variability / requests) if requests > 0 else math.inf
            fewest = _did_as_much(self.moments, mean, work_seconds, noise)
            if fewest is not None:
                found_at = now
                found = {
                    "found_seconds": work_seconds,
                    "enough": round(fewest.ready),
                    "enough_seconds": fewest.work_seconds,
                    "found_demand": demand,
                }
        moments = self.moments
        if not moments or now - moments[-1].at >= STEP_SECONDS:
            kept = tuple(one for one in moments if now - one.at <= REMEMBERED_SECONDS)
            moments = (*kept, Moment(now, mean, work_seconds))
        return changed(self, moments=moments, ready=mean, found_at=found_at, **found)


def most_in_vain(enough: int) -> int:
    """Replicas beyond which none is added without a sign that it helps, where so many should do."""
    return enough + max(REPLICAS, math.ceil(SHARE * enough))


def _did_as_much(
    moments: tuple[Moment, ...], ready: float, work_seconds: float, noise: float
) -> Moment | None:
    """The moment with the fewest replicas that together did about as much; None unless the latest with fewer is one."""
    fewer = [one for one in moments if 0 < one.ready <= FEWER * ready]
    found = [
        one
        for one in fewer
        if math.log(work_seconds / one.work_seconds) - noise >= ELASTICITY * math.log(ready / one.ready)
    ]
    if not found or found[-1] is not fewer[-1]:
        return None
    return min(found, key=lambda one: one.ready)

"""When requests arrive: a schedule that knows nothing of answers.

A rate that changes over time is a constant rate on a stretched clock: an arrival falls due when the
rate, integrated since the last one, reaches the next gap (1 for even spacing, drawn from the unit
exponential distribution for Poisson arrivals).
"""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Literal

Spacing = Literal["even", "poisson"]


@dataclass(frozen=True, order=True)
class RateChange:
    """From `at_seconds` on, `rate_per_second` requests arrive each second."""

    at_seconds: float
    rate_per_second: float


class Arrivals:
    """Times of arrivals in seconds since the start, for a rate that may be changed while they are drawn."""

    def __init__(
        self, spacing: Spacing = "poisson", seed: int = 0, changes: Iterable[RateChange] = ()
    ) -> None:
        self._spacing = spacing
        self._random = random.Random(seed)
        self._changes = sorted(changes)
        self._now = 0.0
        self._rate = 0.0
        self._gap = self._draw() if spacing == "poisson" else 0.0

    @property
    def rate_per_second(self) -> float:
        """The rate in force at the last time asked for."""
        return self._rate

    def change(self, at_seconds: float, rate_per_second: float) -> None:
        """Plan a change of the rate; one in the past takes effect now."""
        insort(self._changes, RateChange(max(at_seconds, self._now), rate_per_second))

    def next_event(self) -> float:
        """Return when the next arrival or change of rate falls due, `inf` if nothing will ever happen."""
        return min(self._arrival(), self._changes[0].at_seconds if self._changes else inf)

    def due(self, now_seconds: float) -> list[float]:
        """Take the arrivals up to now, each with the time at which it was due."""
        taken = []
        while (event := self.next_event()) <= now_seconds:
            if self._changes and self._changes[0].at_seconds <= event:
                self._advance(self._changes[0].at_seconds)
                self._rate = self._changes.pop(0).rate_per_second
            else:
                self._now = event
                self._gap = self._draw()
                taken.append(event)
        self._advance(now_seconds)
        return taken

    def _arrival(self) -> float:
        return self._now + self._gap / self._rate if self._rate > 0 else inf

    def _advance(self, now_seconds: float) -> None:
        if now_seconds > self._now:
            self._gap = max(0.0, self._gap - (now_seconds - self._now) * self._rate)
            self._now = now_seconds

    def _draw(self) -> float:
        return self._random.expovariate(1.0) if self._spacing == "poisson" else 1.0

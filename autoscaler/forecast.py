"""Demand by the time that a pod started now is ready: the level, and a trend where it is more than noise."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Final

from autoscaler.values import changed

SURGE_DEVIATIONS: Final = 3.0
"""By so many standard deviations of a Poisson count the fast rate must exceed the slow one."""
SURGE_RATIO: Final = 1.08
"""And by this factor: of large numbers every deviation is significant, but not every one matters."""
OVERDISPERSION: Final = 1.5
"""Variance of real counts, relative to Poisson's."""
GROWTH_LIMIT: Final = 2.0
"""No forecast exceeds the level by more than this factor."""


@dataclass(frozen=True)
class Forecast:
    """Requests per second: now, and expected at the horizon."""

    level: float
    expected: float
    surge: bool = False


@dataclass(frozen=True)
class RateHistory:
    """Fast rates of the last minutes, as (time, requests per second), oldest first."""

    points: tuple[tuple[float, float], ...] = ()

    def with_rate(self, now: float, rate: float, keep_seconds: float) -> RateHistory:
        """Add the rate of this tick."""
        first, end = (bisect_left(self.points, (moment,)) for moment in (now - keep_seconds, now))
        return RateHistory((*self.points[first:end], (now, rate)))

    def rate_at(self, time: float) -> float | None:
        """The rate at the last point at or before `time`."""
        after = bisect_right(self.points, (time, math.inf))
        return self.points[after - 1][1] if after else None


def forecast(
    fast: float, base: float, history: RateHistory, now: float, fast_seconds: float, horizon_seconds: float
) -> Forecast:
    """What the two windows and the last minutes say about the demand `horizon_seconds` from now."""
    noise = math.sqrt(max(base, 0.2) * OVERDISPERSION / fast_seconds)
    surge = fast - base > SURGE_DEVIATIONS * noise and fast > SURGE_RATIO * base
    level = max(fast, base) if surge else base
    before = history.rate_at(now - fast_seconds)
    if not surge or before is None or fast - before <= SURGE_DEVIATIONS * math.sqrt(2) * noise:
        return Forecast(level, level, surge)
    slope = (fast - before) / fast_seconds
    # The fast rate is that of the middle of its window.
    ahead = fast + slope * (horizon_seconds + fast_seconds / 2)
    return Forecast(level, min(max(level, ahead), GROWTH_LIMIT * level), surge)


@dataclass(frozen=True)
class Held:
    """The highest value of the last hold, as the falling staircase of (time, value) that determines it."""

    steps: tuple[tuple[float, float], ...] = ()

    @property
    def highest(self) -> float | None:
        """The value in force."""
        return self.steps[0][1] if self.steps else None

    def with_value(self, now: float, value: float, hold_seconds: float) -> Held:
        """Add a value and let go of those older than the hold."""
        since = now - hold_seconds
        return Held((*[step for step in self.steps if step[0] >= since and step[1] > value], (now, value)))


@dataclass(frozen=True)
class Band:
    """A value that moves only when what it follows has left a band around it, so that noise decides nothing."""

    value: float | None = None

    def following(self, target: float, up: float, down: float) -> Band:
        """Take over `target` if it exceeds the value by the fraction `up`, or falls below it by `down`."""
        if self.value is None or target > self.value * (1 + up) or target < self.value * (1 - down):
            return changed(self, value=target)
        return self

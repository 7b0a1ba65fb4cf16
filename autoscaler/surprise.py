"""Demand that came faster than pods start, and how much of it must be stood by for.

Requests that come when more is asked than replicas were asked for one start time earlier are late, whatever is done
then. Which rates they came at is remembered for about a day: the least rate that must always be ready is the one above
which so few requests came by surprise that the objective bears it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoscaler.learn import EVIDENCE_HALF_LIFE_SECONDS, left_of_evidence
from autoscaler.values import changed

REMEMBERED_SECONDS: Final = EVIDENCE_HALF_LIFE_SECONDS / math.log(2)
"""As much as all of the fading past weighs."""
STEPS_PER_DOUBLING: Final = 8
LOWEST_DOUBLING, DOUBLINGS = -7, 24
"""Rates are told apart by a twelfth, from one request in two minutes on."""
SPARE: Final = 0.7
"""Replicas that are busy for a time a hold an objective with about a + sqrt(a): so much more is carried at once."""
SURPRISE_DEVIATIONS: Final = 3.0
"""And so many standard deviations of a count are chance."""
SURPRISE_SHARE: Final = 0.15
"""Of the allowed late fraction: what surprises may spend."""
FEWEST_TO_STAND_BY_FOR: Final = 1.0
"""Requests: of fewer that are left by the forgetting nothing is to be feared."""


@dataclass(frozen=True)
class Came:
    """Requests and the time in which they came, halved every day."""

    requests: float = 0.0
    seconds: float = 0.0

    def with_requests(self, requests: float, elapsed: float) -> Came:
        """Add what came in the last `elapsed` seconds."""
        kept = left_of_evidence(elapsed)
        return Came(self.requests * kept + requests, self.seconds * kept + elapsed)

    def bearable(self, late_allowed: float) -> float:
        """Requests that may come by surprise in the time that is remembered, as if all of it had been as what was seen.

        So a surprise in the first minutes is not taken for what every few minutes brings.
        """
        if self.seconds <= 0:
            return math.inf
        return SURPRISE_SHARE * late_allowed * self.requests / self.seconds * REMEMBERED_SECONDS


def carried(prepared: float, service_seconds: float) -> float:
    """The rate that replicas which hold the objective at `prepared` requests per second carry without overload."""
    if prepared <= 0:
        return 0.0
    return prepared * (1 + SPARE / math.sqrt(prepared * service_seconds))


def prepared(carried: float, service_seconds: float) -> float:
    """The rate to hold the objective at, so that `carried` requests per second are no overload: the inverse."""
    root = (math.sqrt(SPARE**2 + 4 * carried * service_seconds) - SPARE) / 2
    return root**2 / service_seconds


@dataclass(frozen=True, eq=False)
class Surprises:
    """Requests by the rate at which they came by surprise, halved every day."""

    steps: NDArray[np.float32] | None = None
    at: float = 0.0
    """When they were last written down."""

    def with_rate(
        self, now: float, rate: float, carried: float, counted_seconds: float, elapsed: float
    ) -> Surprises:
        """See `elapsed` seconds at `rate` requests per second, counted over a window, where `carried` could be."""
        noise = SURPRISE_DEVIATIONS * math.sqrt(carried / counted_seconds)
        if rate <= carried + noise:
            return self
        steps = self._faded(now)
        step = math.ceil(STEPS_PER_DOUBLING * (math.log2(rate) - LOWEST_DOUBLING))
        steps[min(max(step, 0), len(steps) - 1)] += rate * elapsed
        return changed(self, steps=steps, at=now)

    def stand_by(self, now: float, bearable: float) -> float:
        """The rate, in requests per second, above which no more requests than are bearable came; 0 if all are.

        It is the rate that must be carried.
        """
        if self.steps is None:
            return 0.0
        # All fade alike, so that of the quietest service a share would never be reached: less than a request is none.
        bearable = max(bearable, FEWEST_TO_STAND_BY_FOR)
        above = np.cumsum(self._faded(now)[::-1])
        place = int(np.searchsorted(above, bearable, side="right"))
        if place == len(above):
            return 0.0
        step = len(above) - 1 - place
        return float(2.0 ** (step / STEPS_PER_DOUBLING + LOWEST_DOUBLING))

    def _faded(self, now: float) -> NDArray[np.float32]:
        if self.steps is None:
            return np.zeros(STEPS_PER_DOUBLING * DOUBLINGS, dtype=np.float32)
        return np.asarray(self.steps * np.float32(left_of_evidence(now - self.at)))


NO_SURPRISES: Final = Surprises()

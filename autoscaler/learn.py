"""What is measured and kept: time of work per request, time to start a pod, interval of the scrapes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from autoscaler.capacity import PRIOR_VARIABILITY, service_time_tail
from autoscaler.values import changed

FEWEST_REQUESTS: Final = 20
"""Requests from which a mean counts as learned."""
EVIDENCE_REQUESTS: Final = 150.0
"""Requests that the mean remembers at least: a change is noticed within 200."""
TAIL_REQUESTS: Final = 4000.0
"""The same for the tail, which takes more."""
TAIL_REQUESTS_TO_BELIEVE: Final = 100.0
"""From so many on a tail counts as measured."""
EVIDENCE_SECONDS: Final = 60.0
"""Time that the mean remembers at least, where so many requests come faster."""
EVIDENCE_HALF_LIFE_SECONDS: Final = 86400.0
"""Without requests, evidence halves in a day: old knowledge gives way faster to new."""
FAILED_RATIO_LIMIT: Final = 0.2
"""Above it requests say nothing about the work: failing is often quick."""
PRIOR_REQUESTS: Final = 20.0
"""What the mean of another revision, or one from before a restart, weighs."""
PRIOR_PESSIMISM: Final = 1.2
"""A new revision is taken for costlier than the old one until it has shown otherwise."""

START_PRIOR_SECONDS: Final = 60.0
STARTS_KEPT: Final = 20
START_LIMIT_SECONDS: Final = 1800.0
"""A pod that takes longer is broken, and no measure of starting."""
HOLD_SECONDS: Final = (180.0, 600.0)

SCRAPE_PRIOR_SECONDS: Final = 15.0
SCRAPES_COUNTED: Final = 3
"""By so many must a new target's samples have grown: pods scraped at different moments blur fewer."""

_NARROWER, _WIDER = (0.15, 0.1, 0.05, 0.02, 0.01), (0.4, 0.6, 1.0, 1.6, 2.5)
"""Squared coefficients of variation to choose from, from the prior on."""


def left_of_evidence(elapsed_seconds: float) -> float:
    """The part of what was learned so long ago that still counts."""
    return float(0.5 ** (elapsed_seconds / EVIDENCE_HALF_LIFE_SECONDS))


@dataclass(frozen=True)
class ServiceTime:
    """Mean work per request with the number of requests behind it, and its tail beyond one bound."""

    mean_seconds: float | None = None
    evidence: float = 0.0
    observed: float = 0.0
    """Requests of this very revision since the start of this process, without forgetting."""
    bound_seconds: float | None = None
    beyond: float = 0.0
    """Fraction of the requests whose work took longer than the bound."""
    tail_evidence: float = 0.0

    @property
    def learned(self) -> bool:
        """Whether this revision's own requests suffice to size it."""
        return self.mean_seconds is not None and self.observed >= FEWEST_REQUESTS

    @property
    def cautious_seconds(self) -> float | None:
        """The mean plus its standard error: few requests are believed with a margin."""
        if self.mean_seconds is None:
            return None
        error = math.sqrt(PRIOR_VARIABILITY / max(self.evidence, 1.0))
        return self.mean_seconds * (1 + error)

    @property
    def tail_measured(self) -> bool:
        """Whether requests tell how much the work varies; else that is assumed."""
        return self.bound_seconds is not None and self.tail_evidence >= TAIL_REQUESTS_TO_BELIEVE

    @property
    def variability(self) -> float:
        """Squared coefficient of variation: the prior, moved where the tail beyond the bound refutes it."""
        if self.mean_seconds is None or self.bound_seconds is None or not self.tail_measured:
            return PRIOR_VARIABILITY
        error = 2 * math.sqrt(self.beyond * (1 - self.beyond) / self.tail_evidence)
        low, high = self.beyond - error, self.beyond + error + 3 / self.tail_evidence

        def tail(shape: float) -> float:
            return service_time_tail(bound, mean, shape)

        bound, mean = self.bound_seconds, self.mean_seconds
        prior = tail(PRIOR_VARIABILITY)
        if prior > high:
            return next((shape for shape in _NARROWER if tail(shape) <= high), _NARROWER[-1])
        if prior < low:
            return next((shape for shape in _WIDER if tail(shape) >= low), _WIDER[-1])
        return PRIOR_VARIABILITY

    def with_requests(self, mean_seconds: float, requests: float, elapsed_seconds: float) -> ServiceTime:
        """Add `requests` requests of that mean, seen in the last `elapsed_seconds`."""
        aged = self.evidence * left_of_evidence(elapsed_seconds)
        rate = requests / elapsed_seconds if elapsed_seconds > 0 else 0.0
        kept = min(aged, max(EVIDENCE_REQUESTS, rate * EVIDENCE_SECONDS))
        if self.mean_seconds is None:
            return changed(self, mean_seconds=mean_seconds, evidence=requests, observed=requests)
        mean = (self.mean_seconds * kept + mean_seconds * requests) / (kept + requests)
        return changed(self, mean_seconds=mean, evidence=kept + requests, observed=self.observed + requests)

    def with_tail(self, bound_seconds: float, beyond: float, requests: float) -> ServiceTime:
        """Add `requests` requests, of which the fraction `beyond` worked longer than the bound."""
        if bound_seconds != self.bound_seconds:
            return changed(self, bound_seconds=bound_seconds, beyond=beyond, tail_evidence=requests)
        kept = min(self.tail_evidence, TAIL_REQUESTS)
        mixed = (self.beyond * kept + beyond * requests) / (kept + requests)
        return changed(self, beyond=mixed, tail_evidence=kept + requests)

    @classmethod
    def prior(cls, mean_seconds: float | None, pessimism: float = 1.0) -> ServiceTime:
        """What somebody else measured: it weighs little, and is not learned."""
        if mean_seconds is None:
            return cls()
        return cls(mean_seconds=mean_seconds * pessimism, evidence=PRIOR_REQUESTS)


@dataclass(frozen=True)
class StartTime:
    """How long replicas take from the write of their number to Ready."""

    samples_seconds: tuple[float, ...] = ()
    rises: tuple[tuple[float, int], ...] = ()
    """When a number was written that is not Ready yet, and the number. Each rise of a ramp is a start of its own."""

    @property
    def seconds(self) -> float:
        """The ninth decile of what was measured lately."""
        if not self.samples_seconds:
            return START_PRIOR_SECONDS
        return sorted(self.samples_seconds)[math.ceil(0.9 * len(self.samples_seconds)) - 1]

    @property
    def measured(self) -> bool:
        """Whether any start was seen."""
        return bool(self.samples_seconds)

    def hold_seconds(self, stated: int | None) -> float:
        """For how long a higher need is held: an idle replica is kept about as long as a new one takes."""
        return (
            float(stated) if stated is not None else min(max(self.seconds, HOLD_SECONDS[0]), HOLD_SECONDS[1])
        )

    def with_replicas(self, wanted: int, before: int, ready: int, now: float) -> StartTime:
        """See the wanted number change from `before` to `wanted` with `ready` ready."""
        pending = [(at, to) for at, to in self.rises if to <= wanted and now - at <= START_LIMIT_SECONDS]
        samples = (now - at for at, to in pending if to <= ready)
        new = [(now, wanted)] if wanted > before else []
        rises = (*(rise for rise in pending if rise[1] > ready), *new)
        if rises == self.rises:
            return self
        return StartTime((*self.samples_seconds, *samples)[-STARTS_KEPT:], rises)

    def waiting_since(self, created: float, wanted: int) -> StartTime:
        """Take up a start that began with the creation of the Deployment."""
        return changed(self, rises=((created, wanted),))


@dataclass(frozen=True)
class FirstScrapes:
    """The samples of a new target's first minute, whose growth tells the interval long before the minute is full."""

    newest_at: float
    """Time of the newest sample when the target was first seen."""
    count: float
    """Samples of the minute before it."""

    def interval_seconds(self, newest_at: float, count: float) -> float | None:
        """The interval between scrapes; None while too few have come, or if the minute was full from the start."""
        more, seconds = count - self.count, newest_at - self.newest_at
        return seconds / more if more >= SCRAPES_COUNTED and seconds > 0 else None


def scrape_seconds(settled: Iterable[float], young: Iterable[float], before: float) -> float:
    """Scrape interval from the samples that settled targets got in the last minute: that of the slowest one.

    Without any, from the intervals in seconds that `young` targets prove: scrapes are at least as frequent.
    """
    if counts := [count for count in settled if count > 0]:
        return min(max(60 / min(counts), 1.0), 120.0)
    return min(before, max(min(young, default=before), 1.0))

"""The model of what did not happen: one Deployment's replicas and queue under the recorded demand.

Arrivals and the work of each are as recorded. Replicas serve one start time after they were asked for. While they keep
up, requests are late as the queueing model of the sizing has it; while they do not, a queue grows, and who would wait in
it beyond the threshold is late. Nobody waits for more than a minute: who would have to, has given up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np

from autoscaler.capacity import ROUTING_EFFICIENCY, Demand, late_fraction, sojourn_from_service_time

PATIENCE_SECONDS: Final = 60.0
"""For which a request waits at most."""
BUSIEST: Final = 0.9
"""Share of the capacity up to which the queueing model tells how many are late: it knows states that last, and beyond it they take
minutes. Of 0.8 to 0.95 it came nearest to the simulator on load that steps."""
GRID: Final = 100
"""Rates and times are told apart by a hundredth, so that the queueing model is asked seldom."""


@dataclass(frozen=True)
class Load:
    """What comes in an interval, and what holds for it."""

    rate: float
    """Requests per second."""
    service_seconds: float
    variability: float
    threshold_seconds: float


@dataclass(frozen=True)
class Span:
    """What became of an interval: rates in requests per second, requests, replicas."""

    at: float
    """Its end."""
    seconds: float
    arrived: float
    completed: float
    late_ratio: float
    in_flight: float
    queued: float
    busy_ratio: float
    sojourn_seconds: float
    ready: int


@dataclass(frozen=True)
class Deployment:
    """Replicas under one policy."""

    wanted: int
    ready: int
    starting: tuple[float, ...] = ()
    """When those that start become ready."""
    queue: float = 0.0
    """Requests beyond those that are worked on."""
    now: float = 0.0

    def scaled(self, wanted: int, start_seconds: float) -> Deployment:
        """Ask for so many: new ones take their time; superfluous ones go at once, those that start first."""
        more = wanted - self.wanted
        if more >= 0:
            starting = (*self.starting, *(self.now + start_seconds for _ in range(more)))
            return replace(self, wanted=wanted, starting=starting)
        kept = max(len(self.starting) + more, 0)
        gone = -more - (len(self.starting) - kept)
        return replace(self, wanted=wanted, starting=self.starting[:kept], ready=max(self.ready - gone, 0))

    def advanced(self, until: float, load: Load) -> tuple[Deployment, Span]:
        """Let the time pass under a load."""
        seconds = until - self.now
        ready = self.ready + sum(at <= until for at in self.starting)
        capacity = ready / load.service_seconds
        queue = max(self.queue + (load.rate - capacity) * seconds, 0.0)
        completed = load.rate + (self.queue - queue) / seconds
        queue = min(queue, PATIENCE_SECONDS * max(capacity, load.rate))
        late = _waiting_too_long(self.queue, queue, capacity, load)
        sojourn, working = load.service_seconds, min(load.rate * load.service_seconds, float(ready))
        if ready > 0:
            steady_late, sojourn = _steady(ready, load)
            late = late + (1 - late) * steady_late
        sojourn += queue / capacity if capacity else PATIENCE_SECONDS
        in_flight = queue + working
        if not queue:
            in_flight = max(in_flight, load.rate * sojourn)
        after = replace(
            self,
            ready=ready,
            starting=tuple(at for at in self.starting if at > until),
            queue=queue,
            now=until,
        )
        busy = min(completed / capacity, 1.0) if capacity else 0.0
        return after, Span(until, seconds, load.rate, completed, late, in_flight, queue, busy, sojourn, ready)


@dataclass(frozen=True)
class Recent:
    """The last spans, the newest at the end: what windows are made of."""

    spans: tuple[Span, ...] = ()

    def with_span(self, span: Span, keep_seconds: float) -> Recent:
        """Add a span and let go of those that are older."""
        return Recent((*(one for one in self.spans if one.at > span.at - keep_seconds), span))

    def over(self, seconds: float) -> Sequence[Span]:
        """The spans of a window; at least the newest."""
        if not self.spans:
            return ()
        return [one for one in self.spans if one.at > self.spans[-1].at - seconds]


def mean(spans: Sequence[Span], name: str) -> float:
    """Average over time of one number of the spans; 0 without any."""
    total = sum(span.seconds for span in spans)
    return sum(getattr(span, name) * span.seconds for span in spans) / total if total else 0.0


def late_share(spans: Sequence[Span]) -> float:
    """Late fraction of all that arrived."""
    arrived = sum(span.arrived * span.seconds for span in spans)
    late = sum(span.late_ratio * span.arrived * span.seconds for span in spans)
    return late / arrived if arrived else 0.0


def _waiting_too_long(before: float, after: float, capacity: float, load: Load) -> float:
    """Part of the interval in which who arrives waits too long; the queue's length goes straight from one to the other."""
    if load.rate <= 0:
        return 0.0
    limit = capacity * max(load.threshold_seconds - load.service_seconds, 0.0)
    low, high = min(before, after), max(before, after)
    if high <= limit:
        return 0.0
    return 1.0 if low >= limit else (high - limit) / (high - low)


def _steady(ready: int, load: Load) -> tuple[float, float]:
    """Late fraction and mean time of a request, as they settle; of a rate that cannot be carried, as at the busiest."""
    most = BUSIEST * ready / load.service_seconds * (ROUTING_EFFICIENCY if ready > 1 else 1.0)
    return _settled(
        ready,
        _step(min(load.rate, most)),
        _step(load.service_seconds),
        load.variability,
        load.threshold_seconds,
    )


@lru_cache(maxsize=50_000)
def _settled(
    ready: int, rate_step: int, service_step: int, variability: float, threshold_seconds: float
) -> tuple[float, float]:
    rate, service = np.array([_value(rate_step)]), np.array([_value(service_step)])
    spread, replicas = np.array([variability]), np.array([ready])
    demand = Demand(service, spread, np.array([threshold_seconds]), np.array([0.01]))
    late = float(late_fraction(replicas, rate, demand)[0])
    return late, float(sojourn_from_service_time(service, rate, replicas, spread)[0])


def _step(value: float) -> int:
    return round(GRID * math.log(max(value, 1e-6)))


def _value(step: int) -> float:
    return math.exp(step / GRID)

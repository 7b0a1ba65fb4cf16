"""NVIDIA Dynamo's planner for one kind of engine: the throughput loop with two predictors, and the load loop.

Sources: dynamo throughput_scaling.py, load_scaling.py, predictors.py, defaults.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from autoscaler.forecast import Held
from autoscaler.peers.signals import PodLoad, Replicas, Signals


@dataclass(frozen=True)
class Trend:
    """Kalman filter of a local linear trend, one interval ahead of the last value."""

    level: float
    slope: float = 0.0
    level_variance: float = 1000.0
    covariance: float = 0.0
    slope_variance: float = 1000.0

    def updated(self, value: float, noise: float) -> Trend:
        """The filter after a value of this variance was seen."""
        level_gain = self.level_variance / (self.level_variance + noise)
        slope_gain = self.covariance / (self.level_variance + noise)
        surprise = value - self.level
        return Trend(
            self.level + level_gain * surprise,
            self.slope + slope_gain * surprise,
            (1 - level_gain) * self.level_variance,
            (1 - level_gain) * self.covariance,
            self.slope_variance - slope_gain * self.covariance,
        )

    def ahead(self, level_drift: float, slope_drift: float) -> Trend:
        """The filter one interval later, before the next value is seen."""
        return Trend(
            self.level + self.slope,
            self.slope,
            self.level_variance + 2 * self.covariance + self.slope_variance + level_drift,
            self.covariance + self.slope_variance,
            self.slope_variance + slope_drift,
        )


@dataclass(frozen=True)
class ThroughputState:
    """What the predictor knows of the requests of each interval, and the hold."""

    trend: Trend | None = None
    """None until the first request: the idle time before it is no history."""
    held: Held = field(default_factory=Held)


@dataclass(frozen=True)
class DynamoThroughput:
    """Replicas for the requests predicted for the next interval, each engine run at its limit."""

    service_seconds: float
    """True mean work of a request."""
    target: float = 1.0
    """Busy share at which an engine just keeps its latency, so that it serves target / service_seconds."""
    hold_seconds: float = 0.0
    """The planner has no hold."""
    min_replicas: int = 1
    max_replicas: int = 8
    predictor: Literal["constant", "kalman"] = "constant"
    level_drift: float = 1.0
    slope_drift: float = 0.1
    noise: float = 10.0
    """Variances of the Kalman filter, in squared requests of an interval."""
    period_seconds: float = 180.0

    def initial(self) -> ThroughputState:
        """No history."""
        return ThroughputState()

    def decide(
        self, signals: Signals, replicas: Replicas, state: ThroughputState, now: float
    ) -> tuple[int, ThroughputState]:
        """Replicas wanted from now on."""
        requests = signals.arrivals_per_second(self.period_seconds) * self.period_seconds
        trend = self._observed(state.trend, requests)
        predicted = 0.0 if trend is None else trend.level
        engine_rate = self.target / self.service_seconds
        asked = math.ceil(predicted / self.period_seconds / engine_rate)
        desired = min(max(asked, self.min_replicas), self.max_replicas)
        held = state.held.with_value(now, desired, self.hold_seconds)
        return int(held.highest or 0), ThroughputState(trend, held)

    def _observed(self, trend: Trend | None, requests: float) -> Trend | None:
        if not math.isfinite(requests):
            requests = 0.0
        if trend is None and requests == 0:
            return None
        if self.predictor == "constant":
            return Trend(requests)
        known = Trend(requests) if trend is None else trend.updated(requests, self.noise)
        return known.ahead(self.level_drift, self.slope_drift)


@dataclass(frozen=True)
class LoadState:
    """The hold, and what the throughput loop last asked for."""

    held: Held = field(default_factory=Held)
    throughput: ThroughputState = field(default_factory=ThroughputState)
    floor: int = 0
    floor_at: float | None = None


@dataclass(frozen=True)
class DynamoLoad:
    """One engine more while all are predicted to be late, one fewer where the others would stay well below."""

    sla_seconds: float
    """Latency of the next request that each engine shall keep."""
    service_seconds: float
    """True mean work of a request; the next one waits for those queued at its engine."""
    hold_seconds: float = 0.0
    """The planner has no hold."""
    min_replicas: int = 1
    max_replicas: int = 8
    sensitivity: float = 0.8
    """Share of the waiting that the SLA allows which may be used after an engine is removed."""
    throughput: DynamoThroughput | None = None
    """A throughput loop whose answers are the floor."""
    period_seconds: float = 5.0

    def initial(self) -> LoadState:
        """No history."""
        return LoadState()

    def decide(
        self, signals: Signals, replicas: Replicas, state: LoadState, now: float
    ) -> tuple[int, LoadState]:
        """Replicas wanted from now on."""
        floor, floor_at, inner = state.floor, state.floor_at, state.throughput
        loop = self.throughput
        if loop is not None and (floor_at is None or now - floor_at >= loop.period_seconds):
            floor, inner = loop.decide(signals, replicas, inner, now)
            floor_at = now
        desired = replicas.wanted
        pods = signals.per_pod(self.period_seconds)
        if replicas.starting == 0 and replicas.ready == replicas.wanted == len(pods):
            desired = max(desired + self.step(pods), floor)
        desired = min(max(desired, self.min_replicas), self.max_replicas)
        held = state.held.with_value(now, desired, self.hold_seconds)
        return int(held.highest or 0), LoadState(held, inner, floor, floor_at)

    def step(self, pods: Sequence[PodLoad]) -> int:
        """1, 0 or -1 replicas."""
        if not pods:
            return 0
        if all(self.service_seconds * (1 + pod.queued) > self.sla_seconds for pod in pods):
            return 1
        if len(pods) == 1:
            return 0
        more = len(pods) / (len(pods) - 1)
        budget = (self.sla_seconds - self.service_seconds) * self.sensitivity
        fits = all(
            self.service_seconds * pod.queued * more < budget and pod.kv_usage * more < 1 for pod in pods
        )
        return -1 if fits else 0

"""KEDA's Prometheus scaler on the request rate, the queue, or a latency quantile.

KEDA builds a HorizontalPodAutoscaler for one replica and more, and itself moves between none and one
(kedacore prometheus_scaler.go, scale_scaledobjects.go). A query without a value counts as 0, because
ignoreNullValues is true by default.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

from autoscaler.peers.horizontal import (
    Horizontal,
    HorizontalState,
    average_value_replicas,
    value_replicas,
)
from autoscaler.peers.signals import Replicas, Signals


@dataclass(frozen=True)
class KedaState:
    """State of the built HorizontalPodAutoscaler, and when the trigger was last active."""

    horizontal: HorizontalState = field(default_factory=HorizontalState)
    active_at: float | None = None


class _Proposal(Protocol):
    def __call__(self, usage: float, target: float, replicas: Replicas, tolerance: float) -> int: ...


@dataclass(frozen=True)
class _Keda(Horizontal):
    activation: float = 0.0
    """The trigger is active above this value of the query."""
    cooldown_seconds: float = 300.0
    """From the last activity to none."""

    def initial(self) -> KedaState:
        """Nothing recommended, never active."""
        return KedaState()

    def _answer(
        self, value: float, propose: _Proposal, replicas: Replicas, state: KedaState, now: float
    ) -> tuple[int, KedaState]:
        active = value > self.activation
        active_at = now if active else state.active_at
        if replicas.wanted == 0:
            return max(self.min_replicas, int(active)), KedaState(active_at=active_at)
        if self.min_replicas == 0 and (active_at is None or now - active_at >= self.cooldown_seconds):
            return 0, KedaState(active_at=active_at)
        proposal = propose(value, self.target, replicas, self.tolerance)
        built = replace(self, min_replicas=max(self.min_replicas, 1))
        desired, horizontal = built.settle(proposal, replicas.wanted, state.horizontal, now)
        return desired, KedaState(horizontal, active_at)


@dataclass(frozen=True)
class KedaRate(_Keda):
    """Trigger `sum(rate(requests))`, type AverageValue."""

    target: float
    """Requests per second for each replica."""
    window_seconds: float = 60.0
    """Four scrapes of 15 s."""

    def decide(
        self, signals: Signals, replicas: Replicas, state: KedaState, now: float
    ) -> tuple[int, KedaState]:
        """Replicas wanted from now on."""
        rate = signals.arrivals_per_second(self.window_seconds)
        return self._answer(rate, average_value_replicas, replicas, state, now)


@dataclass(frozen=True)
class KedaQueue(_Keda):
    """Trigger `sum(requests_waiting)`, type AverageValue."""

    target: float = 5.0
    """Requests waiting for each replica."""
    window_seconds: float = 15.0
    """A gauge is seen at its last scrape."""

    def decide(
        self, signals: Signals, replicas: Replicas, state: KedaState, now: float
    ) -> tuple[int, KedaState]:
        """Replicas wanted from now on."""
        waiting = signals.queued(self.window_seconds)
        return self._answer(waiting, average_value_replicas, replicas, state, now)


@dataclass(frozen=True)
class KedaLatency(_Keda):
    """Trigger `histogram_quantile(0.95, ...)` of type Value: proportional in what is not linear in replicas."""

    target: float
    """Seconds."""
    quantile: float = 0.95
    window_seconds: float = 60.0
    """Four scrapes of 15 s."""

    def decide(
        self, signals: Signals, replicas: Replicas, state: KedaState, now: float
    ) -> tuple[int, KedaState]:
        """Replicas wanted from now on."""
        latency = signals.latency_seconds(self.quantile, self.window_seconds)
        return self._answer(latency or 0.0, value_replicas, replicas, state, now)

"""HorizontalPodAutoscaler on CPU utilization, and on requests in flight for each replica."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.peers.horizontal import (
    Horizontal,
    HorizontalState,
    average_value_replicas,
    utilization_replicas,
)
from autoscaler.peers.signals import Replicas, Signals


@dataclass(frozen=True)
class HpaUtilization(Horizontal):
    """Resource metric, type Utilization (kubernetes replica_calculator.go, GetResourceReplicas)."""

    target: float = 0.80
    """Busy share of the ready pods, 0 to 1."""
    window_seconds: float = 15.0
    """Resolution of metrics-server."""

    def initial(self) -> HorizontalState:
        """Nothing recommended yet."""
        return HorizontalState()

    def decide(
        self, signals: Signals, replicas: Replicas, state: HorizontalState, now: float
    ) -> tuple[int, HorizontalState]:
        """Replicas wanted from now on."""
        busy = signals.busy_ratio(self.window_seconds)
        proposal = utilization_replicas(busy, self.target, replicas, self.tolerance)
        return self.settle(proposal, replicas.wanted, state, now)


@dataclass(frozen=True)
class HpaConcurrency(Horizontal):
    """Object metric, type AverageValue (kubernetes replica_calculator.go, GetObjectPerPodMetricReplicas)."""

    target: float = 1.0
    """Requests in flight for each replica."""
    window_seconds: float = 60.0
    """Four scrapes of 15 s."""

    def initial(self) -> HorizontalState:
        """Nothing recommended yet."""
        return HorizontalState()

    def decide(
        self, signals: Signals, replicas: Replicas, state: HorizontalState, now: float
    ) -> tuple[int, HorizontalState]:
        """Replicas wanted from now on."""
        usage = signals.in_flight(self.window_seconds)
        proposal = average_value_replicas(usage, self.target, replicas, self.tolerance)
        return self.settle(proposal, replicas.wanted, state, now)

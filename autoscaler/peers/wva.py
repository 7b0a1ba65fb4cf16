"""llm-d's Workload Variant Autoscaler for one variant: saturation v1 and v2, each behind an HPA.

Sources: llm-d saturation/analyzer.go (v1), saturation_v2/analyzer.go and cost_aware_optimizer.go (v2). The
desired replicas go out as a metric that a HorizontalPodAutoscaler follows, AverageValue 1, stabilised in both
directions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Final

from autoscaler.peers.horizontal import (
    Behavior,
    Horizontal,
    HorizontalState,
    RateLimit,
    average_value_replicas,
)
from autoscaler.peers.signals import PodLoad, Replicas, Signals

REMEMBERED_CAPACITIES: Final = 10
"""Observations of the compute-bound capacity that are averaged."""


@dataclass(frozen=True)
class WvaState:
    """What was emitted, the capacities seen under saturation, and the state of the HPA that follows."""

    desired: int | None = None
    capacities: tuple[float, ...] = ()
    horizontal: HorizontalState = field(default_factory=HorizontalState)


@dataclass(frozen=True)
class _Wva:
    target: float
    hold_seconds: float = 240.0
    """Stabilisation on the way down."""
    min_replicas: int = 1
    max_replicas: int = 100
    up_hold_seconds: float = 240.0
    """Stabilisation on the way up."""
    change_limit: int = 10
    """Pods that the HPA adds or removes in each 150 s."""
    tolerance: float = 0.0
    """The HPA's. Its default of 0.1 never follows one step at ten replicas or more, and v1 waits for it forever."""
    queue_threshold: float = 5.0
    """A pod with so many requests waiting is saturated."""
    window_seconds: float = 60.0
    period_seconds: float = 30.0

    def initial(self) -> WvaState:
        """Nothing emitted."""
        return WvaState()

    def _follow(
        self, desired: int, capacities: tuple[float, ...], replicas: Replicas, state: WvaState, now: float
    ) -> tuple[int, WvaState]:
        desired = min(max(desired, self.min_replicas), self.max_replicas)
        limit = (RateLimit("Pods", self.change_limit, 150.0),)
        follower = Horizontal(
            target=1.0,
            hold_seconds=self.hold_seconds,
            min_replicas=self.min_replicas,
            max_replicas=self.max_replicas,
            tolerance=self.tolerance,
            behavior=Behavior(self.up_hold_seconds, limit, limit),
        )
        proposal = average_value_replicas(desired, 1.0, replicas, self.tolerance)
        wanted, horizontal = follower.settle(proposal, replicas.wanted, state.horizontal, now)
        return wanted, WvaState(desired, capacities, horizontal)


@dataclass(frozen=True)
class WvaSaturation(_Wva):
    """v1: one replica more where the spare capacity runs out, one fewer where the others would keep theirs."""

    target: float = 0.80
    """A pod whose KV cache (or busy share) reaches this is saturated."""
    spare_kv: float = 0.1
    spare_queue: float = 3.0
    """Mean spare capacities of the pods not saturated, below which a replica is added."""

    def decide(
        self, signals: Signals, replicas: Replicas, state: WvaState, now: float
    ) -> tuple[int, WvaState]:
        """Replicas wanted from now on."""
        pods = signals.per_pod(self.window_seconds)
        current = replicas.wanted
        desired = current if state.desired is None else state.desired
        if desired == current == len(pods):
            desired = current + self.step(pods)
        return self._follow(desired, (), replicas, state, now)

    def step(self, pods: Sequence[PodLoad]) -> int:
        """1, 0 or -1 replicas."""
        free = [pod for pod in pods if pod.kv_usage < self.target and pod.queued < self.queue_threshold]
        if not self._spares(free, len(free)):
            return 1
        return -1 if len(free) >= 2 and self._spares(free, len(free) - 1) else 0

    def _spares(self, free: Sequence[PodLoad], carriers: int) -> bool:
        """Whether both spares hold with the load of the free pods on so many of them."""
        if carriers < 1:
            return False
        kv_usage = sum(pod.kv_usage for pod in free) / carriers
        queued = sum(pod.queued for pod in free) / carriers
        return self.target - kv_usage >= self.spare_kv and self.queue_threshold - queued >= self.spare_queue


@dataclass(frozen=True)
class WvaTokens(_Wva):
    """v2: tokens demanded against tokens that a replica holds, starting replicas included on the way up."""

    target: float = 0.85
    """Share of the capacity that the demand may take before replicas are added."""
    down_boundary: float = 0.70
    """Share that it must leave after replicas are removed."""
    kv_threshold: float = 0.80
    kv_tokens: float = 1.0
    """Tokens that one pod's KV cache holds; 1 measures everything in pods."""
    input_tokens: float = 1.0
    """Mean tokens that one waiting request brings."""
    output_tokens: float = 0.0
    batched_tokens: float = 0.0
    """Most tokens of one batch; 0 where unknown."""
    sequences: float = math.inf
    """Most sequences of one batch."""

    def decide(
        self, signals: Signals, replicas: Replicas, state: WvaState, now: float
    ) -> tuple[int, WvaState]:
        """Replicas wanted from now on."""
        pods = signals.per_pod(self.window_seconds)
        seen = [
            pod.kv_usage * self.kv_tokens
            for pod in pods
            if pod.queued >= self.queue_threshold and pod.kv_usage > 0
        ]
        capacities = (*state.capacities, *seen)[-REMEMBERED_CAPACITIES:]
        desired = replicas.wanted
        if pods:
            demand = sum(pod.kv_usage * self.kv_tokens + pod.queued * self.input_tokens for pod in pods)
            desired += self._step(demand, median(self._capacity(pod, capacities) for pod in pods), replicas)
        return self._follow(desired, capacities, replicas, state, now)

    def _step(self, demand: float, capacity: float, replicas: Replicas) -> int:
        required = demand / self.target - replicas.created * capacity
        if required > 0:
            return math.ceil(required / capacity)
        spare = replicas.ready * capacity - demand / self.down_boundary
        return -min(math.floor(max(spare, 0.0) / capacity), max(replicas.wanted - 1, 0))

    def _capacity(self, pod: PodLoad, capacities: Sequence[float]) -> float:
        """The lesser of the memory-bound and the compute-bound capacity: seen now, seen before, or derived."""
        memory_bound = self.kv_tokens * self.kv_threshold
        if pod.queued >= self.queue_threshold and pod.kv_usage > 0:
            return min(memory_bound, pod.kv_usage * self.kv_tokens)
        if capacities:
            return min(memory_bound, fmean(capacities))
        if self.batched_tokens > 0 and self.output_tokens > 0:
            tokens = self.input_tokens + self.output_tokens
            steady = min(self.batched_tokens * self.output_tokens / tokens, self.sequences)
            return min(memory_bound, steady * (self.input_tokens + self.output_tokens / 2))
        return memory_bound

"""Knative's pod autoscaler on concurrency, with its panic mode (knative autoscaler.go, config.go)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from autoscaler.forecast import Held
from autoscaler.peers.signals import Replicas, Signals


@dataclass(frozen=True)
class KpaState:
    """Panic, the delay on the way down, and the wait before none."""

    begun: bool = False
    panic_at: float | None = None
    """When the panic threshold was last exceeded; None outside panic."""
    panic_replicas: int = 0
    """Highest number asked for in this panic."""
    held: Held = field(default_factory=Held)
    zero_since: float | None = None


@dataclass(frozen=True)
class Kpa:
    """Requests in flight over two windows, against a target for each replica."""

    target: float = 70.0
    """Requests in flight for each replica: 70% of the concurrency of 100 that is assumed without a limit."""
    hold_seconds: float = 0.0
    """Knative's scale-down-delay."""
    min_replicas: int = 1
    max_replicas: int = 100
    stable_seconds: float = 60.0
    panic_seconds: float = 6.0
    panic_threshold: float = 2.0
    """Panic begins where the panic window asks for so many times the ready replicas."""
    max_scale_up: float = 1000.0
    max_scale_down: float = 2.0
    activation_scale: int = 1
    grace_seconds: float = 30.0
    """From asking for none to none."""
    period_seconds: float = 2.0

    def initial(self) -> KpaState:
        """An autoscaler that just started: it begins in panic if it finds several ready replicas."""
        return KpaState()

    def decide(
        self, signals: Signals, replicas: Replicas, state: KpaState, now: float
    ) -> tuple[int, KpaState]:
        """Replicas wanted from now on."""
        if not state.begun:
            restarted = replicas.ready > 1
            state = KpaState(True, now if restarted else None, replicas.ready)
        ready = max(1, replicas.ready)
        stable = math.ceil(signals.in_flight(self.stable_seconds) / self.target)
        panic = math.ceil(signals.in_flight(self.panic_seconds) / self.target)
        state = self._panicking(state, panic / ready >= self.panic_threshold, now)
        desired = self._stepped(stable, ready)
        if state.panic_at is not None:
            desired = max(desired, self._stepped(panic, ready), state.panic_replicas)
            state = replace(state, panic_replicas=desired)
        held = state.held.with_value(now, desired, self.hold_seconds)
        desired = int(held.highest or 0)
        zero_since = None if desired > 0 else now if state.zero_since is None else state.zero_since
        if zero_since is not None and replicas.wanted > 0 and now - zero_since < self.grace_seconds:
            desired = 1
        desired = min(max(desired, self.min_replicas), self.max_replicas)
        return desired, replace(state, held=held, zero_since=zero_since)

    def _stepped(self, asked: int, ready: int) -> int:
        """Between half and a thousand times the ready replicas, and what an activation needs at least."""
        stepped = min(
            max(asked, math.floor(ready / self.max_scale_down)), math.ceil(self.max_scale_up * ready)
        )
        return max(stepped, self.activation_scale) if asked > 0 and self.activation_scale > 1 else stepped

    def _panicking(self, state: KpaState, over: bool, now: float) -> KpaState:
        """Every look above the threshold begins the stable window anew; below it, panic ends after one."""
        if over:
            return replace(state, panic_at=now)
        if state.panic_at is not None and state.panic_at + self.stable_seconds < now:
            return replace(state, panic_at=None, panic_replicas=0)
        return state

"""AIBrix's pod autoscalers: its variant of KPA, and APA (aibrix algorithm/kpa.go, apa.go, context.go)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from autoscaler.forecast import Held
from autoscaler.peers.signals import Replicas, Signals


@dataclass(frozen=True)
class AibrixState:
    """Recommendations of the cooldown on the way down. Panic is not remembered from one look to the next."""

    held: Held = field(default_factory=Held)


@dataclass(frozen=True)
class _Aibrix:
    target: float = 10.0
    """Requests in flight for each replica."""
    hold_seconds: float = 300.0
    """AIBrix's cooldown on the way down; on the way up it has none."""
    min_replicas: int = 1
    max_replicas: int = 100
    tolerance: float = 0.1
    max_scale_up: float = 2.0
    max_scale_down: float = 2.0
    panic_seconds: float = 60.0
    period_seconds: float = 10.0

    def initial(self) -> AibrixState:
        """Nothing recommended."""
        return AibrixState()

    def _cooled(
        self, recommended: int, replicas: Replicas, state: AibrixState, now: float
    ) -> tuple[int, AibrixState]:
        recommended = min(max(recommended, self.min_replicas), self.max_replicas)
        held = state.held.with_value(now, recommended, self.hold_seconds)
        down = recommended < replicas.wanted
        return int(held.highest or 0) if down else recommended, AibrixState(held)

    def _tolerated(self, ratio: float) -> bool:
        return 1 - self.tolerance <= ratio <= 1 + self.tolerance


@dataclass(frozen=True)
class AibrixKpa(_Aibrix):
    """Two windows like Knative's, but panic compares them with each other, and ends as soon as they agree."""

    stable_seconds: float = 180.0
    panic_threshold: float = 2.0
    """Panic where the panic window exceeds the stable one by this factor, or the stable one is empty."""

    def decide(
        self, signals: Signals, replicas: Replicas, state: AibrixState, now: float
    ) -> tuple[int, AibrixState]:
        """Replicas wanted from now on."""
        stable = signals.in_flight(self.stable_seconds)
        panic = signals.in_flight(self.panic_seconds)
        panicking = stable <= 0 or panic / stable > self.panic_threshold
        current = replicas.wanted
        asked = self._stepped(stable, current)
        if panicking:
            asked = max(asked, self._stepped(panic, current))
        elif current > 0 and self._tolerated(stable / (self.target * current)):
            asked = current
        return self._cooled(asked, replicas, state, now)

    def _stepped(self, in_flight: float, current: int) -> int:
        most = max(1, math.ceil(self.max_scale_up * current))
        return min(max(math.ceil(in_flight / self.target), math.floor(current / self.max_scale_down)), most)


@dataclass(frozen=True)
class AibrixApa(_Aibrix):
    """In proportion to the load of each pod, at most double or half."""

    def decide(
        self, signals: Signals, replicas: Replicas, state: AibrixState, now: float
    ) -> tuple[int, AibrixState]:
        """Replicas wanted from now on."""
        current = replicas.wanted
        if replicas.ready < 1:
            return self._cooled(current, replicas, state, now)
        ratio = signals.in_flight(self.panic_seconds) / replicas.ready / self.target
        asked = current
        if ratio > 1 + self.tolerance:
            asked = min(math.ceil(current * ratio), math.ceil(self.max_scale_up * current))
        elif ratio < 1 - self.tolerance:
            asked = max(math.ceil(current * ratio), math.floor(current / self.max_scale_down))
        return self._cooled(asked, replicas, state, now)

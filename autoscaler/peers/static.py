"""A fixed number of replicas, as one provisions for the peak."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.peers.signals import Replicas, Signals


@dataclass(frozen=True)
class StaticState:
    """Nothing is remembered."""


@dataclass(frozen=True)
class Static:
    """As many replicas as `target`, always."""

    target: float
    """Replicas; fractions are rounded up."""
    hold_seconds: float = 0.0
    """Without effect: the number never falls."""
    min_replicas: int = 1
    max_replicas: int = 100
    period_seconds: float = 60.0

    def initial(self) -> StaticState:
        """Nothing to remember."""
        return StaticState()

    def decide(
        self, signals: Signals, replicas: Replicas, state: StaticState, now: float
    ) -> tuple[int, StaticState]:
        """The same as ever."""
        return min(max(-int(-self.target // 1), self.min_replicas), self.max_replicas), state

"""Signals that a test sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoscaler.peers.signals import PodLoad


@dataclass(frozen=True)
class Fixed:
    """The same answer for every window, or one for each where the test names the windows."""

    rate: float = 0.0
    flying: float | Mapping[float, float] = 0.0
    waiting: float = 0.0
    busy: float = 0.0
    latency: float | None = None
    pods: Sequence[PodLoad] = field(default_factory=tuple)

    def arrivals_per_second(self, window_seconds: float) -> float:
        """Requests per second."""
        return self.rate

    def in_flight(self, window_seconds: float) -> float:
        """Requests."""
        return self.flying[window_seconds] if isinstance(self.flying, Mapping) else self.flying

    def queued(self, window_seconds: float) -> float:
        """Requests."""
        return self.waiting

    def busy_ratio(self, window_seconds: float) -> float:
        """Share."""
        return self.busy

    def latency_seconds(self, quantile: float, window_seconds: float) -> float | None:
        """Seconds."""
        return self.latency

    def per_pod(self, window_seconds: float) -> Sequence[PodLoad]:
        """One for each ready pod."""
        return self.pods

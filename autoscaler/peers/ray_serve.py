"""Ray Serve's default policy on ongoing requests, with its delays (ray serve autoscaling_policy.py).

Ray counts looks of 0.1 s in a row; here the same delays are time, so that they hold however often somebody looks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from autoscaler.peers.signals import Replicas, Signals


@dataclass(frozen=True)
class RayServeState:
    """Since when each look asked for more (`direction` 1) or for fewer (-1); 0 after one that did not."""

    direction: int = 0
    since: float = 0.0


@dataclass(frozen=True)
class RayServe:
    """Ongoing requests for each running replica, acted upon once asked for throughout a delay."""

    target: float = 2.0
    """Ongoing requests for each replica, those waiting at handles included."""
    hold_seconds: float = 600.0
    """Ray's downscale_delay_s."""
    min_replicas: int = 1
    max_replicas: int = 100
    upscale_delay_seconds: float = 30.0
    look_back_seconds: float = 30.0
    upscaling_factor: float = 1.0
    downscaling_factor: float = 1.0
    period_seconds: float = 0.1

    def initial(self) -> RayServeState:
        """No look yet."""
        return RayServeState()

    def decide(
        self, signals: Signals, replicas: Replicas, state: RayServeState, now: float
    ) -> tuple[int, RayServeState]:
        """Replicas wanted from now on."""
        ongoing = signals.in_flight(self.look_back_seconds)
        if replicas.ready == 0:
            waking = math.ceil(self.upscaling_factor) if ongoing > 0 else 0
            return self._bounded(max(waking, replicas.wanted)), state
        error_ratio = ongoing / (self.target * replicas.ready)
        asked = self._bounded(self._factored(replicas.ready * error_ratio, replicas.ready))
        if asked == replicas.wanted:
            return replicas.wanted, RayServeState()
        direction = 1 if asked > replicas.wanted else -1
        since = state.since if state.direction == direction else now
        delay_seconds = self.upscale_delay_seconds if direction > 0 else self.hold_seconds
        if now - since < delay_seconds:
            return replicas.wanted, RayServeState(direction, since)
        return asked if direction > 0 or replicas.wanted == 1 else max(1, asked), RayServeState()

    def _factored(self, desired: float, running: int) -> int:
        """Part of the way, rounded up; one fewer where rounding up would never let a replica go."""
        factor = self.upscaling_factor if desired > running else self.downscaling_factor
        factored = math.ceil(running + factor * (desired - running))
        return factored - 1 if factored == running and math.ceil(desired) < running else factored

    def _bounded(self, replicas: int) -> int:
        return max(self.min_replicas, min(self.max_replicas, replicas))

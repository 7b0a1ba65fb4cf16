"""What an autoscaler may read at one moment, and the replicas that it decides about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Replicas:
    """Pods of one service: asked for, serving, and created but not yet serving."""

    wanted: int
    ready: int
    starting: int

    @property
    def created(self) -> int:
        """Pods that exist: a Deployment's `status.replicas`."""
        return self.ready + self.starting


@dataclass(frozen=True)
class PodLoad:
    """Highest values of one ready pod over a window."""

    kv_usage: float
    """Share of the KV cache in use, 0 to 1; the busy share for a service without one."""
    queued: float
    """Requests waiting inside the pod."""


class Signals(Protocol):
    """Measurements as a metrics pipeline delivers them, each over the `window_seconds` that end now."""

    def arrivals_per_second(self, window_seconds: float) -> float:
        """Mean rate of requests that arrived at the service."""
        ...

    def in_flight(self, window_seconds: float) -> float:
        """Time average of the requests running or waiting, summed over all pods and queues."""
        ...

    def queued(self, window_seconds: float) -> float:
        """Highest sum of the requests waiting."""
        ...

    def busy_ratio(self, window_seconds: float) -> float:
        """Mean busy share of the ready pods, 0 to 1; 0 without ready pods."""
        ...

    def latency_seconds(self, quantile: float, window_seconds: float) -> float | None:
        """Quantile of the response times; None without responses."""
        ...

    def per_pod(self, window_seconds: float) -> Sequence[PodLoad]:
        """One entry for each ready pod that delivers metrics."""
        ...

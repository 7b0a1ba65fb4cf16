"""Peers' policies on the model's replicas, with the settings that a user has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autoscaler.peers import Policy
from autoscaler.peers.signals import PodLoad, Replicas
from autoscaler.replay.model import Deployment, Recent, mean

TWO_SCRAPES_SECONDS = 30.0
"""Of counters that tell how busy pods are, two samples are needed."""


@dataclass(frozen=True)
class Modelled:
    """The model's numbers as a metrics pipeline tells them: satisfies the peers' `Signals`."""

    recent: Recent
    ready: int

    def arrivals_per_second(self, window_seconds: float) -> float:
        return mean(self.recent.over(window_seconds), "arrived")

    def in_flight(self, window_seconds: float) -> float:
        return mean(self.recent.over(window_seconds), "in_flight")

    def queued(self, window_seconds: float) -> float:
        return max((span.queued for span in self.recent.over(window_seconds)), default=0.0)

    def busy_ratio(self, window_seconds: float) -> float:
        return mean(self.recent.over(max(window_seconds, TWO_SCRAPES_SECONDS)), "busy_ratio")

    def latency_seconds(self, quantile: float, window_seconds: float) -> float | None:
        """Not told: the model knows means."""
        raise NotImplementedError("policies that read quantiles of latency cannot be replayed")

    def per_pod(self, window_seconds: float) -> Sequence[PodLoad]:
        load = PodLoad(self.busy_ratio(window_seconds), self.queued(window_seconds) / max(self.ready, 1))
        return [load] * self.ready


@dataclass(frozen=True)
class Rival:
    """One peer in charge of a Deployment."""

    policy: Policy
    state: Any
    due: float
    """When it decides next."""

    @classmethod
    def begun(cls, policy: Policy, now: float) -> Rival:
        """One that has just been started."""
        return cls(policy, policy.initial(), now)

    def decided(self, deployment: Deployment, recent: Recent, now: float) -> tuple[Rival, int]:
        """The replicas that it wants; those that it wanted where its period has not passed yet."""
        if now < self.due:
            return self, deployment.wanted
        replicas = Replicas(deployment.wanted, deployment.ready, len(deployment.starting))
        wanted, state = self.policy.decide(Modelled(recent, deployment.ready), replicas, self.state, now)
        return Rival(self.policy, state, now + self.policy.period_seconds), wanted

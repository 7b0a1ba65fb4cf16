"""Who else may set a simulated service's replicas: a peer's policy on the same scrapes, or a schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autoscaler.peers import Policy
from autoscaler.peers.signals import PodLoad, Replicas, Signals
from loadtests.simulator.scrapes import GPU_BUSY
from loadtests.simulator.service import Service
from loadtests.simulator.store import Floats, Targets, Window, averages, rates

ARRIVED = (
    "envoy_cluster_upstream_rq_total",
    "envoy_cluster_upstream_cx_none_healthy",
    "envoy_cluster_upstream_rq_pending_overflow",
)
ACTIVE = "envoy_cluster_upstream_rq_active"
WORKED = "model_infer_request_duration_sum"
WAITING = ("vllm:num_requests_waiting", "nv_inference_pending_request_count")
CACHE_USED = "vllm:kv_cache_usage_perc"


class Governor(Protocol):
    """Sets the replicas of one service now and then."""

    period_seconds: float

    def replicas(self, signals: Signals, replicas: Replicas, now: float) -> int:
        """How many there are to be from now on."""
        ...


@dataclass
class Peer:
    """A peer's policy. It decides as often as there is something new to see, at most as often as it does itself."""

    policy: Policy
    scrape_seconds: float
    _state: Any = field(init=False)

    def __post_init__(self) -> None:
        self.period_seconds = max(self.policy.period_seconds, self.scrape_seconds)
        self._state = self.policy.initial()

    def replicas(self, signals: Signals, replicas: Replicas, now: float) -> int:
        """What the policy decides."""
        wanted, self._state = self.policy.decide(signals, replicas, self._state, now)
        return wanted


@dataclass
class Scheduled:
    """Replicas that were decided beforehand, by step."""

    asked: NDArray[np.int64]
    period_seconds: float

    def replicas(self, signals: Signals, replicas: Replicas, now: float) -> int:
        """Those of the step that begins now."""
        return max(1, int(self.asked[min(int(now / self.period_seconds), len(self.asked) - 1)]))


def looks(governor: Governor | None) -> bool:
    """Whether it takes anything from scrapes; nobody is the autoscaler, which does."""
    return not isinstance(governor, Scheduled)


def decided(governor: Governor, signals: Signals, service: Service, now: float) -> int:
    """The replicas that a service gets from now on, within its bounds."""
    pods = service.pods
    replicas = Replicas(pods.wanted, pods.ready, max(pods.wanted - pods.ready, 0))
    return min(max(governor.replicas(signals, replicas, now), 1), service.max_replicas)


class Told(ABC):
    """What of the peers' `Signals` follows from how busy each pod is and how many wait, whoever tells that."""

    @abstractmethod
    def queued(self, window_seconds: float) -> float:
        """Highest number that waits."""

    @abstractmethod
    def _busy(self, seconds: float) -> Floats:
        """The busy share of each pod that can be told, as far back as two scrapes."""

    def busy_ratio(self, window_seconds: float) -> float:
        """Mean of the pods' busy shares, as far back as two scrapes: of one nothing can be told."""
        busy = self._busy(window_seconds)
        return float(busy.mean()) if len(busy) else 0.0

    def latency_seconds(self, quantile: float, window_seconds: float) -> float | None:
        """Not told: the simulated gateway has no buckets but the objective's."""
        raise NotImplementedError("policies that read quantiles of latency are not simulated")

    def per_pod(self, window_seconds: float) -> Sequence[PodLoad]:
        """The busy share stands for the cache, and what waits is spread evenly."""
        busy = self._busy(window_seconds)
        waiting = self.queued(window_seconds) / max(len(busy), 1)
        return [PodLoad(float(share), waiting) for share in busy]


@dataclass
class Scraped(Told):
    """What was scraped of one service, as a metrics pipeline tells it: satisfies the peers' `Signals`."""

    gateway: Targets
    replicas: slice
    """The gateway's targets that are its."""
    pods: Targets
    slots: slice
    now: float
    ready: int
    scrape_seconds: float

    def arrivals_per_second(self, window_seconds: float) -> float:
        """By the gateway's counters, refused requests among them."""
        window = self._of_gateway(window_seconds)
        found = [rates(self.gateway.values[name][self.replicas], window, 1) for name in ARRIVED]
        return float(np.nansum(found))

    def in_flight(self, window_seconds: float) -> float:
        """Mean of the gateway's gauge at the scrapes, as far back as one: a shorter window is empty most of the time."""
        window = self._of_gateway(max(window_seconds, self.scrape_seconds))
        found = averages(self.gateway.values[ACTIVE][self.replicas], window, 1)
        return float(np.nansum(found))

    def queued(self, window_seconds: float) -> float:
        """Highest number that waits inside the pods; of pods that do not tell, the gateway's excess over one for each."""
        for name in WAITING:
            if name in self.pods.values:
                return float(self._in_window(name, window_seconds).sum(axis=0).max(initial=0.0))
        inside = self._of_gateway(window_seconds).inside
        active = np.where(inside, self.gateway.values[ACTIVE][self.replicas], 0.0).sum(axis=0)
        return float(max(active.max(initial=0.0) - self.ready, 0.0))

    def per_pod(self, window_seconds: float) -> Sequence[PodLoad]:
        """Of pods that do not tell, the busy share stands for the cache, and what waits is spread evenly."""
        waits = next((name for name in WAITING if name in self.pods.values), None)
        if waits is None:
            return super().per_pod(window_seconds)
        used = CACHE_USED if CACHE_USED in self.pods.values else GPU_BUSY
        seen = self._seen(window_seconds)
        columns = (self._in_window(name, window_seconds).max(axis=1)[seen] for name in (used, waits))
        return [PodLoad(float(share), float(queue)) for share, queue in zip(*columns, strict=True)]

    def _of_gateway(self, seconds: float) -> Window:
        return _rows(self.gateway.window(self.now, seconds), self.replicas)

    def _of_pods(self, seconds: float) -> Window:
        return _rows(self.pods.window(self.now, seconds), self.slots)

    def _seen(self, seconds: float) -> NDArray[np.bool_]:
        """Pods that are there and have been scraped."""
        return (self._of_pods(seconds).count > 0) & ~self.pods.ended[self.slots]

    def _in_window(self, name: str, seconds: float) -> Floats:
        """A gauge of each pod at the scrapes of the window; 0 outside and of those that are gone."""
        inside = self._of_pods(seconds).inside & ~self.pods.ended[self.slots, None]
        return np.where(inside, self.pods.values[name][self.slots], 0.0)

    def _busy(self, seconds: float) -> Floats:
        seconds = max(seconds, 2 * self.scrape_seconds + 1)
        window = self._of_pods(seconds)
        if GPU_BUSY in self.pods.values:
            found = averages(self.pods.values[GPU_BUSY][self.slots], window, 1)
        else:
            found = rates(self.pods.values[WORKED][self.slots], window, 1)
        found = found[~self.pods.ended[self.slots]]
        return np.minimum(found[~np.isnan(found)], 1.0)


def _rows(window: Window, rows: slice) -> Window:
    return Window(
        window.times[rows],
        window.inside[rows],
        window.count[rows],
        window.first[rows],
        window.now,
        window.seconds,
    )

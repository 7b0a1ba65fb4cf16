"""One service under load: what arrives, its pods, and what a scrape of them reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from loadtests.simulator.pods import Pods, Starts
from loadtests.simulator.requests import Count, Floats, Ints, Requests, Routing

CHUNK_SECONDS = 3600.0
"""Of arrivals drawn at a time."""
NAMESPACE = "sim"


@dataclass(frozen=True)
class Load:
    """Requests per second in steps, and the work of each."""

    rates: Floats
    """Requests per second, by step."""
    step_seconds: float
    work_seconds: float
    """Mean work of a request."""
    variability: float = 0.25
    """Squared coefficient of variation of the work: log-normal."""

    def rate(self, now: float) -> float:
        """Requests per second at a time; after the last step that of the last."""
        return float(self.rates[min(int(now / self.step_seconds), len(self.rates) - 1)])


@dataclass
class Service:
    """A service with one Deployment, behind a gateway."""

    name: str
    load: Load
    objective_seconds: float
    starts: Starts
    slots: int
    routing: Routing = Routing.LEAST_REQUEST
    initial_replicas: int = 1
    min_replicas: int = 1
    max_replicas: int = 100
    percent: float = 99.0
    seed: int = 0
    requests: Requests = field(init=False)
    pods: Pods = field(init=False)
    now: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.requests = Requests(
            self.slots, self.objective_seconds, self.objective_seconds, routing=self.routing, seed=self.seed
        )
        seeds = np.random.SeedSequence(self.seed).spawn(2)
        self._arrivals, starts = (np.random.default_rng(seed) for seed in seeds)
        self.pods = Pods(self.requests, self.starts, starts)
        self.pods.scale(self.initial_replicas, 0.0)
        self.pods.ready_at[self.pods.ready_at < np.inf] = 0.0
        self.pods.become_ready(0.0)
        self._times, self._work, self._drawn_until = np.zeros(0), np.zeros(0), 0.0

    def advance(self, until: float) -> None:
        """Let all happen up to a time."""
        while (next_ready := self.pods.next_ready_at) <= until:
            self._offer(next_ready)
            self.pods.become_ready(next_ready)
        self._offer(until)
        self.now = until
        self.pods.end_drained(until)

    def gateway_values(self) -> dict[str, Floats]:
        """What a scrape of the gateway reads now, by metric, as Envoy has it."""
        counts = self.requests.counts
        read = {
            "envoy_cluster_upstream_rq_total": [counts[Count.DISPATCHED]],
            "envoy_cluster_upstream_cx_none_healthy": [counts[Count.UNROUTED]],
            "envoy_cluster_upstream_rq_pending_overflow": [counts[Count.OVERFLOWN]],
            "envoy_cluster_upstream_rq_timeout": [counts[Count.TIMED_OUT]],
            "envoy_cluster_upstream_rq_time_sum": [1000 * self.requests.answer_seconds[0]],
            "envoy_cluster_upstream_rq_time_count": [counts[Count.RESPONDED]],
            "envoy_cluster_upstream_rq_time_bucket": [counts[Count.ON_TIME], counts[Count.RESPONDED]],
            "envoy_cluster_upstream_rq_active": [self.requests.in_flight],
        }
        return {metric: np.array(values, dtype=np.float64) for metric, values in read.items()}

    def pod_values(self, slots: Ints) -> dict[str, Floats]:
        """What scrapes of these pods read now, by metric, as MLServer has it; a pod's series follow one another."""
        requests = self.requests
        done = requests.done[slots].astype(np.float64)
        return {
            "up": np.ones(len(slots)),
            "model_infer_request_success_total": done,
            "model_infer_request_failure_total": np.zeros(len(slots)),
            "model_infer_request_duration_sum": requests.worked_seconds[slots],
            "model_infer_request_duration_count": done,
            "rest_server_request_duration_seconds_bucket": np.column_stack(
                [requests.short[slots], done]
            ).ravel(),
        }

    def gateway_labels(self) -> Mapping[str, list[dict[str, str]]]:
        """The labels of the gateway's series."""
        cluster = {
            "job": "gateway",
            "envoy_cluster_name": f"httproute/{NAMESPACE}/{self.name}/rule/0/backend/{self.name}",
        }
        bounds = [cluster | {"le": f"{1000 * self.objective_seconds:g}"}, cluster | {"le": "+Inf"}]
        return {
            metric: bounds if metric.endswith("_bucket") else [cluster] for metric in self.gateway_values()
        }

    def pod_labels(self, slot: int) -> Mapping[str, list[dict[str, str]]]:
        """The labels of a pod's series."""
        pod = {"job": "pods", "namespace": NAMESPACE, "pod": f"{self.name}-5d8c9-{slot:05d}"}
        infer = pod | {"path": "/v2/models/m/infer"}
        bounds = [infer | {"le": f"{self.objective_seconds:g}"}, infer | {"le": "+Inf"}]
        return {
            metric: bounds if metric.endswith("_bucket") else [pod]
            for metric in self.pod_values(np.array([slot]))
        }

    def _offer(self, until: float) -> None:
        while self._drawn_until < until:
            self._draw()
        place = int(np.searchsorted(self._times, until))
        self.requests.advance(self._times[:place], self._work[:place], until)
        self._times, self._work = self._times[place:], self._work[place:]

    def _draw(self) -> None:
        """The arrivals of the next stretch: Poisson within each step."""
        begin, random, load = self._drawn_until, self._arrivals, self.load
        end = begin + CHUNK_SECONDS
        edges = np.arange(begin, end, load.step_seconds)
        counts = [random.poisson(load.rate(edge) * min(load.step_seconds, end - edge)) for edge in edges]
        times = np.concatenate(
            [
                np.sort(random.uniform(edge, min(edge + load.step_seconds, end), count))
                for edge, count in zip(edges, counts, strict=True)
            ]
        )
        spread = float(np.sqrt(np.log1p(load.variability)))
        work = random.lognormal(np.log(load.work_seconds) - spread**2 / 2, spread, len(times))
        self._times = np.concatenate([self._times, times])
        self._work = np.concatenate([self._work, work])
        self._drawn_until = end

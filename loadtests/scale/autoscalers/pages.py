"""What Prometheus scrapes of pods and gateway that are numbers: the series that the questions and the shipped rules read.

Names, labels and buckets are those of the servers; what else their pages hold is left out.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final

from loadtests.scale.autoscalers.population import Member

VARIABILITY: Final = 0.25
"""Squared coefficient of variation of the times of requests, which are log-normal."""
GATEWAY_MILLISECONDS: Final = 5.0
"""What the gateway adds."""
# fmt: off
OF_GATEWAY: Final = (
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000,
)
"""Envoy's buckets, in milliseconds."""
OF_MLSERVER: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
OF_VLLM: Final = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0,
)
"""Those of the servers, in seconds."""
# fmt: on
POD_HASH: Final = "5d9c8b7f6d"
_DIGITS: Final = string.digits + string.ascii_lowercase
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its text up to the value, and the value: by requests counted, by requests per second now, and always."""

    series: str
    by_requests: float = 0.0
    by_rate: float = 0.0
    always: float = 0.0


@dataclass
class Source:
    """A pod, or the gateway's account of a backend: what it has counted."""

    lines: Sequence[Line]
    requests: float = 0.0


@dataclass
class Backend:
    """A revision as it is scraped: its demand, and its pods."""

    member: Member
    factor: float = 1.0
    """Of the rate that it began with."""
    pods: list[Source] = field(default_factory=list)
    started: int = 0
    gateway: Source = field(init=False)

    def __post_init__(self) -> None:
        self.gateway = Source(list(gateway_lines(self.member)))
        self.scale(self.member.replicas)

    @property
    def rate(self) -> float:
        """Requests per second now."""
        return self.member.rate * self.factor

    def scale(self, replicas: int) -> None:
        """Have so many pods; new ones have counted nothing."""
        del self.pods[replicas:]
        while len(self.pods) < replicas:
            self.pods.append(Source(list(pod_lines(self.member, self.started))))
            self.started += 1

    def live(self, seconds: float) -> None:
        """Let time pass: each pod gets its part."""
        self.gateway.requests += self.rate * seconds
        for pod in self.pods:
            pod.requests += self.rate * seconds / len(self.pods)


def page_of_pods(backends: Iterable[Backend]) -> str:
    """Return the page of all pods of these."""
    return "".join(_text(pod, each.rate / len(each.pods)) for each in backends for pod in each.pods)


def page_of_gateway(backends: Iterable[Backend]) -> str:
    """Return what a gateway says of these."""
    return "".join(_text(each.gateway, each.rate) for each in backends)


def _text(source: Source, rate: float) -> str:
    requests = source.requests
    return "".join(
        [
            f"{line.series} {requests * line.by_requests + rate * line.by_rate + line.always:.9g}\n"
            for line in source.lines
        ]
    )


def within(mean: float, bound: float) -> float:
    """Return the fraction of requests that take at most so long, where they take `mean` on average."""
    spread = math.sqrt(math.log1p(VARIABILITY))
    return _NORMAL.cdf((math.log(bound / mean) + spread**2 / 2) / spread)


def pod_name(member: Member, number: int) -> str:
    """Return the name of the pod that a Deployment started as its `number`th, as its ReplicaSet would give it."""
    suffix = ""
    for _ in range(5):
        number, digit = divmod(number, len(_DIGITS))
        suffix = _DIGITS[digit] + suffix
    return f"{member.name}-{POD_HASH}-{suffix}"


def pod_lines(member: Member, number: int) -> Iterator[Line]:
    """Return the series of one pod, its `up` among them, with the labels that service discovery gives."""
    pod = f'container="server",namespace="{member.namespace}",pod="{pod_name(member, number)}"'
    yield Line(f"up{{{pod}}}", always=1.0)
    lines = _mlserver if member.kind.profile == "mlserver" else _vllm
    yield from lines(pod, member)


def _mlserver(pod: str, member: Member) -> Iterator[Line]:
    work, model = member.kind.work_seconds, f'{pod},model="{member.service_name}",version="1"'
    yield Line(f"model_infer_request_success_total{{{model}}}", 1.0)
    yield Line(f"model_infer_request_duration_count{{{model}}}", 1.0)
    yield Line(f"model_infer_request_duration_sum{{{model}}}", work)
    rest = f'{pod},app_name="mlserver",method="POST",path="/v2/models/{{model_name}}/infer",status_code="200"'
    yield from _histogram("rest_server_request_duration_seconds", rest, OF_MLSERVER, work)


def _vllm(pod: str, member: Member) -> Iterator[Line]:
    work, model = member.kind.work_seconds, f'{pod},engine="0",model_name="{member.service_name}"'
    for reason, part in (("stop", 0.8), ("length", 0.2), ("abort", 0.0), ("error", 0.0)):
        yield Line(f'vllm:request_success_total{{{model},finished_reason="{reason}"}}', part)
    yield from _histogram("vllm:e2e_request_latency_seconds", model, OF_VLLM, work)
    yield Line(f"vllm:num_requests_running{{{model}}}", by_rate=work)
    yield Line(f"vllm:num_requests_waiting{{{model}}}")


def gateway_lines(member: Member) -> Iterator[Line]:
    """Return what Envoy says of the backend, by its cluster's name."""
    cluster = f"httproute/{member.namespace}/{member.service_name}/rule/0/backend/{member.name}"
    label, mean = f'envoy_cluster_name="{cluster}"', 1000 * member.kind.work_seconds + GATEWAY_MILLISECONDS
    prefix = "envoy_cluster_upstream"
    yield Line(f"{prefix}_rq_total{{{label}}}", 1.0)
    for silent in ("cx_none_healthy", "rq_pending_overflow", "rq_retry", "rq_timeout", "rq_tx_reset"):
        yield Line(f"{prefix}_{silent}{{{label}}}")
    for code_class, part in (("2", 1.0), ("5", 0.0)):
        yield Line(f'{prefix}_rq_xx{{envoy_response_code_class="{code_class}",{label}}}', part)
    yield from _histogram(f"{prefix}_rq_time", label, OF_GATEWAY, mean)
    yield Line(f"{prefix}_rq_active{{{label}}}", by_rate=mean / 1000)


def _histogram(name: str, labels: str, bounds: Sequence[float], mean: float) -> Iterator[Line]:
    for bound in bounds:
        yield Line(f'{name}_bucket{{{labels},le="{bound}"}}', within(mean, bound))
    yield Line(f'{name}_bucket{{{labels},le="+Inf"}}', 1.0)
    yield Line(f"{name}_count{{{labels}}}", 1.0)
    yield Line(f"{name}_sum{{{labels}}}", mean)

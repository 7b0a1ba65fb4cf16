"""Metrics by profile: names and meaning as data. A new runtime is one more entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from serving_api.autoscaler import AutoscalerSignals

GATEWAY: Final = "gateway"


@dataclass(frozen=True)
class Metric:
    """One metric: its name, label matchers in PromQL, and what one unit is in seconds, for durations."""

    name: str
    matchers: str = ""
    seconds: float = 1.0


@dataclass(frozen=True)
class Profile:
    """How one kind of source tells load and latency.

    `arrivals` and `failures` are sums of the counters by sign. `work` is the base name of the summed
    durations and their count.
    """

    id: str
    source: Literal["pods", "gateway"]
    """Whether series belong to a pod, or to a gateway's cluster of endpoints."""
    counters: Mapping[str, Metric]
    arrivals: Mapping[str, int]
    failures: Mapping[str, int]
    work: Metric
    durations: Literal["service", "sojourn"]
    """Whether `work` is the time of work alone, or includes the wait for it."""
    buckets: Metric
    unanswered: Mapping[str, int] = field(default_factory=dict)
    """Counters of the arrivals that leave no entry in the histogram."""
    in_flight: Metric | None = None
    lazy: bool = False
    """Whether series appear with the first request only, so that none means no request yet."""
    presence: str = field(default="requests")
    """The counter whose newest sample tells how old the view is."""


MLSERVER: Final = Profile(
    id="mlserver",
    source="pods",
    counters={
        "requests": Metric("model_infer_request_success_total"),
        "failed": Metric("model_infer_request_failure_total"),
    },
    arrivals={"requests": 1, "failed": 1},
    failures={"failed": 1},
    work=Metric("model_infer_request_duration"),
    # MLServer's event loop is busy while the model computes: a request that waits for it waits in the
    # socket, before any clock of the server starts, and its own gauge of requests in progress reads 0.
    durations="service",
    buckets=Metric("rest_server_request_duration_seconds_bucket", 'path=~".*/infer"'),
    lazy=True,
)

ENVOY: Final = Profile(
    id=GATEWAY,
    source="gateway",
    counters={
        "requests": Metric("envoy_cluster_upstream_rq_total"),
        "unrouted": Metric("envoy_cluster_upstream_cx_none_healthy"),
        "overflown": Metric("envoy_cluster_upstream_rq_pending_overflow"),
        "retried": Metric("envoy_cluster_upstream_rq_retry"),
        "timed_out": Metric("envoy_cluster_upstream_rq_timeout"),
        "aborted": Metric("envoy_cluster_upstream_rq_tx_reset"),
        "failed": Metric("envoy_cluster_upstream_rq_xx", 'envoy_response_code_class="5"'),
    },
    arrivals={"requests": 1, "unrouted": 1, "overflown": 1, "retried": -1},
    failures={"failed": 1},
    unanswered={"unrouted": 1, "overflown": 1, "timed_out": 1, "aborted": 1},
    work=Metric("envoy_cluster_upstream_rq_time", seconds=0.001),
    durations="sojourn",
    buckets=Metric("envoy_cluster_upstream_rq_time_bucket", seconds=0.001),
    in_flight=Metric("envoy_cluster_upstream_rq_active"),
)

BUILT_IN: Final = {profile.id: profile for profile in (MLSERVER, ENVOY)}


def profile_of(signals: AutoscalerSignals) -> Profile:
    """The profile that a target asks for; explicit metrics make one of their own, equal names share it."""
    if signals.metrics is None:
        return BUILT_IN[signals.profile or GATEWAY]
    named = signals.metrics
    names = (named.requests_total, named.failures_total, named.in_flight, named.duration_seconds)
    counters = {"requests": Metric(named.requests_total)}
    signs = {"requests": 1}
    if named.failures_total:
        counters["failed"] = Metric(named.failures_total)
        signs["failed"] = 1
    return Profile(
        id="metrics:" + ",".join(name or "" for name in names),
        source="pods",
        counters=counters,
        arrivals=signs,
        failures={"failed": 1} if named.failures_total else {},
        work=Metric(named.duration_seconds),
        durations="sojourn",
        buckets=Metric(f"{named.duration_seconds}_bucket"),
        in_flight=Metric(named.in_flight) if named.in_flight else None,
    )


def in_use(wanted: Iterable[Profile]) -> tuple[Profile, ...]:
    """Every profile once, the gateway's always among them, in a fixed order."""
    return tuple({profile.id: profile for profile in (ENVOY, *wanted)}.values())

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
class Work:
    """Summed durations and their number; `seconds` is what one unit of the sum is in seconds."""

    sum: Metric
    count: Metric
    seconds: float = 1.0

    @classmethod
    def of(cls, base: str, seconds: float = 1.0) -> Work:
        """The sum and count of a histogram or summary by its base name."""
        return cls(Metric(f"{base}_sum"), Metric(f"{base}_count"), seconds)


@dataclass(frozen=True)
class Profile:
    """How one kind of source tells load and latency.

    `arrivals` and `failures` are sums of the counters by sign.
    """

    id: str
    source: Literal["pods", "gateway"]
    """Whether series belong to a pod, or to a gateway's cluster of endpoints."""
    counters: Mapping[str, Metric]
    arrivals: Mapping[str, int]
    failures: Mapping[str, int]
    work: Work
    durations: Literal["service", "sojourn"]
    """Whether `work` is the time of work alone, or includes the wait for it."""
    buckets: Metric | None
    """The histogram that lateness is counted in; without one only the gateway can tell it."""
    unanswered: Mapping[str, int] = field(default_factory=dict)
    """Counters of the arrivals that leave no entry in the histogram."""
    in_flight: tuple[Metric, ...] = ()
    """Gauges whose sum is the requests being worked on or waiting."""
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
    work=Work.of("model_infer_request_duration"),
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
    work=Work.of("envoy_cluster_upstream_rq_time", seconds=0.001),
    durations="sojourn",
    buckets=Metric("envoy_cluster_upstream_rq_time_bucket", seconds=0.001),
    in_flight=(Metric("envoy_cluster_upstream_rq_active"),),
)

# Names as docs.vllm.ai has them under Production Metrics (V1 engine). A request is counted when it has ended; its
# latency begins when the engine gets it, and holds the wait.
VLLM: Final = Profile(
    id="vllm",
    source="pods",
    counters={
        "requests": Metric("vllm:request_success_total"),
        "failed": Metric("vllm:request_success_total", 'finished_reason=~"abort|error"'),
    },
    arrivals={"requests": 1},
    failures={"failed": 1},
    work=Work.of("vllm:e2e_request_latency_seconds"),
    durations="sojourn",
    buckets=Metric("vllm:e2e_request_latency_seconds_bucket"),
    in_flight=(Metric("vllm:num_requests_running"), Metric("vllm:num_requests_waiting")),
)

# Names as docs.sglang.io has them under Production Metrics; the server needs --enable-metrics. Aborted requests are
# counted apart.
SGLANG: Final = Profile(
    id="sglang",
    source="pods",
    counters={
        "requests": Metric("sglang:num_requests_total"),
        "failed": Metric("sglang:num_aborted_requests_total"),
    },
    arrivals={"requests": 1, "failed": 1},
    failures={"failed": 1},
    work=Work.of("sglang:e2e_request_latency_seconds"),
    durations="sojourn",
    buckets=Metric("sglang:e2e_request_latency_seconds_bucket"),
    in_flight=(Metric("sglang:num_running_reqs"), Metric("sglang:num_queue_reqs")),
    # Its counters have no series before the first request.
    lazy=True,
)

# Names as huggingface.co/docs/text-generation-inference has them under Metrics: counters without the usual _total.
TGI: Final = Profile(
    id="tgi",
    source="pods",
    counters={"requests": Metric("tgi_request_count"), "failed": Metric("tgi_request_failure")},
    arrivals={"requests": 1},
    failures={"failed": 1},
    work=Work.of("tgi_request_duration"),
    durations="sojourn",
    buckets=Metric("tgi_request_duration_bucket"),
    in_flight=(Metric("tgi_queue_size"), Metric("tgi_batch_current_size")),
    lazy=True,
)

# Names as docs/user_guide/metrics.md of triton-inference-server/server has them. There is no histogram of latency,
# only sums. The time of requests that share a batch is counted for each of them: an upper bound of the work.
TRITON: Final = Profile(
    id="triton",
    source="pods",
    counters={
        "requests": Metric("nv_inference_request_success"),
        "failed": Metric("nv_inference_request_failure"),
    },
    arrivals={"requests": 1, "failed": 1},
    failures={"failed": 1},
    work=Work(
        Metric("nv_inference_compute_infer_duration_us"),
        Metric("nv_inference_request_success"),
        seconds=1e-6,
    ),
    durations="service",
    buckets=None,
)

BUILT_IN: Final = {profile.id: profile for profile in (MLSERVER, VLLM, TRITON, SGLANG, TGI, ENVOY)}


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
        work=Work.of(named.duration_seconds),
        durations="sojourn",
        buckets=Metric(f"{named.duration_seconds}_bucket"),
        in_flight=(Metric(named.in_flight),) if named.in_flight else (),
    )


def in_use(wanted: Iterable[Profile]) -> tuple[Profile, ...]:
    """Every profile once, the gateway's always among them, in a fixed order."""
    return tuple({profile.id: profile for profile in (ENVOY, *wanted)}.values())

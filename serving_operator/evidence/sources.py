"""Where requests are counted, as data: a new source is one more entry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from serving_operator.judge.windows import Missing

RUNTIME: Final = "runtime"
ENVOY_GATEWAY: Final = "envoy-gateway"
ISTIO: Final = "istio"


@dataclass(frozen=True)
class Metric:
    """A counter: its name, and label matchers in PromQL."""

    name: str
    matchers: str = ""


@dataclass(frozen=True)
class Naming:
    """How a series names the revision that it counts for: a label holds the name of its Deployment or Service."""

    label: str
    pattern: re.Pattern[str]
    """Has the group `backend`, and `namespace` where no label has the namespace."""
    namespace_label: str = ""
    merged: re.Pattern[str] | None = None
    """Values of `label` that stand for a whole route, with the groups `namespace` and `route`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels to read."""
        return tuple(label for label in (self.label, self.namespace_label) if label)

    def backend(self, labels: Mapping[str, str]) -> tuple[str, str] | None:
        """Namespace and name of the revision's Deployment and Service."""
        found = self.pattern.fullmatch(labels.get(self.label, ""))
        if found is None:
            return None
        return labels.get(self.namespace_label) or found.groupdict().get("namespace") or "", found["backend"]

    def route(self, labels: Mapping[str, str]) -> tuple[str, str] | None:
        """Namespace and name of the route that a series counts for as a whole."""
        found = self.merged.fullmatch(labels.get(self.label, "")) if self.merged else None
        return (found["namespace"], found["route"]) if found else None


@dataclass(frozen=True)
class Source:
    """How one kind of source counts requests and bad ones.

    A source whose histogram tells failed responses from others counts all that ended in it: bad is what is missing
    from the good ones, `all − within(good)`. For the others bad is `late + failed + aborted`, at most the requests:
    late is `all − within` of one histogram, so that a histogram which lags behind the counters (Envoy merges its own
    every 5 s) adds nothing; what leaves no entry in it is a failure or an abort. Only a response that is late and
    failed counts twice.
    """

    id: str
    naming: Naming
    buckets: Metric
    milliseconds: float
    """What one unit of the buckets' bounds is."""
    good: str = ""
    """Matchers of the responses in the histogram that have not failed; empty if it cannot tell them."""
    answered: Metric | None = None
    """Requests that were answered, by whomever; without it those in the histogram and those that failed."""
    failed: Metric | None = None
    aborted: Mapping[Metric, int] = field(default_factory=dict)
    """Counters by sign whose sum is the requests that ended without an answer."""
    remedy: str = ""
    """What gives the histogram a bucket at an objective."""

    @property
    def presence(self) -> Metric:
        """What has a series as soon as a request was counted."""
        return self.answered or self.buckets


ROUTED: Final = 'envoy_cluster_name=~"httproute/.+"'
COMPLETIONS: Final = 'pod!="", method="POST", handler=~"/v1/(chat/)?completions|/v1/responses"'

POD: Final = Naming(
    "pod",
    # <deployment>-<hash>-<suffix>; of a long name the API server cuts the hash and the dash after it.
    re.compile(r"(?P<backend>.+)-(?:[a-z0-9]{1,10}-[a-z0-9]{5}|[a-z0-9]{6,15})"),
    "namespace",
)

MLSERVER: Final = Source(
    id=f"{RUNTIME}/mlserver",
    naming=POD,
    buckets=Metric("rest_server_request_duration_seconds_bucket", 'pod!="", path=~".*/infer"'),
    milliseconds=1000,
    good='status_code!~"5.."',
    remedy="set objective.thresholdMilliseconds to a bound that MLServer has, or analysis.source to envoy-gateway",
)

# The engine counts a request when it has finished it; one that its client gave up leaves no entry of any kind there
# (vllm-project/vllm, issue 55634). Its HTTP server (prometheus-fastapi-instrumentator) counts what it has ended: tried
# on version 8.1, an exception as 5xx, a stream at its end, and a request without a client any more as 2xx.
VLLM: Final = Source(
    id=f"{RUNTIME}/vllm",
    naming=POD,
    buckets=Metric("vllm:e2e_request_latency_seconds_bucket", 'pod!=""'),
    milliseconds=1000,
    failed=Metric("http_requests_total", f'{COMPLETIONS}, status="5xx"'),
    aborted={
        Metric("http_requests_total", f'{COMPLETIONS}, status="2xx"'): 1,
        Metric("vllm:e2e_request_latency_seconds_count", 'pod!=""'): -1,
    },
    remedy="set objective.thresholdMilliseconds to a bound that vLLM has, or analysis.source to envoy-gateway",
)

ENVOY: Final = Source(
    id=ENVOY_GATEWAY,
    naming=Naming(
        "envoy_cluster_name",
        re.compile(
            r"httproute/(?P<namespace>[^/]+)/[^/]+/rule/[0-9]+/backend/(?P<backend>[^/]*[^/0-9][^/]*)"
        ),
        # Envoy Gateway names clusters by position where a rule's backends do not share one; the position of a
        # backend changes with the weights.
        merged=re.compile(r"httproute/(?P<namespace>[^/]+)/(?P<route>[^/]+)/rule/[0-9]+(?:/backend/[0-9]+)?"),
    ),
    buckets=Metric("envoy_cluster_upstream_rq_time_bucket", ROUTED),
    milliseconds=1,
    # Tried on Envoy 1.40: answers that Envoy makes (time-out, reset, no endpoints) are completed and of class 5 and
    # have no entry in the histogram; a client that gives up completes nothing, but breaks the connection of HTTP/1
    # or the stream of HTTP/2 that a time-out breaks too.
    answered=Metric("envoy_cluster_upstream_rq_completed", ROUTED),
    failed=Metric("envoy_cluster_upstream_rq_xx", f'{ROUTED}, envoy_response_code_class="5"'),
    aborted={
        Metric("envoy_cluster_upstream_cx_destroy_local_with_active_rq", ROUTED): 1,
        Metric("envoy_cluster_upstream_rq_tx_reset", ROUTED): 1,
        Metric("envoy_cluster_upstream_rq_cancelled", ROUTED): 1,
        Metric("envoy_cluster_upstream_rq_timeout", ROUTED): -1,
        Metric("envoy_cluster_upstream_rq_per_try_timeout", ROUTED): -1,
    },
    remedy="give Envoy's stats_config.histogram_bucket_settings that bound",
)

# Counted by the gateway (reporter source), which also sees what never reached a pod. 0 is the code of a request whose
# client gave up.
MESH: Final = Source(
    id=ISTIO,
    naming=Naming(
        "destination_service_name", re.compile(r"(?P<backend>.+)"), "destination_service_namespace"
    ),
    buckets=Metric("istio_request_duration_milliseconds_bucket", 'reporter="source"'),
    milliseconds=1,
    good='response_code!~"0|5.."',
    remedy="give the gateway's pods the annotation sidecar.istio.io/statsHistogramBuckets with that bound",
)

SOURCES: Final = {source.id: source for source in (MLSERVER, VLLM, ENVOY, MESH)}


def source_of(name: str, profiles: tuple[str, ...]) -> Source | Missing:
    """The source that an analysis names, for revisions whose runtimes have these signal profiles."""
    if name != RUNTIME:
        return SOURCES.get(name) or Missing(
            "SourceUnknown",
            f"analysis.source {name!r} is not known; set runtime, envoy-gateway or istio.",
            needs_person=True,
        )
    for profile in profiles:
        if f"{RUNTIME}/{profile}" not in SOURCES:
            return Missing(
                "SourceNotMeasurable",
                f"analysis.source runtime reads no metrics of profile {profile}; set analysis.source to envoy-gateway "
                "or istio, whichever serves the route.",
                needs_person=True,
            )
    if len(set(profiles)) != 1:
        return Missing(
            "SourceNotMeasurable",
            f"Canary and stable are counted by different metrics ({', '.join(profiles)}); set analysis.source to "
            "envoy-gateway or istio, which count both alike.",
            needs_person=True,
        )
    return SOURCES[f"{RUNTIME}/{profiles[0]}"]

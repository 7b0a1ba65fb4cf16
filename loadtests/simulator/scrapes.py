"""What scrapes of a service read: its gateway as Envoy tells it, its pods as their model server does.

A profile of metrics is asked for by the autoscaler; here is the page that answers it, and nothing more than is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from loadtests.simulator.batched import BatchedRequests
from loadtests.simulator.requests import Count, Floats, Ints, Requests

Received = Requests | BatchedRequests
Values = dict[str, Floats]
"""By metric; the series of one target follow one another."""
SeriesLabels = Mapping[str, list[dict[str, str]]]
"""Of one target, by metric."""
NAMESPACE = "sim"
GPU_BUSY = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"


def gateway_values(requests: Received, retries: bool = False) -> Values:
    """All replicas of the gateway, as Envoy has them; of one that does not try again, its counter of retries is left out."""
    counts = requests.counts_by_replica
    responded = counts[:, Count.RESPONDED]
    read = {
        "envoy_cluster_upstream_rq_total": counts[:, Count.DISPATCHED],
        "envoy_cluster_upstream_cx_none_healthy": counts[:, Count.UNROUTED],
        "envoy_cluster_upstream_rq_pending_overflow": counts[:, Count.OVERFLOWN],
        "envoy_cluster_upstream_rq_timeout": counts[:, Count.TIMED_OUT],
        "envoy_cluster_upstream_rq_time_sum": 1000 * requests.answer_seconds,
        "envoy_cluster_upstream_rq_time_count": responded,
        "envoy_cluster_upstream_rq_time_bucket": np.column_stack(
            [counts[:, Count.ON_TIME], responded]
        ).ravel(),
        "envoy_cluster_upstream_rq_active": requests.in_flight_by_replica,
    }
    if retries:
        read["envoy_cluster_upstream_rq_retry"] = counts[:, Count.RETRIED]
    return {metric: np.array(values, dtype=np.float64) for metric, values in read.items()}


def gateway_labels(service: str, objective_seconds: float, replica: int, values: Values) -> SeriesLabels:
    """Those of one replica that has these values; a single one needs no name."""
    cluster = {
        "job": "gateway",
        "envoy_cluster_name": f"httproute/{NAMESPACE}/{service}/rule/0/backend/{service}",
    }
    if len(values["envoy_cluster_upstream_rq_total"]) > 1:
        cluster["instance"] = f"gateway-{replica}"
    bounds = [cluster | {"le": f"{1000 * objective_seconds:g}"}, cluster | {"le": "+Inf"}]
    return {metric: bounds if metric.endswith("_bucket") else [cluster] for metric in values}


def _mlserver(requests: Received, slots: Ints, now: float) -> Values:
    if isinstance(requests, BatchedRequests):
        lines = requests.lines[slots]
        done, worked, short = lines["done"], lines["worked_seconds"], lines["short_work"]
    else:
        done, worked, short = requests.done[slots], requests.worked_seconds[slots], requests.short[slots]
    return {
        "up": np.ones(len(slots)),
        "model_infer_request_success_total": done.astype(np.float64),
        "model_infer_request_failure_total": np.zeros(len(slots)),
        "model_infer_request_duration_sum": worked,
        "model_infer_request_duration_count": done.astype(np.float64),
        "rest_server_request_duration_seconds_bucket": _buckets(short, done),
    }


def _triton(requests: Received, slots: Ints, now: float) -> Values:
    """Each request of a batch is counted all of the batch's time, as Triton's documentation of its statistics says."""
    batched = _batched(requests)
    lines = batched.lines[slots]
    return {
        "up": np.ones(len(slots)),
        "nv_inference_request_success": lines["done"].astype(np.float64),
        "nv_inference_request_failure": np.zeros(len(slots)),
        "nv_inference_compute_infer_duration_us": 1e6 * lines["worked_seconds"],
        "nv_inference_pending_request_count": batched.waiting[slots].astype(np.float64),
        GPU_BUSY: batched.busy_ratio(slots, now),
    }


def _vllm(requests: Received, slots: Ints, now: float) -> Values:
    batched = _batched(requests)
    lines = batched.lines[slots]
    done = lines["done"].astype(np.float64)
    return {
        "up": np.ones(len(slots)),
        "vllm:request_success_total": np.column_stack([done, np.zeros(len(slots))]).ravel(),
        "vllm:e2e_request_latency_seconds_sum": lines["stayed_seconds"],
        "vllm:e2e_request_latency_seconds_count": done,
        "vllm:e2e_request_latency_seconds_bucket": _buckets(lines["short_stays"], lines["done"]),
        "vllm:num_requests_running": lines["count"].astype(np.float64),
        "vllm:num_requests_waiting": batched.waiting[slots].astype(np.float64),
        "vllm:kv_cache_usage_perc": lines["cached"] / batched.engine.cache_tokens,
        GPU_BUSY: batched.busy_ratio(slots, now),
    }


def _batched(requests: Received) -> BatchedRequests:
    if not isinstance(requests, BatchedRequests):
        raise TypeError("this model server works on several requests at once: its service needs an engine")
    return requests


def _buckets(short: Ints, done: Ints) -> Floats:
    return np.column_stack([short, done]).ravel().astype(np.float64)


_PAGES: Mapping[str, Callable[[Received, Ints, float], Values]] = {
    "mlserver": _mlserver,
    "triton": _triton,
    "vllm": _vllm,
}
_APART: SeriesLabels = {
    "vllm:request_success_total": [{"finished_reason": "stop"}, {"finished_reason": "abort"}],
    "rest_server_request_duration_seconds_bucket": [{"path": "/v2/models/m/infer"}],
}
"""What tells a pod's series of one metric apart."""


def pod_values(profile: str, requests: Received, slots: Ints, now: float) -> Values:
    """What the pods in these slots expose. Raises KeyError for a profile that is not simulated."""
    return _PAGES[profile](requests, slots, now)


def pod_labels(profile: str, requests: Received, pod: str, objective_seconds: float) -> SeriesLabels:
    """The labels of one pod's series."""
    own = {"job": "pods", "namespace": NAMESPACE, "pod": pod}
    found = {}
    for metric in pod_values(profile, requests, np.zeros(1, dtype=np.int64), 0.0):
        found[metric] = [own | apart for apart in _APART.get(metric, [{}])]
        if metric.endswith("_bucket"):
            bounds = (f"{objective_seconds:g}", "+Inf")
            found[metric] = [labels | {"le": bound} for labels in found[metric] for bound in bounds]
    return found

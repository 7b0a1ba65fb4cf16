"""When samples were taken, when a policy looked and when it wrote: read from Prometheus, metrics-server and the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from autoscaler.targets import seconds_of
from loadtests.demo.setup import NAMESPACE, SERVICE
from loadtests.live.policies import Policy, arrivals
from loadtests.scale.audit import Request
from serving_io.cluster import Cluster
from serving_io.kinds import Kind

HPA_USER = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
OUR_USER = "system:serviceaccount:serving-system:serving-autoscaler"
POD_METRICS = Kind("metrics.k8s.io/v1beta1", "PodMetrics", "pods")


def write_of(policy: Policy, requests: Iterable[Request], after: float) -> float | None:
    """Return when the first write of a number of replicas after a moment was received; Unix seconds."""
    user, resource = (OUR_USER, "deployments") if policy == "ours" else (HPA_USER, "inferenceservices")
    return min(
        (
            one.received_seconds
            for one in requests
            if one.user == user
            and one.resource == resource
            and one.subresource == "scale"
            and not one.is_read
            and one.code < 300
            and one.received_seconds > after
        ),
        default=None,
    )


def look_of_hpa(requests: Iterable[Request], written: float) -> float | None:
    """Return when the HPA's controller last asked for metrics before a write; Unix seconds."""
    return max(
        (
            one.received_seconds
            for one in requests
            if one.user == HPA_USER and one.is_read and one.received_seconds < written
        ),
        default=None,
    )


async def scrapes(prometheus_url: str, seconds: float) -> list[float]:
    """Return when the gateway was scraped in the last so many seconds; Unix seconds."""
    result = await _query(prometheus_url, f"{arrivals(SERVICE, NAMESPACE)}[{seconds:.0f}s]")
    return sorted({float(at) for series in result for at, _ in series["values"]})


async def tick_seconds(prometheus_url: str) -> float:
    """Return how long a tick of ours takes, on average over ten minutes."""
    name = "serving_autoscaler_tick_seconds"
    (one,) = await _query(
        prometheus_url, f"sum(increase({name}_sum[10m])) / sum(increase({name}_count[10m]))"
    )
    return float(one["value"][1])


async def _query(prometheus_url: str, promql: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{prometheus_url}/api/v1/query", params={"query": promql})
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found


@asynccontextmanager
async def pod_samples(cluster: Cluster) -> AsyncIterator[set[float]]:
    """Collect when metrics-server's samples of the service's pods were taken, while entered; Unix seconds."""
    found: set[float] = set()

    async def collect() -> None:
        while True:
            listed = await cluster.list(POD_METRICS, NAMESPACE)
            found.update(seconds_of(one["timestamp"]) for one in listed.items)
            await asyncio.sleep(1)

    task = asyncio.create_task(collect())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

"""The API that a HorizontalPodAutoscaler reads pods' usage from, served by a CRD: what pods use is what a test says.

A metrics server serves the same group and version through the aggregation layer. The controller cannot tell: it lists
PodMetrics by the label selector of what it scales.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from loadtests.live.clocks import POD_METRICS
from tests.system.kube import Kube, Manifest

_CRD: Manifest = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "pods.metrics.k8s.io",
        "annotations": {"api-approved.kubernetes.io": "unapproved, test only"},
    },
    "spec": {
        "group": POD_METRICS.group,
        "scope": "Namespaced",
        "names": {"kind": POD_METRICS.name, "plural": POD_METRICS.plural},
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}


@contextmanager
def pod_metrics_api(kube: Kube) -> Iterator[None]:
    """The API is there, and nobody uses anything yet."""
    kube.kubectl("create", "-f", "-", stdin=_CRD)
    try:
        kube.until("PodMetrics are served", lambda: served(kube))
        yield
    finally:
        kube.kubectl("delete", "crd", _CRD["metadata"]["name"])


def served(kube: Kube) -> bool:
    """Whether PodMetrics can be listed."""
    try:
        kube.list(POD_METRICS)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise
        return False
    return True


def use_memory(kube: Kube, pods: list[Manifest], mebibytes: int) -> None:
    """Say of each of these pods that it uses so much memory."""
    for pod in pods:
        metadata = pod["metadata"]
        kube.apply(
            metadata["namespace"],
            {
                "apiVersion": POD_METRICS.api_version,
                "kind": POD_METRICS.name,
                "metadata": {"name": metadata["name"], "labels": metadata["labels"]},
                "timestamp": metadata["creationTimestamp"],
                "window": "30s",
                "containers": [
                    {
                        "name": pod["spec"]["containers"][0]["name"],
                        "usage": {"cpu": "1m", "memory": f"{mebibytes}Mi"},
                    }
                ],
            },
        )

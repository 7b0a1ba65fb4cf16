"""Prometheus finds every source by Kubernetes service discovery."""

from __future__ import annotations

from functools import partial

import httpx

from localcluster.cluster import Cluster
from tests.system.kube import Kube
from tests.system.load import measured


def test_gateway_and_gpu_exporter_are_pods_like_any(kube: Kube, cluster: Cluster) -> None:
    """Both are scraped by the recommended job for pods, with namespace and pod, and no target is configured by hand."""
    for namespace, pod in (("gateway-system", "envoy-local"), ("kube-system", "dcgm-exporter-local")):
        up = f'up{{job="serving-pods", namespace="{namespace}", pod="{pod}"}} == 1'
        kube.until(f"{pod} is scraped", partial(measured, cluster, up))

    assert measured(cluster, 'envoy_server_live{pod="envoy-local"}')
    targets = httpx.get(f"{cluster.prometheus_url}/api/v1/targets").json()["data"]["activeTargets"]
    by_hand = [
        target["scrapeUrl"]
        for target in targets
        if "__meta_kubernetes_pod_name" not in target["discoveredLabels"]
    ]
    assert by_hand == []

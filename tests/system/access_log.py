"""Envoy's access log: which pod held a request, answered or not."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import httpx

from localcluster.cluster import Cluster
from localcluster.gateway.envoy import layout_of
from localcluster.node.addresses import listen_address
from tests.system.kube import Manifest, until


def entries(cluster: Cluster, host: str, requests: int) -> list[dict[str, Any]]:
    """What is logged of a host, once it is so many requests: Envoy writes once a second."""
    path = layout_of(cluster).access_log

    def found() -> list[dict[str, Any]]:
        with path.open(encoding="utf-8") as log:
            read = [json.loads(line) for line in log if host in line]
        return read if len(read) >= requests else []

    logged: list[dict[str, Any]] = until(f"{requests} requests to {host} are logged", found)
    return logged


def bad_by_pod(cluster: Cluster, host: str, requests: int, pods: list[Manifest]) -> Counter[str]:
    """How many requests were not answered well, by the pod that held them; '-' stands for any other holder, or none."""
    names = {listen_address(pod["status"]["podIP"]): pod["metadata"]["name"] for pod in pods}
    return Counter(
        names.get(str(entry["upstream"]).rpartition(":")[0], "-")
        for entry in entries(cluster, host, requests)
        if not httpx.codes.is_success(int(entry["code"]))
    )


def is_forgotten(cluster: Cluster, pod: Manifest) -> bool:
    """Whether Envoy sends no more requests to a pod."""
    at = f"http://{cluster.envoy_admin_host}:{cluster.envoy_admin_port}/clusters"
    return f"::{listen_address(pod['status']['podIP'])}:" not in httpx.get(at).raise_for_status().text

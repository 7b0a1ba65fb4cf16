"""What runs beside the node agent, shown as static ("mirror") pods, so that Prometheus finds it as in any cluster.

Envoy and the GPU exporter are components of their own: the agent publishes their pods and runs nothing for them.
"""

from __future__ import annotations

import asyncio
import logging

from localcluster.api import Api, ApiError
from localcluster.cluster import Cluster
from localcluster.objects import Object

from .addresses import static_address

log = logging.getLogger(__name__)

MIRROR = "kubernetes.io/config.mirror"
"""Annotation of a pod that its node runs on its own account."""
_RETRY_SECONDS = 1.0


def is_static(pod: Object) -> bool:
    """Whether a pod is one that the agent must not run."""
    return MIRROR in (pod["metadata"].get("annotations") or {})


def static_pods(cluster: Cluster, node: str) -> list[Object]:
    """The static pods of a cluster, all on `node`, in the order of their addresses."""
    envoy = ("gateway-system", "envoy", cluster.envoy_admin_port, "/stats/prometheus")
    dcgm = ("kube-system", "dcgm-exporter", cluster.dcgm_port, "/metrics")
    return [
        _static_pod(node, static_address(cluster.run_dir, number), *described)
        for number, described in enumerate((envoy, dcgm))
    ]


def _static_pod(node: str, address: str, namespace: str, name: str, port: int, metrics_path: str) -> Object:
    container = {"name": name, "image": f"localhost/{name}"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-{node}",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": name},
            "annotations": {
                MIRROR: name,
                "prometheus.io/scrape": "true",
                "prometheus.io/port": str(port),
                "prometheus.io/path": metrics_path,
            },
        },
        "spec": {
            "nodeName": node,
            "containers": [{**container, "ports": [{"name": "metrics", "containerPort": port}]}],
            "tolerations": [{"operator": "Exists"}],
        },
        "status": {
            "phase": "Running",
            "hostIP": "127.0.0.1",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": kind, "status": "True"} for kind in ("ContainersReady", "Ready")],
            "containerStatuses": [
                {**container, "imageID": "", "ready": True, "restartCount": 0, "state": {"running": {}}}
            ],
        },
    }


async def keep(api: Api, pod: Object) -> None:
    """Publish a static pod, and again whenever it is deleted, until cancelled."""
    metadata = pod["metadata"]
    pods = f"/api/v1/namespaces/{metadata['namespace']}/pods"
    path, named = f"{pods}/{metadata['name']}", f"metadata.name={metadata['name']}"
    while True:
        try:
            for place in (path, f"{path}/status"):
                query = {"fieldManager": "localcluster-node", "force": "true"}
                await api.call("PATCH", place, pod, "application/apply-patch+yaml", query)
            async for exists, found in api.follow(pods, fieldSelector=named):
                if exists and not found["metadata"].get("deletionTimestamp"):
                    continue
                if exists:  # nobody else says that it has ended
                    await api.call("DELETE", path, {"gracePeriodSeconds": 0})
                break
        except ApiError as error:
            log.warning("static pod %s not published, trying again: %s", path, error)
            await asyncio.sleep(_RETRY_SECONDS)

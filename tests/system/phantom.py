"""A node whose pods are Ready and run nothing, and a Gateway that accepts routes and carries no traffic.

They make hundreds of settled services possible on a small machine.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx

from serving_io import kinds
from tests.system.kube import Kube, Manifest

NAME = "phantom"
SELECTOR = {"serving-operator.dev/phantom": "true"}
TOLERATION = {"key": "serving-operator.dev/phantom", "operator": "Exists"}
_HEARTBEAT_SECONDS = 2.0
_CONTROLLER = "example.com/phantom"
_CLASS: Manifest = {
    "apiVersion": kinds.GATEWAY_CLASS.api_version,
    "kind": "GatewayClass",
    "metadata": {"name": NAME},
    "spec": {"controllerName": _CONTROLLER},
}
_GATEWAY: Manifest = {
    "apiVersion": kinds.GATEWAY.api_version,
    "kind": "Gateway",
    "metadata": {"name": NAME},
    "spec": {
        "gatewayClassName": NAME,
        "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
    },
}


@contextmanager
def phantom_node(kube: Kube, namespace: str, pods: int) -> Iterator[None]:
    """Add the node and a Gateway, and answer for pods and routes in a namespace until the end; then they are gone."""
    node: Manifest = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NAME, "labels": SELECTOR},
        "spec": {"taints": [{"key": TOLERATION["key"], "effect": "NoSchedule"}]},
    }
    for manifest in (node, _CLASS):
        kube.kubectl("create", "-f", "-", stdin=manifest)
    kube.kubectl("create", "-n", namespace, "-f", "-", stdin=_GATEWAY)
    stop = threading.Event()
    thread = threading.Thread(target=_kubelet, args=(kube, namespace, pods, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        for service in kube.list(kinds.INFERENCE_SERVICE, namespace):
            kube.delete(kinds.INFERENCE_SERVICE, namespace, service["metadata"]["name"])
        kube.until("its pods are gone", lambda: not kube.list(kinds.POD, namespace))
        stop.set()
        thread.join()
        kube.kubectl("delete", "node,gatewayclass", NAME)


def _kubelet(kube: Kube, namespace: str, pods: int, stop: threading.Event) -> None:
    known: dict[str, str] = {}
    while not stop.is_set():
        try:
            _beat(kube, pods)
            for pod in kube.list(kinds.POD, namespace):
                if pod["spec"].get("nodeName") == NAME:
                    _serve(kube, pod, known)
            for route in kube.list(kinds.HTTP_ROUTE, namespace):
                _accept(kube, route)
        except httpx.TransportError:
            pass  # the API server may be away for a moment; the next round makes up for it
        stop.wait(_HEARTBEAT_SECONDS)


def _beat(kube: Kube, pods: int) -> None:
    resources = {"cpu": "1000", "memory": "1000Gi", "pods": str(pods)}
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Phantom",
        "message": "its pods run nothing",
        "lastHeartbeatTime": _now(),
    }
    status = {"capacity": resources, "allocatable": resources, "conditions": [condition]}
    kube.patch(kinds.NODE, None, NAME, {"status": status}, "status")


def _serve(kube: Kube, pod: Manifest, known: dict[str, str]) -> None:
    metadata = pod["metadata"]
    if metadata.get("deletionTimestamp"):
        kube.delete(kinds.POD, metadata["namespace"], metadata["name"], grace_seconds=0)
    elif metadata["uid"] not in known:
        number = len(known)
        known[metadata["uid"]] = metadata["name"]
        address = f"10.244.{250 + number // 200}.{1 + number % 200}"
        kube.patch(
            kinds.POD, metadata["namespace"], metadata["name"], {"status": _ready(pod, address)}, "status"
        )


def _accept(kube: Kube, route: Manifest) -> None:
    """Say of a route to our Gateway that it is carried out as it is now."""
    metadata, parent = route["metadata"], route["spec"]["parentRefs"][0]
    accepted = [
        {
            "type": kind,
            "status": "True",
            "reason": kind,
            "message": "",
            "observedGeneration": metadata["generation"],
            "lastTransitionTime": metadata["creationTimestamp"],
        }
        for kind in ("Accepted", "ResolvedRefs")
    ]
    said = [{"parentRef": parent, "controllerName": _CONTROLLER, "conditions": accepted}]
    if parent["name"] == NAME and route.get("status", {}).get("parents") != said:
        status = {"status": {"parents": said}}
        kube.patch(kinds.HTTP_ROUTE, metadata["namespace"], metadata["name"], status, "status")


def _ready(pod: Manifest, address: str) -> Manifest:
    now = _now()
    containers = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": container["image"],
            "ready": True,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": now}},
        }
        for container in pod["spec"]["containers"]
    ]
    conditions = [*pod["status"].get("conditions", [])] + [
        {"type": kind, "status": "True", "lastTransitionTime": now}
        for kind in ("Initialized", "ContainersReady", "Ready")
    ]
    return {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": now,
        "conditions": conditions,
        "containerStatuses": containers,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

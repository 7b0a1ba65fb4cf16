"""What a node, a gateway and an autoscaler say whose pods are Ready at once and carry nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from localcluster.objects import Object
from serving_io import kinds

NAME = "phantom"
CONTROLLER = "example.com/phantom"
GATEWAY_CLASS: Object = {
    "apiVersion": kinds.GATEWAY_CLASS.api_version,
    "kind": kinds.GATEWAY_CLASS.name,
    "metadata": {"name": NAME},
    "spec": {"controllerName": CONTROLLER},
}
GATEWAY: Object = {
    "apiVersion": kinds.GATEWAY.api_version,
    "kind": kinds.GATEWAY.name,
    "metadata": {"name": NAME},
    "spec": {
        "gatewayClassName": NAME,
        "listeners": [
            {
                "name": "http",
                "port": 80,
                "protocol": "HTTP",
                "allowedRoutes": {"namespaces": {"from": "All"}},
            }
        ],
    },
}


def node(labels: Mapping[str, str] | None = None, taints: Sequence[Object] = ()) -> Object:
    """Return the node that all pods are on."""
    return {
        "apiVersion": kinds.NODE.api_version,
        "kind": kinds.NODE.name,
        "metadata": {"name": NAME, "labels": dict(labels or {})},
        "spec": {"taints": list(taints)},
    }


def node_status(pods: int, now: str) -> Object:
    """Return the status of the node with room for so many pods; to be said anew, or the node is taken for lost."""
    resources = {"cpu": "1000", "memory": "1000Gi", "pods": str(pods)}
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Phantom",
        "message": "its pods run nothing",
        "lastHeartbeatTime": now,
    }
    return {"capacity": resources, "allocatable": resources, "conditions": [condition]}


def address(number: int) -> str:
    """Return the address of the pod of this number, from 0 to 63,999: from the end of the local cluster's 10.244.0.0/16."""
    rest, last = divmod(number, 250)
    return f"10.244.{255 - rest}.{1 + last}"


def ready(pod: Object, at: str, now: str) -> Object:
    """Return the status of a pod that is Ready at an address."""
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
    ours = ("Initialized", "ContainersReady", "Ready")
    conditions = [
        said for said in (pod.get("status") or {}).get("conditions", []) if said["type"] not in ours
    ] + [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in ours]
    return {
        "phase": "Running",
        "podIP": at,
        "podIPs": [{"ip": at}],
        "startTime": now,
        "conditions": conditions,
        "containerStatuses": containers,
    }


def accepted(route: Object) -> Object:
    """Return the status of a route that is carried out as it is now."""
    metadata = route["metadata"]
    conditions = [
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
    parents = [
        {"parentRef": parent, "controllerName": CONTROLLER, "conditions": conditions}
        for parent in route["spec"]["parentRefs"]
        if parent["name"] == NAME
    ]
    return {"parents": parents}


def reserve(autoscaler: Object) -> Object:
    """Return the answer of an autoscaler whose one replica carries everything."""
    return {
        "reservePercent": autoscaler["spec"]["share"]["reservePercent"],
        "replicas": 1,
        "readyReplicas": 1,
        "carriesPercent": 100,
        "observedGeneration": autoscaler["metadata"]["generation"],
    }

"""What the operator watches, and how much of each object it keeps."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving_api.names import COMMAND_LABELS, MANAGED_BY_LABEL, OPERATOR
from serving_io.kinds import (
    CLUSTER_SERVING_RUNTIME,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    GATEWAY,
    HTTP_ROUTE,
    INFERENCE_AUTOSCALER,
    INFERENCE_SERVICE,
    POD,
    POD_DISRUPTION_BUDGET,
    SERVICE,
    SERVING_RUNTIME,
    Kind,
)
from serving_operator.owned import absent
from serving_operator.world import Manifest

OURS = f"{MANAGED_BY_LABEL}={OPERATOR}"


@dataclass(frozen=True, slots=True)
class Watched:
    """A kind and the label selector by which the server filters it; everything crosses the wire without one."""

    kind: Kind
    selector: str = OURS


WATCHED = (
    Watched(INFERENCE_SERVICE, selector=""),
    Watched(SERVING_RUNTIME, selector=""),
    Watched(INFERENCE_AUTOSCALER),
    Watched(CONTROLLER_REVISION),
    Watched(DEPLOYMENT),
    Watched(SERVICE),
    Watched(POD_DISRUPTION_BUDGET),
    Watched(POD),
    # The controller that makes them copies the Service's labels.
    Watched(ENDPOINT_SLICE),
)
CLUSTER_WATCHED = (Watched(CLUSTER_SERVING_RUNTIME, selector=""),)
"""Watched only by an operator of all namespaces: one of some needs no right beyond them."""
GATEWAY_WATCHED = (Watched(HTTP_ROUTE), Watched(GATEWAY, selector=""))
"""Watched only where the Gateway API is installed."""

CHILD_KINDS = frozenset(
    kind.name
    for kind in (
        INFERENCE_AUTOSCALER,
        CONTROLLER_REVISION,
        DEPLOYMENT,
        SERVICE,
        POD_DISRUPTION_BUDGET,
        HTTP_ROUTE,
    )
)
"""Kinds of the objects that the operator writes."""

_POD_SPEC = ("nodeName", "schedulerName", "containers")
_CONTAINER = ("name", "image", "resources")
# Of these, every field that we own is kept: they are small, and their fields come and go.
_FULL_OWNERSHIP = frozenset({INFERENCE_SERVICE.name, INFERENCE_AUTOSCALER.name, HTTP_ROUTE.name})


def kept(manifest: Mapping[str, Any]) -> Manifest:
    """Return the object without what no decision reads.

    Of `managedFields`, which outweigh all the rest, stays: which labels and annotations are ours, who owns a
    Deployment's replicas and which zeros of its pods are ours that it does not have, who set a command label, and all
    that is ours of the kinds whose fields come and go.
    """
    result = dict(manifest)
    metadata = dict(result.get("metadata") or {})
    owned = [entry for entry in map(_reduced(result), metadata.pop("managedFields", ())) if entry]
    if owned:
        metadata["managedFields"] = owned
    result["metadata"] = metadata
    if result.get("kind") == POD.name:
        spec = result.get("spec") or {}
        result["spec"] = {key: spec[key] for key in _POD_SPEC if key in spec}
        result["spec"]["containers"] = [
            {key: container[key] for key in _CONTAINER if key in container}
            for container in spec.get("containers") or ()
        ]
    shared: Manifest = _shared(result)
    return shared


def _shared(value: Any) -> Any:
    """Return the value with each text kept once in the process: objects of a kind say the same of thousands of services."""
    if isinstance(value, dict):
        return {sys.intern(key): _shared(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shared(item) for item in value]
    return sys.intern(value) if isinstance(value, str) else value


def _reduced(manifest: Manifest) -> Any:
    kind = manifest.get("kind")

    def reduce(entry: Mapping[str, Any]) -> Manifest | None:
        fields = entry.get("fieldsV1") or {}
        if entry.get("manager") != OPERATOR:
            if kind == INFERENCE_SERVICE.name:
                labels = (fields.get("f:metadata") or {}).get("f:labels") or {}
                given: Manifest = {f"f:{label}": {} for label in COMMAND_LABELS if f"f:{label}" in labels}
                stated = {"manager": entry.get("manager"), "fieldsV1": {"f:metadata": {"f:labels": given}}}
                return stated if given else None
            if kind != DEPLOYMENT.name or "f:replicas" not in (fields.get("f:spec") or {}):
                return None
            fields = {"f:spec": {"f:replicas": {}}}
        elif kind not in _FULL_OWNERSHIP:
            owned = fields.get("f:metadata") or {}
            metadata = {
                key: owned[key] for key in ("f:labels", "f:annotations", "f:ownerReferences") if key in owned
            }
            ours = fields.get("f:spec") or {}
            spec: Manifest = {"f:replicas": {}} if "f:replicas" in ours else {}
            if kind == DEPLOYMENT.name:
                spec = absent(ours, manifest.get("spec") or {}) | spec
            fields = {key: value for key, value in (("f:metadata", metadata), ("f:spec", spec)) if value}
        stated = {key: entry[key] for key in ("manager", "operation", "subresource") if entry.get(key)}
        return stated | {"fieldsV1": fields}

    return reduce

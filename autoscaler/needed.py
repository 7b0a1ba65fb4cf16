"""What is read of an object of the API: a fraction of it, and there are many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from serving_api.names import AUTOSCALER, SERVICE_LABEL


def _owner(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry.get(key) for key in ("manager", "subresource", "fieldsV1")}


def _autoscaler(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {"spec": manifest.get("spec") or {}, "status": manifest.get("status") or {}}


def _deployment(manifest: Mapping[str, Any]) -> dict[str, Any]:
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    return {
        "spec": {key: spec[key] for key in ("replicas",) if key in spec},
        "status": {key: status[key] for key in ("replicas", "readyReplicas") if key in status},
    }


def _scaler(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {"spec": {"scaleTargetRef": (manifest.get("spec") or {}).get("scaleTargetRef") or {}}}


_CONTENT: Final[dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "autoscalers": _autoscaler,
    "deployments": _deployment,
    "horizontal_pod_autoscalers": _scaler,
    "scaled_objects": _scaler,
}
_METADATA: Final = ("name", "namespace", "uid", "generation", "creationTimestamp", "deletionTimestamp")


def needed(kind: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a tick decides from: no pod template, nobody else's fields, no resourceVersion."""
    full = manifest["metadata"]
    metadata: dict[str, Any] = {key: full[key] for key in _METADATA if full.get(key) is not None}
    if service := (full.get("labels") or {}).get(SERVICE_LABEL):
        metadata["labels"] = {SERVICE_LABEL: service}
    if kind == "deployments":
        owners = [
            _owner(entry) for entry in full.get("managedFields") or () if entry.get("manager") == AUTOSCALER
        ]
        metadata["managedFields"] = owners
    return {"metadata": metadata, **_CONTENT[kind](manifest)}


def kept(kind: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the loop keeps of an object: what a tick decides from, and what its writes and events name."""
    found = needed(kind, manifest)
    metadata = {**found["metadata"], "resourceVersion": manifest["metadata"].get("resourceVersion")}
    return {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], **found, "metadata": metadata}

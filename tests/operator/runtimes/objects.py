"""Runtimes as read from the API server."""

from __future__ import annotations

from typing import Any

from serving_operator.world import Manifest


def runtime(
    name: str, *formats: dict[str, Any], cluster: bool = False, version: int = 1, **spec: Any
) -> Manifest:
    """A ServingRuntime (or ClusterServingRuntime) that serves formats; `spec` is merged over the rest."""
    metadata = {"name": name, "uid": name, "resourceVersion": str(version)}
    return {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "ClusterServingRuntime" if cluster else "ServingRuntime",
        "metadata": metadata if cluster else metadata | {"namespace": "team"},
        "spec": {
            "supportedModelFormats": list(formats),
            "containers": [{"name": "model", "image": f"example.com/{name}:1"}],
        }
        | spec,
    }

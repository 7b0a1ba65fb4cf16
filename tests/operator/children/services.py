"""InferenceServices to render."""

from __future__ import annotations

from typing import Any

from serving_api.revision import revision_of
from serving_api.service import InferenceService
from serving_operator.children.revision import controller_revision
from serving_operator.runtimes.catalogue import Catalogue
from serving_operator.world import Manifest

CONTAINER: dict[str, Any] = {"container": {"image": "example.com/llm:1"}}
MODEL: dict[str, Any] = {
    "model": {"modelFormat": {"name": "sklearn"}, "storageUri": "pvc://models/digits/v1"}
}


def raw(predictor: dict[str, Any] | None = None, **spec: Any) -> Manifest:
    """An InferenceService as read; `predictor` is merged over a container, `spec` over the rest."""
    stated = predictor or {}
    source = {} if "model" in stated or "container" in stated else CONTAINER
    return {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": "llama", "namespace": "team", "uid": "uid-of-llama", "generation": 1},
        "spec": {
            "predictor": source | {"maxReplicas": 4} | stated,
            "objective": {"thresholdMilliseconds": 300},
            "route": {
                "parentRefs": [{"name": "gw", "namespace": "infra"}],
                "hostnames": ["llama.example.com"],
            },
        }
        | spec,
    }


def service(predictor: dict[str, Any] | None = None, **spec: Any) -> InferenceService:
    """The same, parsed."""
    return InferenceService.parse(raw(predictor, **spec))


def recorded(predictor: dict[str, Any] | None = None, **spec: Any) -> tuple[InferenceService, Manifest]:
    """A service, and the ControllerRevision of what it asks for."""
    made = service(predictor, **spec)
    return made, controller_revision(
        made, revision_of(made.spec.predictor), 1, {"id": "x"}, stable=False, runtimes=Catalogue()
    )


def pod(predictor: dict[str, Any] | None = None) -> Manifest:
    """The pod template of a service."""
    _, record = recorded(predictor)
    template: Manifest = record["data"]["podTemplate"]
    return template

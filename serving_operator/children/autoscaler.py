"""InferenceAutoscaler of a revision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving_api.names import API_VERSION, AUTOSCALER_KIND, revision_name
from serving_api.scaling import Objective
from serving_api.service import InferenceService
from serving_operator.children.metadata import metadata
from serving_operator.runtimes.catalogue import Catalogue
from serving_operator.runtimes.resolve import resolved_record
from serving_operator.world import Manifest


def inference_autoscaler(
    service: InferenceService,
    revision: str,
    *,
    objective: Objective | Manifest,
    min_replicas: int,
    max_replicas: int,
    share: Manifest,
    scale_down: str,
    runtimes: Catalogue,
    revision_object: Manifest | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """Return the InferenceAutoscaler that scales the revision's Deployment.

    Without `scaling.signals` its metrics are those of the runtime that `revision_object` recorded, or where it says
    nothing of the runtime that the spec asks for.
    """
    scaling = service.spec.scaling
    name = revision_name(service.key.name, revision)
    recorded = ((revision_object or {}).get("data") or {}).get("runtime") or {}
    profile = (
        scaling.signals.profile
        if scaling.signals
        else recorded.get("profile") or _profile_today(service, runtimes) or "gateway"
    )
    held = objective if isinstance(objective, Objective) else Objective.model_validate(objective)
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": min_replicas,
        "maxReplicas": max_replicas,
        "objective": held.wire(),
        "signals": {"profile": profile},
        "share": share,
        "scaleDown": scale_down,
        "mode": scaling.mode or "Auto",
    }
    if scaling.gpu is not None:
        spec["gpu"] = scaling.gpu.wire()
    if scaling.scale_down_hold_seconds is not None:
        spec["scaleDownHoldSeconds"] = scaling.scale_down_hold_seconds
    return {
        "apiVersion": API_VERSION,
        "kind": AUTOSCALER_KIND,
        "metadata": metadata(service, name, revision=revision, annotations=annotations),
        "spec": spec,
    }


def _profile_today(service: InferenceService, runtimes: Catalogue) -> str | None:
    return (resolved_record(service.spec.predictor, runtimes) or {}).get("profile")

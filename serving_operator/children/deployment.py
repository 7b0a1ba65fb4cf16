"""Deployment of a revision, rebuilt from what was recorded of it."""

from __future__ import annotations

from typing import Any

from serving_api.names import revision_name, selector_labels
from serving_api.service import InferenceService
from serving_operator.children.metadata import metadata, revision_in
from serving_operator.children.pod import has_accelerators
from serving_operator.world import DEFAULT_SETTINGS, Manifest, Settings

# The rollout has deadlines of its own; the Deployment's verdict would only come in between.
PROGRESS_DEADLINE_SECONDS = 2_000_000
REVISION_HISTORY_LIMIT = 2


def deployment(
    service: InferenceService,
    revision_object: Manifest,
    replicas: int | None,
    *,
    settings: Settings = DEFAULT_SETTINGS,
) -> Manifest:
    """Return the Deployment of a recorded revision. Without `replicas` their number is somebody else's to set."""
    revision = revision_in(revision_object)
    template = revision_object["data"]["podTemplate"]
    # A pod with devices cannot be replaced by a second one beside it: there may be no device for that.
    surge, unavailable = (0, 1) if has_accelerators(template) else (1, 0)
    spec: dict[str, Any] = {
        "selector": {"matchLabels": selector_labels(service.key.name, revision)},
        "template": template,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
        },
        "minReadySeconds": settings.min_ready_seconds,
        "progressDeadlineSeconds": PROGRESS_DEADLINE_SECONDS,
        "revisionHistoryLimit": REVISION_HISTORY_LIMIT,
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(service, revision_name(service.key.name, revision), revision=revision),
        "spec": spec,
    }

"""PodDisruptionBudget of a revision."""

from __future__ import annotations

from serving_api.names import revision_name, selector_labels
from serving_api.service import InferenceService
from serving_operator.children.metadata import metadata
from serving_operator.world import Manifest


def disruption_budget(service: InferenceService, revision: str) -> Manifest:
    """Return a budget that lets one pod go at a time; a pod that serves nobody never blocks a drain."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(service, revision_name(service.key.name, revision), revision=revision),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selector_labels(service.key.name, revision)},
        },
    }

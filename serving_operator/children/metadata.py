"""Metadata that every child has: its name, its labels, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving_api.names import API_VERSION, SERVICE_KIND, child_labels
from serving_api.service import InferenceService
from serving_operator.world import Manifest


def controller_reference(service: InferenceService) -> Manifest:
    """Say that the service controls the object: the garbage collector removes it with the service."""
    return {
        "apiVersion": API_VERSION,
        "kind": SERVICE_KIND,
        "name": service.key.name,
        "uid": service.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def metadata(
    service: InferenceService,
    name: str,
    *,
    revision: str | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """Metadata of a child in the service's namespace; `labels` are added to those of every child."""
    made: dict[str, Any] = {
        "name": name,
        "namespace": service.key.namespace,
        "labels": child_labels(service.key.name, revision) | dict(labels or {}),
        "ownerReferences": [controller_reference(service)],
    }
    if annotations:
        made["annotations"] = dict(annotations)
    return made


def revision_in(manifest: Manifest) -> str:
    """Return the revision that a child belongs to, by its name: that nobody can edit, as they could its labels."""
    return str(manifest["metadata"]["name"]).rpartition("-")[2]

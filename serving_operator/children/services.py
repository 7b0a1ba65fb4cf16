"""Services: one per revision, which the route weighs, and the stable one, for clients inside the cluster."""

from __future__ import annotations

from collections.abc import Mapping

from serving_api.names import HTTP_PORT_NAME, revision_name, selector_labels
from serving_api.service import InferenceService
from serving_operator.children.metadata import metadata, revision_in
from serving_operator.world import Manifest

SERVICE_PORT = 80


def revision_service(service: InferenceService, revision_object: Manifest) -> Manifest:
    """Return the Service of one revision."""
    revision = revision_in(revision_object)
    return _service(
        service, metadata(service, revision_name(service.key.name, revision), revision=revision), revision
    )


def stable_service(
    service: InferenceService, revision: str, annotations: Mapping[str, str] | None = None
) -> Manifest:
    """Return the Service named like the InferenceService; it selects this revision and no other."""
    return _service(service, metadata(service, service.key.name, annotations=annotations), revision)


def _service(service: InferenceService, described: Manifest, revision: str) -> Manifest:
    # What the API server would fill in is stated, so that an edit of it is seen.
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": described,
        "spec": {
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "selector": selector_labels(service.key.name, revision),
            "ports": [
                {
                    "name": HTTP_PORT_NAME,
                    "port": SERVICE_PORT,
                    "protocol": "TCP",
                    "targetPort": HTTP_PORT_NAME,
                }
            ],
        },
    }

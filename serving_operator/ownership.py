"""Whose an object is that has the name of a child. Only what is ours is ever written."""

from __future__ import annotations

import enum

from serving_api.names import API_VERSION, MANAGED_BY_LABEL, OPERATOR, SERVICE_KIND, SERVICE_LABEL, ServiceKey
from serving_operator.covers import covers
from serving_operator.world import Manifest


class Ownership(enum.Enum):
    """Whose an object is."""

    OURS = "Ours"
    """It carries our controller reference."""
    ADOPTABLE = "Adoptable"
    """It carries our labels and nobody's controller reference: a restore, or a deletion that orphaned it."""
    WAIT_FOR_GARBAGE_COLLECTION = "WaitForGarbageCollection"
    """Its controller is a deleted service of the same name: it goes by itself."""
    FOREIGN = "Foreign"
    """Somebody else's."""


def controller_of(manifest: Manifest) -> Manifest | None:
    """Return the owner reference of the object's controller."""
    for owner in (manifest.get("metadata") or {}).get("ownerReferences") or ():
        if owner.get("controller"):
            return dict(owner)
    return None


def classify(manifest: Manifest, service_uid: str, key: ServiceKey) -> Ownership:
    """Say whose the object is, as seen from the service `key` with uid `service_uid`."""
    owner = controller_of(manifest)
    if owner is None:
        labels = (manifest.get("metadata") or {}).get("labels") or {}
        labelled = labels.get(MANAGED_BY_LABEL) == OPERATOR and labels.get(SERVICE_LABEL) == key.name
        return Ownership.ADOPTABLE if labelled else Ownership.FOREIGN
    if owner.get("uid") == service_uid:
        return Ownership.OURS
    of_a_service = owner.get("kind") == SERVICE_KIND and _group(owner) == API_VERSION.partition("/")[0]
    if of_a_service and owner.get("name") == key.name:
        return Ownership.WAIT_FOR_GARBAGE_COLLECTION
    return Ownership.FOREIGN


def same_content(live: Manifest, wanted: Manifest) -> bool:
    """Whether an object without a controller has the content that we would give it, so that it may be adopted."""
    metadata = {key: value for key, value in wanted["metadata"].items() if key != "ownerReferences"}
    unowned = live | {
        "metadata": {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    }
    return covers(unowned, wanted | {"metadata": metadata})


def removal_command(manifest: Manifest) -> str:
    """Return the command that removes an object that is in the way."""
    metadata = manifest["metadata"]
    group = _group(manifest)
    kind = str(manifest["kind"]).lower() + (f".{group}" if group else "")
    return f"kubectl -n {metadata['namespace']} delete {kind} {metadata['name']}"


def _group(stated: Manifest) -> str:
    version = str(stated.get("apiVersion", ""))
    return version.partition("/")[0] if "/" in version else ""


def replicas_owners(deployment: Manifest) -> frozenset[str]:
    """Return the field managers, ours aside, that own a Deployment's `spec.replicas`."""
    return frozenset(
        str(entry.get("manager"))
        for entry in (deployment.get("metadata") or {}).get("managedFields") or ()
        if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        and entry.get("manager") != OPERATOR
    )

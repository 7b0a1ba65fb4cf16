"""The one write that makes an object what is wanted, or the reason why it must not be made."""

from __future__ import annotations

from typing import NamedTuple

from serving_operator.covers import covers
from serving_operator.ownership import Ownership, classify, controller_of, removal_command, same_content
from serving_operator.rollout.observed import Observed
from serving_operator.world import Manifest, ObjectId, Write

TRAFFIC_KINDS = frozenset({"HTTPRoute", "Service"})
"""Kinds whose writes move traffic: they hold only for the version that they were decided on."""


class Ensured(NamedTuple):
    """The write, if one is needed and allowed; else, for an object that is somebody else's, what to do about it."""

    write: Write | None = None
    conflict: str | None = None
    adopts: bool = False
    waits: bool = False
    """Whether an object that is not ours has to go first: as a rule no watch of ours tells when."""


def ensure(observed: Observed, wanted: Manifest, why: str, *, versioned: bool = False) -> Ensured:
    """Return what makes the wanted object so. Objects that nobody controls are adopted if they are the same."""
    key = ObjectId(wanted["kind"], wanted["metadata"]["name"])
    live = observed.world.objects.get(key)
    if live is not None:
        if live["metadata"].get("deletionTimestamp") or covers(live, wanted):
            return Ensured()
        return Ensured(_apply(live, wanted, why, versioned))
    stranger = observed.world.strangers.get(key)
    if stranger is None:
        return Ensured(Write("create", wanted, why))
    owner = classify(stranger, observed.service.uid, observed.world.key)
    if owner is Ownership.WAIT_FOR_GARBAGE_COLLECTION or stranger["metadata"].get("deletionTimestamp"):
        return Ensured(waits=True)
    if owner is Ownership.OURS or (owner is Ownership.ADOPTABLE and same_content(stranger, wanted)):
        return Ensured(_apply(stranger, wanted, f"{why}; it is adopted", versioned), adopts=True)
    return Ensured(conflict=conflict_message(stranger), waits=True)


def checked(observed: Observed, write: Write) -> Ensured:
    """Let a decided write through only if its target is ours or does not exist."""
    key = ObjectId(write.manifest["kind"], write.manifest["metadata"]["name"])
    if write.verb != "create" or key not in observed.world.strangers:
        return Ensured(write)
    return ensure(observed, write.manifest, write.why)


def conflict_message(stranger: Manifest) -> str:
    """Say which object is in the way and how to resolve it: what has a controller would be made again if it were deleted."""
    metadata, controller = stranger["metadata"], controller_of(stranger)
    told = (
        f"{stranger['kind']} {metadata['namespace']}/{metadata['name']} has the name of a child and is not ours; it is "
        "left alone."
    )
    if controller is None:
        return f"{told} Give this service another name, or remove the object: {removal_command(stranger)}"
    maker = f"{controller['kind']} {controller['name']} ({controller['apiVersion']})"
    return (
        f"{told} It is made by {maker}; give this service another name, or remove that {controller['kind']}."
    )


def _apply(live: Manifest, wanted: Manifest, why: str, versioned: bool) -> Write:
    metadata = live["metadata"]
    version = metadata.get("resourceVersion") if versioned or wanted["kind"] in TRAFFIC_KINDS else None
    return Write("apply", wanted, why, uid=metadata.get("uid"), resource_version=version)

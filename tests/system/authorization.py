"""What the shipped roles grant, and what the authorizer was asked for, by the API server's audit log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.system.kube import ROOT, Manifest

SYSTEM = "serving-system"
REACHED_ADMISSION = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.FORBIDDEN)
"""Answers to writes about whose owner references admission has asked, or may have."""


class Check(NamedTuple):
    """One question to the authorizer; `name` only where a role names objects."""

    group: str
    resource: str
    verb: str
    name: str = ""


def granted(program: str) -> set[Check]:
    """What the shipped roles allow."""
    path = ROOT / "manifests" / "base" / f"rbac-{program.removeprefix('serving-')}.yaml"
    return {
        Check(group, resource, verb, name)
        for document in yaml.safe_load_all(path.read_text())
        for rule in document.get("rules", [])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def asked(program: str, audit_log: Path, since: int = 0) -> Iterator[Check]:
    """What the authorizer was asked for the program from a byte of the log on, with what admission and apply add.

    What a namespace has granted by a binding of its own is left out.
    """
    user = f"system:serviceaccount:{SYSTEM}:{program}"
    named = {check.name for check in granted(program)}
    owned: set[Place] = set()
    for line in whole_lines(audit_log, since):
        event = json.loads(line)
        reference = event.get("objectRef")
        if reference is None:  # it is discovery
            continue
        if event["user"]["username"] != user:
            if event["verb"] in ("create", "delete") or stated_owners(event) is not None:
                owned.discard(Place.of(event))
            continue
        if granted_by_a_namespace(event):
            continue
        group, resource = reference.get("apiGroup", ""), reference["resource"]
        if "subresource" in reference:
            resource += f"/{reference['subresource']}"
        # The authorizer is not told the name of what is created.
        name = reference.get("name", "") if event["verb"] != "create" else ""
        yield Check(group, resource, event["verb"], name if name in named else "")
        created = event["verb"] == "create" or code(event) == HTTPStatus.CREATED
        if created and event["verb"] == "patch":
            yield Check(group, resource, "create")
        owners = stated_owners(event)
        if owners and code(event) in REACHED_ADMISSION and (created or Place.of(event) not in owned):
            if not created:
                yield Check(group, resource, "delete")
            if any(owner.get("blockOwnerDeletion") for owner in owners):
                yield Check("serving-operator.dev", "inferenceservices/finalizers", "update")
            if code(event) != HTTPStatus.FORBIDDEN:
                owned.add(Place.of(event))


def granted_by_a_namespace(event: Manifest) -> bool:
    """Whether a binding in another namespace than the program's allowed it, as one for model storage may: the roles need not."""
    reason = event.get("annotations", {}).get("authorization.k8s.io/reason", "")
    found = re.match(r'RBAC: allowed by RoleBinding "[^/"]+/([^"]+)"', reason)
    return found is not None and found[1] != SYSTEM


class Place(NamedTuple):
    """Where an object is. What it was written with is known of those whose writes are logged with their content."""

    resource: str
    namespace: str
    name: str

    @classmethod
    def of(cls, event: Manifest) -> Place:
        """Where the object of an event of the log is."""
        reference = event["objectRef"]
        return cls(reference["resource"], reference.get("namespace", ""), reference.get("name", ""))


def code(event: Manifest) -> int:
    """The HTTP status of the answer."""
    return int(event.get("responseStatus", {}).get("code", 0))


def stated_owners(event: Manifest) -> list[Manifest] | None:
    """The owner references that a write states, or None if it leaves them as they are."""
    content = event.get("requestObject") or {}
    if isinstance(content, list):  # a JSON patch
        return [] if any(entry["path"].startswith("/metadata/ownerReferences") for entry in content) else None
    metadata = content.get("metadata") or {}
    return (metadata["ownerReferences"] or []) if "ownerReferences" in metadata else None


def whole_lines(path: Path, since: int) -> Iterator[bytes]:
    """The lines of a file that grows, from a byte on."""
    with path.open("rb") as file:
        file.seek(since)
        for line in file:
            if line.endswith(b"\n"):
                yield line

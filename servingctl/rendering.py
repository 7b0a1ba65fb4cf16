"""The objects that the operator would make of a service, by the operator's own functions."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serving_api.names import Attempt, revision_name
from serving_api.revision import revision_of
from serving_api.service import InferenceService
from serving_api.status import StableStatus
from serving_operator.children.revision import controller_revision
from serving_operator.repair import records, repair
from serving_operator.rollout.attempts import in_force
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State
from serving_operator.routes import with_defaults
from serving_operator.runtimes.catalogue import Catalogue
from serving_operator.world import DEFAULT_SETTINGS, Manifest, ObjectId, Settings, World

NO_UID = "00000000-0000-0000-0000-000000000000"
BUILT_IN_ALONE = Catalogue()
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A service's first revision as it is once it serves."""

    revision: str
    children: tuple[Manifest, ...]


def placed(manifest: Manifest, namespace: str) -> Manifest:
    """Return a service as the API server would have it: with a namespace, a uid and a version."""
    made = copy.deepcopy(manifest)
    metadata = made["metadata"]
    metadata.setdefault("namespace", namespace)
    metadata.setdefault("uid", NO_UID)
    metadata.setdefault("generation", 1)
    metadata.setdefault("resourceVersion", "1")
    return made


def render(
    manifest: Manifest,
    namespace: str,
    *,
    routes_served: bool = True,
    runtimes: Catalogue = BUILT_IN_ALONE,
    settings: Settings = DEFAULT_SETTINGS,
) -> Rendered:
    """Return the children of a service without a cluster's past.

    Raises pydantic.ValidationError if it is not valid, and Unresolved if no runtime serves its model.

    Owner references are left out: only the API server knows the uid that they carry.
    """
    raw = placed(manifest, namespace)
    if (asked := raw["spec"].get("route")) is not None:
        raw["spec"]["route"] = with_defaults(asked, raw["metadata"], settings.route)
    service = InferenceService.parse(raw)
    revision = revision_of(service.spec.predictor)
    attempt = Attempt(revision, 1)
    empty = World(key=service.key, service=raw, objects={}, routes_served=routes_served, runtimes=runtimes)
    described = in_force(Observed(empty, settings, _EPOCH, service), attempt)
    record = controller_revision(
        service, revision, attempt.number, described, False, runtimes=runtimes, settings=settings
    )
    world = World(
        key=service.key,
        service=raw,
        objects={ObjectId("ControllerRevision", revision_name(service.key.name, revision)): record},
        routes_served=routes_served,
        runtimes=runtimes,
    )
    observed = Observed(world, settings, _EPOCH, service)
    state = State(stable=StableStatus(id=str(attempt), revision=revision))
    writes = [
        ensured.write.manifest
        for ensured in repair(observed, state, records(observed, state))
        if ensured.write is not None
    ]
    made = [record, *(child for child in writes if child["kind"] != "ControllerRevision")]
    return Rendered(revision, tuple(_unowned(child) for child in made))


def identities(children: Sequence[Manifest]) -> list[str]:
    """Name objects as kubectl does: `deployment/digits-3f9c2a71`."""
    return [f"{child['kind'].lower()}/{child['metadata']['name']}" for child in children]


def _unowned(child: Manifest) -> dict[str, Any]:
    metadata = {key: value for key, value in child["metadata"].items() if key != "ownerReferences"}
    return child | {"metadata": metadata}

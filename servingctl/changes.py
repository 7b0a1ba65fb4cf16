"""What the operator would write, beside what is there: a difference that people can read."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from serving_api.names import revision_name
from serving_api.revision import canonical_fields, revision_of
from serving_api.service import InferenceService
from serving_operator.decide import decide
from serving_operator.world import DEFAULT_SETTINGS, Manifest, ObjectId, Settings, World, Write
from servingctl.paths import leaves, spelled, value_at
from servingctl.rendering import NO_UID, identities, render
from servingctl.yaml_text import as_yaml

CONTROLLER_REVISION = "ControllerRevision"


@dataclass(frozen=True, slots=True)
class Change:
    """One write that is due."""

    object: str
    verb: str
    why: str
    difference: str

    def wire(self) -> dict[str, str]:
        """Return it for JSON and YAML."""
        return {"object": self.object, "verb": self.verb, "why": self.why, "difference": self.difference}


@dataclass(frozen=True, slots=True)
class Changes:
    """What would happen to a service."""

    revision_now: str | None
    """The committed revision; None before the first."""
    revision_wanted: str
    fields: tuple[str, ...]
    """What shapes the pods and is different, one line each."""
    due: tuple[Change, ...]
    """The writes of the next look; each later one is decided when these were seen."""
    then: tuple[str, ...]
    """Objects of the wanted revision that are made one after the other."""


def changes(
    world: World, live: Manifest | None, now: datetime, settings: Settings = DEFAULT_SETTINGS
) -> Changes:
    """Return what the operator would do now; `live` is the service as the cluster has it.

    Raises pydantic.ValidationError, and Unresolved if no runtime serves its model.
    """
    service = InferenceService.parse(world.service)
    wanted = revision_of(service.spec.predictor)
    status = (live or {}).get("status") or {}
    now_revision = (status.get("stable") or {}).get("revision")
    plan = decide(world, settings, now)
    due = tuple(_change(world, write, now_revision) for write in plan.writes)
    rendered = render(
        world.service,
        world.key.namespace,
        routes_served=world.routes_served,
        runtimes=world.runtimes,
        settings=settings,
    )
    there = {(identity.kind, identity.name) for identity in (*world.objects, *world.strangers)}
    missing = [
        child for child in rendered.children if (child["kind"], child["metadata"]["name"]) not in there
    ]
    named = {change.object for change in due}
    then = tuple(name for name in identities(missing) if name not in named)
    fields = tuple(_fields(live, service)) if live is not None else ()
    return Changes(now_revision, wanted, fields, due, then)


def _change(world: World, write: Write, stable: str | None) -> Change:
    manifest = write.manifest
    name, live = "live", world.objects.get(ObjectId(manifest["kind"], manifest["metadata"]["name"]))
    if live is None and manifest["kind"] == CONTROLLER_REVISION and stable is not None:
        # What is new of a revision is what it does not have in common with the committed one.
        name = revision_name(world.key.name, stable)
        live = world.objects.get(ObjectId(CONTROLLER_REVISION, name))
    before = "" if live is None else _sorted(live if write.verb == "delete" else projected(live, manifest))
    after = "" if write.verb == "delete" else _sorted(_comparable(manifest))
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, "wanted", lineterm="", n=2)
    return Change(identities([manifest])[0], write.verb, write.why, "\n".join(lines))


def _fields(live: Manifest, service: InferenceService) -> Iterator[str]:
    old = canonical_fields(InferenceService.parse(live).spec.predictor)
    new = canonical_fields(service.spec.predictor)
    for path in dict.fromkeys((*leaves(old), *leaves(new))):
        was, will = _at(old, path), _at(new, path)
        if was != will:
            yield f"predictor.{spelled(path)}: {_shown(was)} -> {_shown(will)}"


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    try:
        return value_at(value, path)
    except KeyError:
        return None


def _shown(value: Any) -> str:
    return "(absent)" if value is None else str(value)


def projected(live: Any, wanted: Any) -> Any:
    """Return of a live value what the wanted one speaks of: what the server filled in is nobody's wish."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        return {key: projected(live[key], wanted[key]) for key in wanted if key in live}
    if isinstance(live, list) and isinstance(wanted, list) and len(live) == len(wanted):
        return [projected(one, other) for one, other in zip(live, wanted, strict=True)]
    return live


def _comparable(manifest: Manifest) -> Manifest:
    metadata = {
        key: item for key, item in manifest["metadata"].items() if key not in ("uid", "resourceVersion")
    }
    if any(owner["uid"] == NO_UID for owner in metadata.get("ownerReferences") or ()):
        del metadata["ownerReferences"]  # the service is not there yet
    return manifest | {"metadata": metadata}


def _sorted(manifest: Manifest) -> str:
    return as_yaml(manifest, sort_keys=True)

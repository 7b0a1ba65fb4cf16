"""What a real API server holds of one run, in the form of the fake's store: all that looks at the store looks here.

What the operator watches is learned from the server's own watches, the rest from its answers. Nobody else writes in
the run's namespaces, so each write is followed until the watch of its kind tells of it; only then virtual time goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from serving_io import kinds
from tests.campaign.real.connection import Connection, Lost, Stream
from tests.fakes.kube.ownership import Managers, stated_managers
from tests.fakes.kube.requests import Refused, Target
from tests.fakes.kube.resources import Resource
from tests.fakes.kube.shapes import Json
from tests.fakes.kube.store import Change, Key, Record, Store

WATCHED = (
    kinds.INFERENCE_SERVICE, kinds.INFERENCE_AUTOSCALER, kinds.CONTROLLER_REVISION, kinds.DEPLOYMENT, kinds.SERVICE,
    kinds.POD_DISRUPTION_BUDGET, kinds.POD, kinds.ENDPOINT_SLICE, kinds.HTTP_ROUTE,
)  # fmt: skip
_SERVERS_OWN = {
    "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "deletionTimestamp",
    "deletionGracePeriodSeconds",
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """An object as the server told of it; stands in for the fake's `Record`."""

    shown: Json

    @cached_property
    def manifest(self) -> Json:
        """Without managedFields."""
        metadata = {k: v for k, v in self.shown["metadata"].items() if k != "managedFields"}
        return {**self.shown, "metadata": metadata}

    @cached_property
    def managers(self) -> Managers:
        """Who owns which fields."""
        return stated_managers(self.shown["metadata"].get("managedFields") or [])


@dataclass
class _Stamps:
    """When, on the run's own clock, an object came, began to go, and was last written."""

    born: str
    written: str
    version: str
    going: str = ""


class Mirror(Store):
    """The objects of one run on a real API server, and its writers without a request of their own."""

    def __init__(self, connection: Connection, resources: list[Resource], now: Callable[[], str]) -> None:
        """`now`: virtual time to the second, as objects state it."""
        super().__init__()
        self.garbage_collection = False
        self.objects = {resource: {} for resource in resources}
        self.verbs: Any = None
        """The requests by which `put` and `delete` are carried out."""
        self._connection, self._now = connection, now
        self._streams: dict[Resource, Stream] = {}
        self._stamps: dict[str, _Stamps] = {}
        self._stated: dict[tuple[Resource, Key, str], tuple[Json, Json]] = {}

    def follow(self, version: str, namespace: str) -> None:
        """Begin to watch a namespace from a version on."""
        self.version = int(version)
        for resource in self.objects:
            if resource.kind in WATCHED:
                self._streams[resource] = self._connection.watch(resource.kind.path(namespace), version)

    def close(self) -> None:
        """End the watches."""
        for stream in self._streams.values():
            stream.close()

    @property
    def followed(self) -> set[Resource]:
        """Whose changes are learned from watches."""
        return set(self._streams)

    def versions(self, resource: Resource) -> dict[str, str]:
        """The resourceVersion of each object of a kind, by its name."""
        records = self.objects[resource].items()
        return {name: record.shown["metadata"]["resourceVersion"] for (_, name), record in records}

    # What the server says

    def stamped(self, told: Json) -> Json:
        """The object with the server's times as the run's own: what happens now happens now in virtual time."""
        metadata = dict(told["metadata"])
        now, uid, version = self._now(), metadata.get("uid", ""), metadata.get("resourceVersion", "")
        stamps = self._stamps.setdefault(uid, _Stamps(now, now, version))
        if stamps.version != version:
            stamps.version, stamps.written = version, now
        if "creationTimestamp" in metadata:
            metadata["creationTimestamp"] = stamps.born
        if "deletionTimestamp" in metadata:
            stamps.going = stamps.going or now
            metadata["deletionTimestamp"] = stamps.going
        if "managedFields" in metadata:
            metadata["managedFields"] = [
                {**entry, "time": stamps.written} for entry in metadata["managedFields"]
            ]
        return {**told, "metadata": metadata}

    def learn(self, resource: Resource, answer: Json, *, gone: bool) -> None:
        """Take note of what a write has done: from the watch of its kind, or, where there is none, from the answer."""
        metadata = answer["metadata"]
        known = self.objects[resource].get((metadata.get("namespace", ""), metadata["name"]))
        if not gone and known and known.shown["metadata"]["resourceVersion"] == metadata["resourceVersion"]:
            return
        if resource not in self._streams:
            self._told(resource, answer, gone)
            return
        type_ = ""
        while type_ != "DELETED" if gone else not type_:  # what has no grace is marked first, and then goes
            type_, told = self._streams[resource].next()
            if told["metadata"]["uid"] != metadata["uid"] or (type_ == "DELETED" and not gone):
                raise Lost(f"after {metadata['name']} the watch tells {type_} {told['metadata']['name']}")
            self._told(resource, told, type_ == "DELETED")

    def _told(self, resource: Resource, told: Json, gone: bool) -> None:
        shown = self.stamped({"apiVersion": resource.kind.api_version, "kind": resource.kind.name, **told})
        metadata = shown["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        self.version = max(self.version, int(metadata["resourceVersion"]))
        old = self.objects[resource].get(key)
        if gone:
            old = self.objects[resource].pop(key)
            self._tell(Change(self.version, resource, old.shown, None, old))
            return
        record: Any = Seen(shown)
        self.objects[resource][key] = record
        self._tell(Change(self.version, resource, old and old.shown, shown, old))

    # Those who write without a request of their own

    def put(self, resource: Resource, manifest: Json, managers: Managers) -> Record:
        """Bring an object to what is stated, by a creation or an update, and by one of its status.

        What was stated before is not stated again as long as its outcome stands.
        """
        metadata = manifest["metadata"]
        target = Target(resource, metadata.get("namespace", ""), metadata["name"])
        stated = _without_status(manifest, resource)
        if target.key not in self.objects[resource]:
            self.verbs.create(target, stated, self.verbs.actor())
            self._note(target, "", stated)
        else:
            self._update(target, "", stated)
        if resource.has_status and (manifest.get("status") or self._part(target, "status")):
            self._update(target, "status", manifest.get("status"))
        return self.objects[resource][target.key]

    def _update(self, target: Target, part: str, stated: Json) -> None:
        live, place = self._part(target, part), (target.resource, target.key, part)
        if stated == live or self._stated.get(place) == (stated, live):
            return
        record = self.objects[target.resource][target.key]
        known = record.manifest["metadata"]
        identity = {key: known[key] for key in ("uid", "resourceVersion")}
        body = {**_without_status(record.manifest, target.resource), "status": stated} if part else stated
        body = {**body, "metadata": {**body["metadata"], **identity}}
        self.verbs.replace(
            Target(target.resource, target.namespace, target.name, part), body, self.verbs.actor()
        )
        self._note(target, part, stated)

    def _note(self, target: Target, part: str, stated: Json) -> None:
        self._stated[target.resource, target.key, part] = (stated, self._part(target, part))

    def _part(self, target: Target, part: str) -> Json:
        manifest = self.objects[target.resource][target.key].manifest
        return manifest.get("status") if part else _without_status(manifest, target.resource)

    def delete(self, resource: Resource, key: Key, propagation: str = "Background") -> Record:
        """Delete the object that is known, and no other."""
        record = self.objects[resource][key]
        options = {
            "propagationPolicy": propagation,
            "preconditions": {"uid": record.manifest["metadata"]["uid"]},
        }
        with contextlib.suppress(Refused):
            self.verbs.delete(Target(resource, *key), options)
        return record


def _without_status(manifest: Json, resource: Resource) -> Json:
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in _SERVERS_OWN}
    kept = {key: value for key, value in manifest.items() if not (key == "status" and resource.has_status)}
    return {"apiVersion": resource.kind.api_version, "kind": resource.kind.name, **kept, "metadata": metadata}

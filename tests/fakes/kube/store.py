"""The objects, their history, and what happens to them without a request: garbage collection.

Lives in the server's loop. Objects are never changed in place, so handing them out needs no copies.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from serving_io import kinds
from tests.fakes.kube.ownership import Managers, managed_fields
from tests.fakes.kube.resources import Resource
from tests.fakes.kube.shapes import Json

Key = tuple[str, str]
"""Namespace (empty where the kind has none) and name."""


@dataclass(frozen=True)
class Record:
    """An object without its managedFields, and its managers."""

    manifest: Json
    managers: Managers
    time: str

    @cached_property
    def shown(self) -> dict[str, Json]:
        """As the API server answers it."""
        metadata = self.manifest["metadata"]
        fields = managed_fields(self.managers, self.manifest["apiVersion"], self.time)
        return {**self.manifest, "metadata": {**metadata, **({"managedFields": fields} if fields else {})}}


@dataclass(frozen=True)
class Change:
    """One step of history: `old` is None for a creation, `new` for a deletion."""

    version: int
    resource: Resource
    old: Json | None
    new: Json | None
    before: Record | None


def now() -> str:
    """Time as objects state it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Store:
    """All objects. `garbage_collection` may be switched off to look at what it will delete."""

    def __init__(self) -> None:
        self.version = 1
        self.oldest = 0
        """History before this version is compacted."""
        self.history: list[Change] = []
        self.watchers: set[asyncio.Queue[Change | None]] = set()
        self.objects: dict[Resource, dict[Key, Record]] = {}
        self.garbage_collection = True
        self._is_collecting = False

    def put(self, resource: Resource, manifest: Json, managers: Managers) -> Record:
        """Store an object as its next version; nothing happens if nothing differs."""
        metadata = manifest["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        old = self.objects[resource].get(key)
        if old is not None and old.manifest == manifest and old.managers == managers:
            return old
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and old is not None:
            return self._drop(resource, key, replace(old, manifest=manifest, managers=managers))
        self.version += 1
        stamped = {**manifest, "metadata": {**metadata, "resourceVersion": str(self.version)}}
        record = Record(stamped, managers, now())
        self.objects[resource][key] = record
        self._tell(Change(self.version, resource, old and old.shown, record.shown, old))
        return record

    def delete(self, resource: Resource, key: Key, propagation: str = "Background") -> Record:
        """Delete, or mark for deletion while finalizers hold it."""
        record = self.objects[resource][key]
        finalizers = list(record.manifest["metadata"].get("finalizers") or ())
        if propagation == "Orphan":
            self._orphan(str(record.manifest["metadata"]["uid"]))
        if propagation == "Foreground" and "foregroundDeletion" not in finalizers:
            finalizers.append("foregroundDeletion")
        if not finalizers:
            return self._drop(resource, key, record)
        if record.manifest["metadata"].get("deletionTimestamp"):
            return record
        marks = {"deletionTimestamp": now(), "deletionGracePeriodSeconds": 0, "finalizers": finalizers}
        if resource.has_generation:
            marks["generation"] = record.manifest["metadata"]["generation"] + 1
        marked = {**record.manifest, "metadata": {**record.manifest["metadata"], **marks}}
        self._collect_soon()
        return self.put(resource, marked, record.managers)

    def compact(self) -> None:
        """Forget history: whoever continues from an earlier version is told 410."""
        self.history.clear()
        self.oldest = self.version

    def collect_garbage(self) -> None:
        """Delete what has lost its owners, and finish foreground deletions, until nothing is left to do."""
        self._is_collecting = True
        seen = -1
        while seen != self.version:
            seen = self.version
            self._collect_once()
        self._is_collecting = False

    def at_version(self, resource: Resource, version: int) -> dict[Key, Record]:
        """The objects of a kind as they were at a version that is not compacted."""
        records = dict(self.objects[resource])
        for change in reversed(self.history):
            if change.version <= version:
                break
            if change.resource.kind == resource.kind:
                manifest: Json = change.new or change.old
                metadata = manifest["metadata"]
                key = (metadata.get("namespace", ""), metadata["name"])
                if change.before is None:
                    records.pop(key, None)
                else:
                    records[key] = change.before
        return records

    def everything(self) -> Iterator[tuple[Resource, Key, Record]]:
        """All objects of all kinds."""
        for resource, records in list(self.objects.items()):
            for key, record in list(records.items()):
                yield resource, key, record

    def _collect_soon(self) -> None:
        if self.garbage_collection and not self._is_collecting:
            self._is_collecting = True
            asyncio.get_running_loop().call_soon(self.collect_garbage)

    def _collect_once(self) -> None:
        metadata = {
            str(r.manifest["metadata"]["uid"]): r.manifest["metadata"] for _, _, r in self.everything()
        }
        for resource, key, record in self.everything():
            owners = record.manifest["metadata"].get("ownerReferences") or ()
            gone = [o for o in owners if o["uid"] not in metadata or _leaves_last(metadata[o["uid"]])]
            if owners and len(gone) == len(owners):
                self.delete(resource, key)
        owned = {
            owner["uid"]
            for _, _, record in self.everything()
            for owner in record.manifest["metadata"].get("ownerReferences") or ()
        }
        for resource, key, record in self.everything():
            about = record.manifest["metadata"]
            if _leaves_last(about) and about["uid"] not in owned:
                finalizers = [name for name in about["finalizers"] if name != "foregroundDeletion"]
                freed = {**record.manifest, "metadata": {**about, "finalizers": finalizers}}
                self.put(resource, freed, record.managers)
            elif resource.kind == kinds.NAMESPACE and about.get("deletionTimestamp"):
                for inner, inner_key, _ in self.everything():
                    if inner_key[0] == key[1]:
                        self.delete(inner, inner_key)
                if not any(other[0] == key[1] for _, other, _ in self.everything()):
                    self._drop(resource, key, record)

    def _orphan(self, uid: str) -> None:
        for resource, _, record in self.everything():
            owners = record.manifest["metadata"].get("ownerReferences") or ()
            if any(owner["uid"] == uid for owner in owners):
                kept = [owner for owner in owners if owner["uid"] != uid]
                metadata = {**record.manifest["metadata"], "ownerReferences": kept}
                if not kept:
                    del metadata["ownerReferences"]
                self.put(resource, {**record.manifest, "metadata": metadata}, record.managers)

    def _drop(self, resource: Resource, key: Key, record: Record) -> Record:
        before = self.objects[resource].pop(key)
        self.version += 1
        metadata = {**record.manifest["metadata"], "resourceVersion": str(self.version)}
        last = replace(record, manifest={**record.manifest, "metadata": metadata})
        self._tell(Change(self.version, resource, before.shown, None, before))
        self._collect_soon()
        return last

    def _tell(self, change: Change) -> None:
        self.history.append(change)
        for watcher in self.watchers:
            watcher.put_nowait(change)


def new_uid() -> str:
    """A uid."""
    return str(uuid.uuid4())


def _leaves_last(metadata: Json) -> bool:
    return bool(metadata.get("deletionTimestamp")) and "foregroundDeletion" in (
        metadata.get("finalizers") or ()
    )

# ruff: noqa: N818  (named for what has happened, as the API server's reasons are)
"""Carries out a plan against the API server: in order, with preconditions, and not a step past a failure."""

from __future__ import annotations

import functools
import logging
from datetime import UTC, datetime

from serving_api.names import API_VERSION, SERVICE_KIND, ServiceKey
from serving_io.cluster import Cluster
from serving_io.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Denied,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    NotFound,
)
from serving_io.events import post_event
from serving_io.kinds import INFERENCE_SERVICE, kind_of
from serving_operator.cache import Cache, Place, place_of, version_of
from serving_operator.covers import covers_status, drops_created, is_by_apply, is_by_creation
from serving_operator.ownership import Ownership, classify
from serving_operator.world import EventNote, Manifest, ObjectId, Plan, Write

log = logging.getLogger(__name__)


class Outdated(Exception):
    """What the plan was decided on is no longer so; the cache has been corrected: decide again."""


class ServiceGone(Exception):
    """The service, or its namespace, is being deleted: there is nothing to do."""


class Refused(Exception):
    """The API server refuses a write for what it contains or where it goes: quota, admission, schema, RBAC."""

    def __init__(self, identity: ObjectId, error: ApiError) -> None:
        super().__init__(f"{identity.kind} {identity.name}: {error}")
        self.identity = identity
        self.error = error


class Executor:
    """Writes through `cluster`, which checks leadership before each request; keeps `cache` up to date by the answers."""

    def __init__(self, cluster: Cluster, cache: Cache) -> None:
        self._cluster = cluster
        self._cache = cache

    async def execute(self, key: ServiceKey, plan: Plan) -> int:
        """Carry out the plan's writes, then its status, then its events. Returns how many changed something.

        Raises `Outdated`, `ServiceGone`, `Refused`, or another `ApiError`.
        """
        changes, parent_checked = 0, False
        for write in plan.writes:
            if write.verb == "create" and not parent_checked:
                await self._check_service(key)
                parent_checked = True
            changes += await self._write(key, write)
        if plan.status is not None:
            changes += await self._write_status(key, plan.status, plan.service_version)
        for note in plan.events:
            await self._post(key, note)
        return changes

    async def _write_status(self, key: ServiceKey, status: Manifest, version: str | None) -> bool:
        """Apply the status unless the live one already is so. Returns whether that changed it.

        `version` is that of the service decided on; the cache may know a younger one by now, to which it does not apply.
        """
        service = self._cache.service(key)
        if service is None:
            raise ServiceGone(f"{key} is gone")
        if covers_status(service, status):
            return False
        manifest = {
            "apiVersion": API_VERSION,
            "kind": SERVICE_KIND,
            "metadata": {"name": key.name, "namespace": key.namespace},
            "status": status,
        }
        write = Write("status", manifest, "the observed state has changed", resource_version=version)
        return await self._write(key, write)

    async def _check_service(self, key: ServiceKey) -> None:
        """Ask the API server before the first creation: a service that is gone would be given children for ever."""
        known = self._cache.service(key)
        try:
            live = await self._cluster.get(INFERENCE_SERVICE, key.name, key.namespace)
        except NotFound:
            self._cache.missing(Place(SERVICE_KIND, *key))
            raise ServiceGone(f"{key} is gone") from None
        self._cache.put(live)
        if live["metadata"].get("deletionTimestamp"):
            raise ServiceGone(f"{key} is being deleted")
        if known is None or known["metadata"]["uid"] != live["metadata"]["uid"]:
            raise Outdated(f"{key} is another service of the same name")

    async def _write(self, key: ServiceKey, write: Write) -> bool:
        """Send one write and remember its answer. Returns whether it changed anything."""
        manifest = write.manifest
        place = place_of(manifest)
        identity = ObjectId(place.kind, place.name)
        before = self._cache.get(place)
        version = None if before is None else version_of(before)
        if write.verb == "apply" and self._cache.memory.is_in_vain(key, version, manifest):
            return False
        try:
            answer = await self._send(key, write, place)
        except NamespaceTerminating as error:
            raise ServiceGone(f"{key}: {error.message}") from None
        except AlreadyExists:
            await self._read_again(key, manifest)
            raise Outdated(f"{identity.kind} {identity.name} exists already") from None
        except Conflict as error:
            await self._read_again(key, manifest)
            raise Outdated(f"{identity.kind} {identity.name}: {error.message}") from None
        except NotFound:
            if write.verb != "delete":
                await self._read_again(key, manifest)
                raise Outdated(f"{identity.kind} {identity.name} is gone") from None
            self._cache.missing(place)
            self._cache.memory.give_up(key, identity, str(write.uid))
            return True
        except (Forbidden, Invalid, Denied) as error:
            raise Refused(identity, error) from error
        if write.verb == "delete":
            self._cache.mark_deleting(place, _now())
            self._cache.memory.give_up(key, identity, str(write.uid))
        else:
            if version == version_of(answer):
                # Had it been known to be so, it would not have been sent: harmless once, but worth a look.
                log.warning("%s: %s of %s %s changed nothing", key, write.verb, identity.kind, identity.name)
                self._cache.memory.remember_in_vain(key, version_of(answer), manifest)
                return False
            self._cache.put(answer)
        log.info("%s: %s %s %s: %s", key, write.verb, identity.kind, identity.name, write.why)
        return True

    async def _send(self, key: ServiceKey, write: Write, place: Place) -> Manifest:
        manifest = write.manifest
        if write.verb == "create":
            return await self._cluster.create(manifest)
        known = self._cache.get(place)
        uid = write.uid or (known or {}).get("metadata", {}).get("uid")
        if uid is None:
            # Without a uid an apply would create, or take over whatever has the name.
            raise Outdated(f"{place.kind} {place.name} is not there to be written")
        if write.verb == "delete":
            return await self._cluster.delete(
                kind_of(manifest),
                place.name,
                place.namespace,
                uid=uid,
                resource_version=write.resource_version,
            )
        version = write.resource_version
        body = with_preconditions(manifest, uid, version)
        if write.verb == "status":
            return await self._cluster.apply_status(body)
        if write.verb == "patch":
            return await self._cluster.patch(kind_of(manifest), place.name, place.namespace, body)
        if known is not None and drops_created(known, manifest):
            version = await self._take_ownership(manifest, uid, version)
            body = with_preconditions(manifest, uid, version)
        return await self._cluster.apply(body)

    async def _take_ownership(self, manifest: Manifest, uid: str, version: str | None) -> str | None:
        """Turn our ownership by creation into one by apply, or the apply could not drop what was created.

        Creation is no apply, because only a creation fails where the name is taken. Returns the resourceVersion to
        apply on, if `version` asked for one.
        """
        kind, metadata = kind_of(manifest), manifest["metadata"]
        live = await self._cluster.get(kind, metadata["name"], metadata["namespace"])
        found = live["metadata"]
        if found["uid"] != uid or (version is not None and found["resourceVersion"] != version):
            raise Conflict(409, "Conflict", "the object has changed since it was seen")
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": found["resourceVersion"]},
            {
                "op": "replace",
                "path": "/metadata/managedFields",
                "value": applied(found.get("managedFields") or []),
            },
        ]
        answer = await self._cluster.patch(
            kind, metadata["name"], metadata["namespace"], operations, style="json"
        )
        self._cache.put(answer)
        return answer["metadata"]["resourceVersion"] if version is not None else None

    async def _read_again(self, key: ServiceKey, manifest: Manifest) -> None:
        """Correct the cache by a live read. An object that no watch of ours shows is remembered as a stranger."""
        place = place_of(manifest)
        try:
            live = await self._cluster.get(kind_of(manifest), place.name, place.namespace)
        except NotFound:
            self._cache.missing(place)
            self._cache.memory.forget_stranger(key, ObjectId(place.kind, place.name))
            return
        service = self._cache.service(key)
        uid = service["metadata"]["uid"] if service else ""
        if place.kind == SERVICE_KIND or classify(live, uid, key) is not Ownership.FOREIGN:
            self._cache.found(live)
        else:
            self._cache.missing(place)
            self._cache.memory.remember_stranger(key, live)

    async def _post(self, key: ServiceKey, note: EventNote) -> None:
        service = self._cache.service(key)
        if service is None:
            return
        try:
            await post_event(
                self._cluster,
                service,
                type=note.type,
                reason=note.reason,
                note=note.message,
                action=note.action,
            )
        except ApiError as error:
            # An event is news for people; nothing depends on it.
            log.warning("%s: event %s could not be posted: %s", key, note.reason, error)


def with_preconditions(manifest: Manifest, uid: str | None, resource_version: str | None) -> Manifest:
    """Return the manifest with what it was decided on; the API server answers a conflict if that has changed."""
    stated = {"uid": uid, "resourceVersion": resource_version}
    found = {key: value for key, value in stated.items() if value is not None}
    return manifest | {"metadata": manifest["metadata"] | found}


def applied(entries: list[Manifest]) -> list[Manifest]:
    """Return managedFields with all that is ours by creation made ours by one apply.

    There may be several entries of it: a write of /scale splits off the replicas. Where one by apply exists, too, it
    stands: it states all that is wanted.
    """
    ours = [entry for entry in entries if is_by_creation(entry)]
    others = [entry for entry in entries if not is_by_creation(entry)]
    if not ours or any(map(is_by_apply, others)):
        return others
    fields = functools.reduce(_united, (entry["fieldsV1"] for entry in ours))
    return [*others, ours[0] | {"operation": "Apply", "fieldsV1": fields}]


def _united(one: Manifest, other: Manifest) -> Manifest:
    return {key: _united(one.get(key, {}), other.get(key, {})) for key in one | other}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

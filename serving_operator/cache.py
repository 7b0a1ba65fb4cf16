"""The last seen state of every watched object, found by the service that it belongs to.

Each event costs the same however many services there are: objects are indexed by the service that their label or
their controller names, services by the Gateways that they refer to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple, TypeVar

from serving_api.configuration import RouteConfiguration
from serving_api.names import CLUSTER_RUNTIME_KIND, RUNTIME_KIND, SERVICE_KIND, SERVICE_LABEL, ServiceKey
from serving_io.kinds import CONTROLLER_REVISION, ENDPOINT_SLICE, GATEWAY, POD
from serving_operator.children.revision import attempt_is_ours
from serving_operator.memory import Memory
from serving_operator.ownership import Ownership, classify, controller_of
from serving_operator.routes import with_defaults
from serving_operator.runtimes.catalogue import Catalogue
from serving_operator.watched import CHILD_KINDS, kept
from serving_operator.world import Manifest, ObjectId, World

RUNTIME_KINDS = (RUNTIME_KIND, CLUSTER_RUNTIME_KIND)
NO_DEFAULTS = RouteConfiguration()
_K = TypeVar("_K")
_V = TypeVar("_V")


class Place(NamedTuple):
    """Where an object is."""

    kind: str
    namespace: str
    name: str


class Cache:
    """Objects by place. All of it lives in one event loop; nothing here waits."""

    def __init__(self, route: RouteConfiguration = NO_DEFAULTS) -> None:
        self._route = route
        self._objects: dict[Place, Manifest] = {}
        self._places_of_kind: dict[str, set[Place]] = defaultdict(set)
        self._places_of_service: dict[ServiceKey, set[Place]] = defaultdict(set)
        self._services_of_gateway: dict[tuple[str, str], set[ServiceKey]] = defaultdict(set)
        self._gone: dict[Place, int] = {}
        self.memory = Memory()

    def put(self, manifest: Manifest) -> set[ServiceKey]:
        """Remember the object unless a newer state of it is known. Returns the services that it concerns."""
        place, version = place_of(manifest), version_of(manifest)
        known = self._objects.get(place)
        if known is not None and version <= version_of(known):
            return set()
        if version < self._gone.get(place, 0):
            # Not what has the very version of the "deletion": an object that only left the selector's sight is
            # reported with the version that it lives on with.
            return set()
        concerned = self._unlink(place, known) if known is not None else set()
        self._gone.pop(place, None)
        made = kept(manifest)
        if known is not None and place.kind == CONTROLLER_REVISION.name:
            self._remember_attempt(concerned, known, made)
        self._objects[place] = made
        self._places_of_kind[place.kind].add(place)
        return concerned | self._link(place, made)

    def found(self, manifest: Manifest) -> set[ServiceKey]:
        """Remember what a live read has found. Returns the services that it concerns.

        A list in which it was missing says that it had left the selector's sight, at the latest: it may be older than that.
        """
        self._gone.pop(place_of(manifest), None)
        return self.put(manifest)

    def drop(self, manifest: Manifest) -> set[ServiceKey]:
        """Forget an object that was seen to be gone. Returns the services that it concerns."""
        place, version = place_of(manifest), version_of(manifest)
        known = self._objects.get(place)
        if known is not None and version_of(known) > version:
            return set()
        self._gone[place] = max(version, self._gone.get(place, 0))
        # A pod's last words may come with its deletion only.
        return self._remove(place, kept(manifest) if place.kind == POD.name else None)

    def missing(self, place: Place, uid: str | None = None) -> set[ServiceKey]:
        """Forget an object that a live read did not find; with `uid`, only if it is that one."""
        known = self._objects.get(place)
        if known is None or (uid is not None and known["metadata"].get("uid") != uid):
            return set()
        self._gone[place] = version_of(known) + 1
        return self._remove(place)

    def behind(self, listed: Iterable[Manifest]) -> list[Place]:
        """Return where the listed objects are of which only an older state is known."""
        found = []
        for manifest in listed:
            known = self._objects.get(place_of(manifest))
            if known is not None and version_of(known) < version_of(manifest):
                found.append(place_of(manifest))
        return found

    def replace(self, kind: str, listed: Iterable[Manifest], list_version: int) -> set[ServiceKey]:
        """Make the cache hold what a LIST at `list_version` held, but for what is newer than that list."""
        concerned: set[ServiceKey] = set()
        seen = set()
        for manifest in listed:
            seen.add(place_of(manifest))
            concerned |= self.put(manifest)
        for place in self._places_of_kind[kind] - seen:
            if version_of(self._objects[place]) <= list_version:
                self._gone[place] = list_version
                concerned |= self._remove(place)
        for place in [p for p, version in self._gone.items() if p.kind == kind and version < list_version]:
            # The watches are past these deletions by now: no older state of these objects can arrive.
            del self._gone[place]
        return concerned

    def mark_deleting(self, place: Place, now: str) -> None:
        """Remember that we asked for the object's deletion, before the watch tells."""
        known = self._objects.get(place)
        if known is not None and "deletionTimestamp" not in known["metadata"]:
            self._objects[place] = known | {"metadata": known["metadata"] | {"deletionTimestamp": now}}

    def get(self, place: Place) -> Manifest | None:
        """Return the object, or None if it is not known."""
        return self._objects.get(place)

    def service(self, key: ServiceKey) -> Manifest | None:
        """Return the InferenceService, or None if it is not known."""
        return self._objects.get(Place(SERVICE_KIND, *key))

    def service_keys(self) -> list[ServiceKey]:
        """Return the keys of all InferenceServices."""
        return [ServiceKey(place.namespace, place.name) for place in self._places_of_kind[SERVICE_KIND]]

    def world(
        self,
        key: ServiceKey,
        *,
        routes_served: bool,
        autoscaler_renewed: datetime | None = None,
        quotas: tuple[Manifest, ...] = (),
        refused: Mapping[ObjectId, str] | None = None,
    ) -> World | None:
        """Return everything known of the service, or None if it is not known."""
        service = self.service(key)
        if service is None:
            return None
        uid = service["metadata"]["uid"]
        ours: dict[ObjectId, Manifest] = {}
        strangers = self.memory.strangers(key)
        pods, slices = [], []
        for place in self._places_of_service.get(key, ()):
            manifest = self._objects[place]
            if place.kind == POD.name:
                pods.append(manifest)
            elif place.kind == ENDPOINT_SLICE.name:
                slices.append(manifest)
            elif classify(manifest, uid, key) is Ownership.OURS:
                ours[ObjectId(place.kind, place.name)] = manifest
            else:
                strangers[ObjectId(place.kind, place.name)] = manifest
        return World(
            key=key,
            service=service,
            objects=ours,
            pods=tuple(sorted(pods, key=_name)),
            endpoint_slices=tuple(sorted(slices, key=_name)),
            gateways={
                at: gateway
                for at in self._gateways_of(service)
                if (gateway := self._objects.get(Place(GATEWAY.name, *at))) is not None
            },
            quotas=quotas,
            strangers={identity: item for identity, item in strangers.items() if identity not in ours},
            routes_served=routes_served,
            runtimes=Catalogue(
                tuple(self._runtimes(RUNTIME_KIND, key.namespace)),
                tuple(self._runtimes(CLUSTER_RUNTIME_KIND, "")),
            ),
            autoscaler_renewed=autoscaler_renewed,
            last_replicas=self.memory.replicas(key),
            last_revisions=self.memory.revisions(key),
            disrupted_pods=self.memory.disrupted_pods(key),
            refused=dict(refused or {}),
        )

    def _runtimes(self, kind: str, namespace: str) -> list[Manifest]:
        found = [self._objects[place] for place in self._places_of_kind[kind] if place.namespace == namespace]
        return sorted(found, key=_name)

    def _served_by_runtimes(self, namespace: str) -> set[ServiceKey]:
        """Services with a model that may be served by a runtime; an empty namespace stands for all."""
        return {
            ServiceKey(place.namespace, place.name)
            for place in self._places_of_kind[SERVICE_KIND]
            if namespace in ("", place.namespace)
            and ((self._objects[place].get("spec") or {}).get("predictor") or {}).get("model")
        }

    def _link(self, place: Place, manifest: Manifest) -> set[ServiceKey]:
        if place.kind == SERVICE_KIND:
            key = ServiceKey(place.namespace, place.name)
            for gateway in self._gateways_of(manifest):
                self._services_of_gateway[gateway].add(key)
            return {key}
        if place.kind == GATEWAY.name:
            return set(self._services_of_gateway.get((place.namespace, place.name), ()))
        if place.kind in RUNTIME_KINDS:
            return self._served_by_runtimes(place.namespace)
        concerned = set(_services_of(place, manifest))
        for key in concerned:
            self._places_of_service[key].add(place)
            if place.kind in CHILD_KINDS:
                self.memory.found(key, ObjectId(place.kind, place.name))
        return concerned

    def _unlink(self, place: Place, manifest: Manifest) -> set[ServiceKey]:
        if place.kind == SERVICE_KIND:
            key = ServiceKey(place.namespace, place.name)
            for gateway in self._gateways_of(manifest):
                _discard(self._services_of_gateway, gateway, key)
            return {key}
        if place.kind == GATEWAY.name:
            return set(self._services_of_gateway.get((place.namespace, place.name), ()))
        if place.kind in RUNTIME_KINDS:
            return self._served_by_runtimes(place.namespace)
        concerned = set(_services_of(place, manifest))
        for key in concerned:
            _discard(self._places_of_service, key, place)
        return concerned

    def _gateways_of(self, service: Manifest) -> set[tuple[str, str]]:
        """Namespaces and names of the Gateways that the service asks for, or gets by default."""
        metadata, asked = service["metadata"], (service.get("spec") or {}).get("route")
        parents = (
            with_defaults(asked, metadata, self._route).get("parentRefs") or () if asked is not None else ()
        )
        return {(p.get("namespace") or metadata["namespace"], p["name"]) for p in parents if p.get("name")}

    def _remove(self, place: Place, last: Manifest | None = None) -> set[ServiceKey]:
        manifest = self._objects.pop(place, None)
        if manifest is None:
            return set()
        self._places_of_kind[place.kind].discard(place)
        concerned = self._unlink(place, manifest)
        for key in concerned:
            service = self.service(key)
            # Of a former service of this name nothing is remembered for the present one; a pod has another owner.
            owner = None if place.kind == POD.name else controller_of(manifest)
            if service is not None and (owner is None or owner["uid"] == service["metadata"]["uid"]):
                self.memory.remember_gone(key, last or manifest)
        return concerned

    def _remember_attempt(self, keys: Iterable[ServiceKey], before: Manifest, after: Manifest) -> None:
        """Remember what we had written of an attempt when somebody else writes over it."""
        if attempt_is_ours(before) and not attempt_is_ours(after):
            for key in keys:
                self.memory.remember_revision(key, before)


def place_of(manifest: Manifest) -> Place:
    """Return where the object is."""
    metadata = manifest["metadata"]
    return Place(manifest["kind"], metadata.get("namespace", ""), metadata["name"])


def version_of(manifest: Manifest) -> int:
    """Return the resourceVersion as a number: newer states have larger ones."""
    return int(manifest["metadata"].get("resourceVersion") or 0)


def _services_of(place: Place, manifest: Manifest) -> Iterator[ServiceKey]:
    label = (manifest["metadata"].get("labels") or {}).get(SERVICE_LABEL)
    if label:
        yield ServiceKey(place.namespace, label)
    owner = controller_of(manifest)
    if owner is not None and owner.get("kind") == SERVICE_KIND and owner.get("name"):
        yield ServiceKey(place.namespace, str(owner["name"]))


def _discard(index: dict[_K, set[_V]], key: _K, value: _V) -> None:
    found = index.get(key)
    if found is not None:
        found.discard(value)
        if not found:
            del index[key]


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])

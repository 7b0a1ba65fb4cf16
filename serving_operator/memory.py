"""What was last known of what no watch shows: strangers without our labels, children that are gone, applies in vain."""

from __future__ import annotations

from collections import defaultdict
from typing import TypeVar

from serving_api.names import ServiceKey
from serving_io.kinds import CONTROLLER_REVISION, DEPLOYMENT, POD
from serving_operator.rollout.disrupted import disruption
from serving_operator.watched import kept
from serving_operator.world import Manifest, ObjectId

K = TypeVar("K")
V = TypeVar("V")
DEFAULT_REPLICAS = 1
REMEMBERED = 20
"""Of what is gone or was in vain, so many objects of a kind are remembered for each service."""


class Memory:
    """Of each service, until it is gone itself."""

    def __init__(self) -> None:
        self._strangers: dict[ServiceKey, dict[ObjectId, Manifest]] = defaultdict(dict)
        self._replicas: dict[ServiceKey, dict[str, int]] = defaultdict(dict)
        self._given_up: dict[ServiceKey, dict[str, str]] = defaultdict(dict)
        self._revisions: dict[ServiceKey, dict[str, Manifest]] = defaultdict(dict)
        self._disrupted_pods: dict[ServiceKey, dict[str, Manifest]] = defaultdict(dict)
        self._in_vain: dict[ServiceKey, dict[ObjectId, tuple[int, Manifest]]] = defaultdict(dict)

    def remember_stranger(self, key: ServiceKey, manifest: Manifest) -> None:
        """Remember an object that has a child's name but that no watch shows, for it lacks our labels."""
        self._strangers[key][ObjectId(manifest["kind"], manifest["metadata"]["name"])] = kept(manifest)

    def strangers(self, key: ServiceKey) -> dict[ObjectId, Manifest]:
        """Return what `remember_stranger` was told of the service."""
        return dict(self._strangers.get(key, {}))

    def forget_stranger(self, key: ServiceKey, identity: ObjectId) -> None:
        """Forget a stranger: it is gone, or watched by now."""
        self._strangers.get(key, {}).pop(identity, None)

    def found(self, key: ServiceKey, identity: ObjectId) -> None:
        """Forget what was remembered for want of a child that the watch shows."""
        self.forget_stranger(key, identity)
        if identity.kind == DEPLOYMENT.name:
            self._replicas.get(key, {}).pop(identity.name, None)

    def give_up(self, key: ServiceKey, identity: ObjectId, uid: str) -> None:
        """Remember that we had a Deployment deleted: a revision that comes back after that starts as a new one."""
        if identity.kind == DEPLOYMENT.name:
            # The watch may have told of it before the answer to the deletion is here.
            self._replicas.get(key, {}).pop(identity.name, None)
            _remember(self._given_up[key], identity.name, uid)

    def remember_gone(self, key: ServiceKey, manifest: Manifest) -> None:
        """Remember of a lost child what a restored one starts from, and a pod that was taken from the service."""
        name, uid = manifest["metadata"]["name"], manifest["metadata"]["uid"]
        if manifest["kind"] == DEPLOYMENT.name:
            if self._given_up.get(key, {}).get(name) != uid:
                replicas = (manifest.get("spec") or {}).get("replicas", DEFAULT_REPLICAS)
                _remember(self._replicas[key], name, replicas)
        elif manifest["kind"] == CONTROLLER_REVISION.name:
            self.remember_revision(key, manifest)
        elif manifest["kind"] == POD.name and disruption(manifest) is not None:
            _remember(self._disrupted_pods[key], name, manifest)

    def remember_revision(self, key: ServiceKey, manifest: Manifest) -> None:
        """Remember a ControllerRevision as we had written it."""
        _remember(self._revisions[key], manifest["metadata"]["name"], manifest)

    def replicas(self, key: ServiceKey) -> dict[str, int]:
        """Return the last wanted replicas of Deployments that others have deleted, by name."""
        return dict(self._replicas.get(key, {}))

    def revisions(self, key: ServiceKey) -> dict[str, Manifest]:
        """Return the ControllerRevisions that were deleted or written over, by name."""
        return dict(self._revisions.get(key, {}))

    def disrupted_pods(self, key: ServiceKey) -> tuple[Manifest, ...]:
        """Return the last words of pods that were taken from the service and are gone."""
        return tuple(self._disrupted_pods.get(key, {}).values())

    def remember_in_vain(self, key: ServiceKey, version: int, manifest: Manifest) -> None:
        """Remember an apply that left its object at this resourceVersion: the server spells what is wanted otherwise."""
        _remember(
            self._in_vain[key], ObjectId(manifest["kind"], manifest["metadata"]["name"]), (version, manifest)
        )

    def is_in_vain(self, key: ServiceKey, version: int | None, manifest: Manifest) -> bool:
        """Whether the same apply has changed nothing of the object as it is."""
        identity = ObjectId(manifest["kind"], manifest["metadata"]["name"])
        return self._in_vain.get(key, {}).get(identity) == (version, manifest)

    def forget_service(self, key: ServiceKey) -> None:
        """Forget what was remembered on behalf of a service that is gone."""
        for memory in (
            self._strangers,
            self._replicas,
            self._given_up,
            self._revisions,
            self._disrupted_pods,
            self._in_vain,
        ):
            memory.pop(key, None)


def _remember(memory: dict[K, V], key: K, value: V) -> None:
    """Remember something; the oldest of too many is forgotten."""
    memory[key] = value
    if len(memory) > REMEMBERED:
        del memory[next(iter(memory))]

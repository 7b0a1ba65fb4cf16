"""What was last known of objects that no watch shows: strangers without our labels, and children that are gone."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from serving_api.names import ServiceKey
from serving_io.kinds import CONTROLLER_REVISION, DEPLOYMENT
from serving_operator.watched import kept
from serving_operator.world import Manifest, ObjectId

DEFAULT_REPLICAS = 1
REMEMBERED_REVISIONS = 20


class Memory:
    """Of each service, until it is gone itself."""

    def __init__(self) -> None:
        self._strangers: dict[ServiceKey, dict[ObjectId, Manifest]] = defaultdict(dict)
        self._replicas: dict[ServiceKey, dict[str, int]] = defaultdict(dict)
        self._revisions: dict[ServiceKey, dict[str, Manifest]] = defaultdict(dict)

    def remember_stranger(self, key: ServiceKey, manifest: Manifest) -> None:
        """Remember an object that has a child's name but that no watch shows, for it lacks our labels."""
        self._strangers[key][ObjectId(manifest["kind"], manifest["metadata"]["name"])] = kept(manifest)

    def strangers(self, key: ServiceKey) -> dict[ObjectId, Manifest]:
        """Return what `remember_stranger` was told of the service."""
        return dict(self._strangers.get(key, {}))

    def forget_stranger(self, key: ServiceKey, identity: ObjectId) -> None:
        """Forget a stranger: it is gone, or watched by now."""
        self._strangers.get(key, {}).pop(identity, None)

    def remember_gone(self, key: ServiceKey, manifest: Manifest) -> None:
        """Remember of a child that was deleted what a restored one starts from."""
        if manifest["kind"] == DEPLOYMENT.name:
            replicas = (manifest.get("spec") or {}).get("replicas", DEFAULT_REPLICAS)
            self._replicas[key][manifest["metadata"]["name"]] = replicas
        elif manifest["kind"] == CONTROLLER_REVISION.name:
            self.remember_revision(key, manifest)

    def remember_revision(self, key: ServiceKey, manifest: Manifest) -> None:
        """Remember a ControllerRevision as we had written it; the oldest of too many is forgotten."""
        remembered = self._revisions[key]
        remembered[manifest["metadata"]["name"]] = manifest
        if len(remembered) > REMEMBERED_REVISIONS:
            del remembered[next(iter(remembered))]

    def replicas(self, key: ServiceKey) -> dict[str, int]:
        """Return the last wanted replicas of Deployments that were deleted, by name."""
        return dict(self._replicas.get(key, {}))

    def revisions(self, key: ServiceKey) -> dict[str, Manifest]:
        """Return the ControllerRevisions that were deleted or written over, by name."""
        return dict(self._revisions.get(key, {}))

    def forget_service(self, key: ServiceKey) -> None:
        """Forget what was remembered on behalf of a service that is gone."""
        memories: tuple[dict[ServiceKey, Any], ...] = (self._strangers, self._replicas, self._revisions)
        for memory in memories:
            memory.pop(key, None)

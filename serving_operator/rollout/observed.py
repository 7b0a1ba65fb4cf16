"""The world of one service, as facts that rollout and status ask for by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, wraps
from typing import TypeVar

from serving_api.names import AUTOSCALER_KIND, REVISION_LABEL, Attempt, revision_name
from serving_api.revision import revision_of
from serving_api.rollout import Rollout
from serving_api.scaling import Objective
from serving_api.service import InferenceService
from serving_operator.children import route as routes
from serving_operator.children.metadata import revision_in
from serving_operator.children.revision import attempt_is_ours, attempt_of, is_marked_stable
from serving_operator.ownership import Ownership, classify
from serving_operator.rollout import committed
from serving_operator.rollout.live import Revision, is_leaving, is_over, ready_targets
from serving_operator.world import Manifest, ObjectId, Settings, World

_T = TypeVar("_T")
REVISION_KINDS = (AUTOSCALER_KIND, "PodDisruptionBudget", "Deployment", "Service")
"""Kinds that each revision has one object of, in the order in which they are deleted."""


def _once(method: Callable[[Observed, str], _T]) -> Callable[[Observed, str], _T]:
    """Look once for each argument: what is observed does not change."""
    known = f"{method.__name__} by argument"

    @wraps(method)
    def look(self: Observed, argument: str) -> _T:
        seen: dict[str, _T] = self.__dict__.setdefault(known, {})
        if argument not in seen:
            seen[argument] = method(self, argument)
        return seen[argument]

    return look


@dataclass(frozen=True)
class Observed:
    """A world with its service parsed. All reading of manifests by rollout and status goes through here."""

    world: World
    settings: Settings
    now: datetime
    service: InferenceService

    @cached_property
    def wanted(self) -> str:
        """The revision that the spec asks for."""
        return revision_of(self.service.spec.predictor)

    @property
    def name(self) -> str:
        """Name of the service, its route and its stable Service."""
        return self.world.key.name

    @property
    def automatic(self) -> bool:
        """Whether the autoscaler answers for this service: class Auto, in either mode."""
        return self.service.spec.scaling.class_ == "Auto"

    @property
    def advised(self) -> bool:
        """Whether the autoscaler only advises, so that the operator sets the replicas."""
        return self.automatic and self.service.spec.scaling.mode == "Advise"

    @property
    def routed(self) -> bool:
        """Whether a route carries the traffic; if none can, the stable Service does, to one revision at a time."""
        return self.world.routes_served and self.service.spec.route is not None

    @property
    def min_replicas(self) -> int:
        """The user's lower bound."""
        return self.service.spec.predictor.min_replicas or 1

    @property
    def max_replicas(self) -> int:
        """The user's upper bound."""
        return self.service.spec.predictor.max_replicas or self.min_replicas

    @property
    def external_replicas(self) -> int:
        """Replicas of the whole service in class External."""
        external = self.service.spec.scaling.external
        return external.replicas if external else 1

    @cached_property
    def objects(self) -> dict[ObjectId, Manifest]:
        """Children of ours, and those that a restore or an orphaning deletion left to be adopted."""
        return dict(self.world.objects) | {key: self.world.strangers[key] for key in self.orphans}

    @cached_property
    def orphans(self) -> frozenset[ObjectId]:
        """Objects with our labels that nobody controls."""
        return frozenset(
            key
            for key, found in self.world.strangers.items()
            if classify(found, self.service.uid, self.world.key) is Ownership.ADOPTABLE
        )

    def object(self, kind: str, name: str) -> Manifest | None:
        """Return a child of ours, adopted already or not."""
        return self.objects.get(ObjectId(kind, name))

    @cached_property
    def route(self) -> Manifest | None:
        """Our route."""
        return self.object("HTTPRoute", self.name)

    @cached_property
    def weights(self) -> dict[str, int]:
        """Percent of the traffic by revision: as our route has it now, or all to what the stable Service selects."""
        if not self.routed:
            return {self.selected: 100} if self.selected else {}
        return routes.weights(self.route) if self.route else {}

    @cached_property
    def stable_service(self) -> Manifest | None:
        """Our stable Service."""
        return self.object("Service", self.name)

    @cached_property
    def selected(self) -> str | None:
        """The revision that the stable Service selects."""
        selector = ((self.stable_service or {}).get("spec") or {}).get("selector") or {}
        return selector.get(REVISION_LABEL)

    @cached_property
    def records(self) -> dict[str, Manifest]:
        """ControllerRevisions by revision, each with what the operator last wrote of its attempt."""
        return {
            revision_in(found): self._with_our_attempt(found)
            for (kind, name), found in self.objects.items()
            if kind == "ControllerRevision" and name.startswith(f"{self.name}-")
        }

    def _with_our_attempt(self, record: Manifest) -> Manifest:
        """Put what we remember of the attempt in the place of what somebody else has written."""
        known = self.world.last_revisions.get(record["metadata"]["name"])
        if known is None or attempt_is_ours(record):
            return record
        metadata = record["metadata"] | {"annotations": known["metadata"].get("annotations")}
        return record | {"metadata": metadata}

    @cached_property
    def populated(self) -> list[str]:
        """Revisions that have any object that runs or serves, oldest name first."""
        return sorted(
            {
                revision_in(child)
                for (kind, name), child in self.objects.items()
                if kind in REVISION_KINDS and name.startswith(f"{self.name}-")
            }
        )

    def marked_stable(self) -> str | None:
        """Return the revision that is committed, by the stable Service; else by the marks of its records.

        An earlier release marked the record. A former one keeps its mark until it is tried again: numbers of attempts only
        grow, so the latest counts.
        """
        said = committed.of(self.stable_service)
        if said is not None and said.revision in self.records:
            return said.revision
        marked = [
            (int(record.get("revision", 0)), revision)
            for revision, record in self.records.items()
            if is_marked_stable(record)
        ]
        return max(marked)[1] if marked else None

    @_once
    def revision(self, revision: str) -> Revision:
        """Return what is live of a revision."""
        name = revision_name(self.name, revision)
        service = self.object("Service", name)
        gone = service is None or is_leaving(service)
        return Revision(
            revision=revision,
            name=name,
            record=self.records.get(revision),
            deployment=self.object("Deployment", name),
            autoscaler=self.object(AUTOSCALER_KIND, name),
            pods=self.pods_of(revision),
            endpoints=0 if gone else len(ready_targets(self.world.endpoint_slices, name)),
        )

    @_once
    def pods_of(self, revision: str) -> tuple[Manifest, ...]:
        """Return the pods of a revision, but for those that have ended for good."""
        return tuple(
            pod
            for pod in self.world.pods
            if (pod["metadata"].get("labels") or {}).get(REVISION_LABEL) == revision and not is_over(pod)
        )

    def stable_service_only_selects(self, revision: str) -> bool:
        """Whether every ready endpoint of the stable Service is a pod of this revision."""
        names = {pod["metadata"]["name"] for pod in self.pods_of(revision)}
        prefix = f"{revision_name(self.name, revision)}-"
        targets = ready_targets(self.world.endpoint_slices, self.name)
        return all(target in names or target.startswith(prefix) for target in targets)

    @_once
    def recorded_attempt(self, revision: str) -> Attempt | None:
        """Return the latest attempt at a revision, as its record has it."""
        record = self.records.get(revision) or self.last_record(revision)
        return Attempt.parse(attempt_of(record).get("id")) if record else None

    def last_record(self, revision: str) -> Manifest | None:
        """Return the ControllerRevision last seen of a revision that has none now."""
        return self.world.last_revisions.get(revision_name(self.name, revision))

    @_once
    def rollout_of(self, revision: str) -> Rollout:
        """Return the rollout that was in force when the attempt at this revision began."""
        recorded = self._recorded(revision).get("rollout")
        return Rollout.model_validate(recorded) if recorded else self.service.spec.rollout

    @_once
    def objective_of(self, revision: str) -> Objective | None:
        """Return the objective that was in force when the attempt at this revision began."""
        recorded = self._recorded(revision).get("objective")
        return Objective.model_validate(recorded) if recorded else self.service.spec.objective

    def replicas_of(self, revision: str) -> int:
        """Return the replicas that class External asked for when the attempt at this revision began; 0 if unknown."""
        recorded = self._recorded(revision).get("replicas")
        return recorded if isinstance(recorded, int) else 0

    def _recorded(self, revision: str) -> Manifest:
        record = self.records.get(revision) or self.last_record(revision)
        return attempt_of(record) if record else {}

    def first_seen(self, fact: str) -> datetime:
        """Return since when a fact that holds now has held; a fact seen for the first time holds since now."""
        return self.world.since.get(fact, self.now)

    def since(self, facts: Mapping[str, datetime]) -> Observed:
        """Return the same with these facts alone; all else that was looked at stays known."""
        other = copy(self)
        object.__setattr__(other, "world", replace(self.world, since=facts))
        return other

"""Which attempts collect evidence, and of what: from the world of one service."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serving_api.names import ServiceKey, revision_name
from serving_operator.children.revision import attempt_is_ours, attempt_of
from serving_operator.evidence.sources import RUNTIME
from serving_operator.judge.verdict import limits_of
from serving_operator.judge.windows import GRID_SECONDS, Limits
from serving_operator.rollout.state import moment_of
from serving_operator.world import Manifest, ObjectId, World

DEFAULT_WINDOW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be counted for one step of one attempt."""

    key: ServiceKey
    attempt: str
    canary: str
    """Revision of the canary."""
    stable: str
    """Revision that it is compared with."""
    source: str
    """As the analysis names it."""
    profiles: tuple[str, ...]
    """Signal profiles of canary and stable."""
    threshold_milliseconds: int
    window_seconds: int
    started_at: datetime
    limits: Limits | None = None
    """What the judge goes by."""

    @property
    def anchor(self) -> int:
        """Start of the first window in seconds since 1970: the step's start, rounded up to the grid."""
        return math.ceil(self.started_at.astimezone(UTC).timestamp() / GRID_SECONDS) * GRID_SECONDS

    def window(self, index: int) -> tuple[int, int]:
        """Start and end of a window, counted from 0, in seconds since 1970."""
        start = self.anchor + index * self.window_seconds
        return start, start + self.window_seconds

    def backend(self, revision: str) -> tuple[str, str]:
        """Namespace and name of a revision's Deployment and Service."""
        return self.key.namespace, revision_name(self.key.name, revision)


def wanted(world: World) -> Question | None:
    """Return what is to be counted now; None where no analysis, no step with its weight, or no comparison is."""
    status = world.service.get("status") or {}
    canary, stable = status.get("canary") or {}, status.get("stable") or {}
    if not stable.get("revision") or not canary.get("stepStartedAt") or canary.get("abort"):
        return None
    if not 0 < int(canary.get("weight") or 0) < 100:
        return None
    in_force = _recorded(world, canary["revision"])
    spec = world.service.get("spec") or {}
    analysis = (in_force.get("rollout") or spec.get("rollout") or {}).get("analysis")
    objective = in_force.get("objective") or spec.get("objective")
    if analysis is None or not objective:
        return None
    return Question(
        key=world.key,
        attempt=canary["id"],
        canary=canary["revision"],
        stable=stable["revision"],
        source=analysis.get("source") or RUNTIME,
        profiles=tuple(_profile(world, revision) for revision in (canary["revision"], stable["revision"])),
        threshold_milliseconds=int(objective["thresholdMilliseconds"]),
        window_seconds=int(analysis.get("windowSeconds") or DEFAULT_WINDOW_SECONDS),
        started_at=moment_of(canary["stepStartedAt"]),
        limits=limits_of(objective.get("percent", 99), analysis.get("unacceptablePercent")),
    )


def _recorded(world: World, revision: str) -> Mapping[str, Any]:
    """Rollout and objective as they were when the attempt began: what the operator itself has written."""
    record, remembered = _record(world, revision)
    if remembered is not None and (record is None or not attempt_is_ours(record)):
        record = remembered
    return attempt_of(record) if record else {}


def _profile(world: World, revision: str) -> str:
    record, remembered = _record(world, revision)
    data = (record or remembered or {}).get("data") or {}
    return str((data.get("runtime") or {}).get("profile") or "")


def _record(world: World, revision: str) -> tuple[Manifest | None, Manifest | None]:
    name = revision_name(world.key.name, revision)
    return world.objects.get(ObjectId("ControllerRevision", name)), world.last_revisions.get(name)

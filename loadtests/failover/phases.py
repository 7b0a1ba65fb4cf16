"""The phases of a rollout and of a surge, and which one a service is in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from loadtests.demo.observation import Snapshot
from serving_api.names import AUTOSCALER, OPERATOR

Program = Literal["operator", "autoscaler"]
Course = Literal["promoted", "judged", "aborted", "surge"]
"""How a service is led through its phases: a rollout that a label promotes, that evidence promotes, or that a label
aborts; or a load that rises and falls."""
NAMES: Mapping[Program, str] = {"operator": OPERATOR, "autoscaler": AUTOSCALER}
"""What a program's Deployment, Lease and service account are called."""
BEFORE, DONE = "", "done"


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: what has just happened, and whose step comes next."""

    name: str
    what: str
    acts: Program


_BEGINNING = (
    Phase("created", "the attempt is recorded, the candidate's objects are being created", "operator"),
    Phase("capacity", "the candidate waits for its replicas", "autoscaler"),
    Phase("written", "its weight is in the route", "operator"),
    Phase("acknowledged", "the gateway has acknowledged its weight", "operator"),
)
COURSES: Mapping[Course, tuple[Phase, ...]] = {
    "promoted": (
        *_BEGINNING,
        Phase("promoted", "it gets all requests, and soaks", "operator"),
        Phase("committed", "it is stable", "operator"),
        Phase("deletion", "the revision before it has left the route, and is deleted", "operator"),
    ),
    "judged": (*_BEGINNING, Phase("evidence", "its requests are counted", "operator")),
    "aborted": (*_BEGINNING, Phase("abort", "its weight has been taken away", "operator")),
    "surge": (
        Phase("rise", "the load has risen", "autoscaler"),
        Phase("scaled", "more replicas have been written", "autoscaler"),
        Phase("starting", "their pods start", "autoscaler"),
        Phase("ready", "they are ready", "autoscaler"),
        Phase("fall", "the load has fallen", "autoscaler"),
        Phase("lowered", "fewer replicas have been written", "autoscaler"),
    ),
}
PHASES: tuple[Phase, ...] = tuple(
    {phase.name: phase for phases in COURSES.values() for phase in phases}.values()
)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a course began with."""

    course: Course
    stable: str
    """The committed revision."""
    known: frozenset[str] = frozenset()
    """Revisions that there had been by then: the candidate is none of them."""
    replicas: int = 1
    """What the committed revision's Deployment asked for."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a course has come to."""

    phase: str = BEFORE
    candidate: str = ""
    attempt: str = ""
    had_weight: bool = False
    is_high: bool = False
    """Whether the load has risen, and not fallen again."""
    peak: int = 0
    """The most replicas asked for since it rose; 0 before."""

    def is_past(self, course: Course, phase: str) -> bool:
        """Whether the phase is over, or was left out."""
        order = [BEFORE, *(one.name for one in COURSES[course]), DONE]
        return order.index(self.phase) > order.index(phase)


def advanced(beginning: Beginning, position: Position, now: Snapshot) -> Position:
    """Return the position after what is seen now; without a phase of its own it stays in the one before."""
    if beginning.course == "surge":
        return _surge(beginning, position, now)
    candidate = position.candidate or _candidate(beginning, now)
    attempt = position.attempt
    if not attempt and now.canary is not None and now.canary.revision == candidate:
        attempt = now.canary.id
    has_weight = bool(now.weights.get(candidate))
    position = replace(
        position, candidate=candidate, attempt=attempt, had_weight=position.had_weight or has_weight
    )
    return replace(position, phase=_of_rollout(beginning, position, now) or position.phase)


def _candidate(beginning: Beginning, now: Snapshot) -> str:
    named = [now.canary.revision] if now.canary is not None else []
    return next((one for one in (*named, *now.replicas) if one not in beginning.known), "")


def _of_rollout(beginning: Beginning, position: Position, now: Snapshot) -> str:
    candidate = position.candidate
    if not candidate:
        return BEFORE
    if now.stable == candidate:
        if beginning.stable in now.weights:
            return "committed" if beginning.course == "promoted" else ""
        if beginning.stable in now.replicas:
            return "deletion" if beginning.course == "promoted" else ""
        return DONE if is_settled(now) else ""
    if position.attempt in now.rejected:
        return DONE if candidate not in now.replicas and is_settled(now) else ""
    weight = now.weights.get(candidate, 0)
    if weight == 0:
        if position.had_weight:
            return "abort" if beginning.course == "aborted" else ""
        found = now.replicas.get(candidate)
        return "capacity" if found is not None and found.pods else "created"
    if weight == 100:
        return "promoted" if beginning.course == "promoted" else ""
    if not now.acknowledged:
        return "written"
    is_counted = now.canary is not None and now.canary.weight == weight
    return "evidence" if is_counted and beginning.course == "judged" else "acknowledged"


def is_settled(now: Snapshot) -> bool:
    """Whether nothing goes on and all is well."""
    ready = now.conditions.get("Ready")
    return (
        now.canary is None
        and now.acknowledged
        and "Reconciling" not in now.conditions
        and ready is not None
        and ready.status == "True"
    )


def _surge(beginning: Beginning, position: Position, now: Snapshot) -> Position:
    if not position.is_high and not position.peak:
        return position
    found = now.replicas.get(now.stable)
    if found is None:
        return position
    if position.is_high:
        position = replace(position, peak=max(position.peak, found.desired))
        if found.desired <= beginning.replicas:
            return replace(position, phase="rise")
        if found.ready >= found.desired:
            return replace(position, phase="ready")
        return replace(position, phase="scaled" if found.pods < found.desired else "starting")
    if found.desired >= position.peak:
        return replace(position, phase="fall")
    is_over = found.desired <= beginning.replicas and found.ready == found.desired == found.pods
    return replace(position, phase=DONE if is_over else "lowered")

"""What became of a course and of the leaders that were lost in it: values. Times in seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtests.demo.observation import Snapshot
from loadtests.failover.cases import Case
from loadtests.failover.phases import Beginning, Course, Position

Ending = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Loss:
    """A leader was lost, and somebody followed."""

    case: Case
    lost: str
    """Who led."""
    at_seconds: float
    worked_seconds: float
    """When the successor's first reconcile or tick was seen to have ended."""


@dataclass
class Played:
    """One course."""

    course: Course
    begun_seconds: float
    ended_seconds: float = 0.0
    losses: list[Loss] = field(default_factory=list)
    ending: Ending | None = None
    """None if it did not end."""
    problem: str = ""
    """Why it did not."""


def ending(beginning: Beginning, position: Position, now: Snapshot) -> Ending:
    """Return what must be the same at the end of a course whether leaders were lost in it or not.

    How many replicas there are depends on the requests that came; whether they are ready does not. Revisions are told
    by what they are to the course.
    """
    roles = {beginning.stable: "stable before", position.candidate: "candidate"}

    def role(revision: str) -> str:
        return roles.get(revision, "another")

    return {
        "stable": role(now.stable),
        "weights": {role(revision): weight for revision, weight in sorted(now.weights.items())},
        "ready": {
            role(revision): found.ready == found.desired for revision, found in sorted(now.replicas.items())
        },
        "canary": now.canary is not None,
        "rejected": now.reasons.get(position.attempt, ""),
        "conditions": {
            name: f"{found.status} {found.reason}" for name, found in sorted(now.conditions.items())
        },
    }

"""Which phase a rollout or a surge is in, from what the API server says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from loadtests.demo.observation import Canary, ConditionView, RevisionReplicas, Snapshot
from loadtests.failover.phases import (
    COURSES,
    DONE,
    PHASES,
    Beginning,
    Course,
    Position,
    advanced,
)

OLD, NEW = "aaaaaaaa", "bbbbbbbb"
ONE = RevisionReplicas(1, 1, 1)
READY = {"Ready": ConditionView("True", "Ready", "")}
GOING_ON = READY | {"Reconciling": ConditionView("True", "Advancing", "")}


def seen(**fields: Any) -> Snapshot:
    """A moment; the old revision serves unless it says otherwise."""
    stated = {"stable": OLD, "weights": {OLD: 100}, "replicas": {OLD: ONE}, "acknowledged": True}
    return Snapshot(**(stated | {"conditions": GOING_ON} | fields))


def canary(weight: int | None = None) -> Canary:
    """The attempt under way."""
    return Canary(f"{NEW}-2", NEW, weight, "")


BOTH = {OLD: ONE, NEW: ONE}
STEP = {OLD: 75, NEW: 25}
BEGINNING = [
    seen(conditions=READY),
    seen(replicas={OLD: ONE, NEW: RevisionReplicas(1, 0)}),
    seen(replicas={OLD: ONE, NEW: RevisionReplicas(1, 0)}, canary=canary()),
    seen(replicas=BOTH, canary=canary(), weights=STEP, acknowledged=False),
    seen(replicas=BOTH, canary=canary(), weights=STEP),
    seen(replicas=BOTH, canary=canary(25), weights=STEP),
]
PROMOTED = [
    *BEGINNING,
    seen(replicas=BOTH, canary=canary(25), weights={OLD: 0, NEW: 100}, acknowledged=False),
    seen(replicas=BOTH, canary=canary(100), weights={OLD: 0, NEW: 100}),
    seen(replicas=BOTH, stable=NEW, weights={OLD: 0, NEW: 100}),
    seen(replicas=BOTH, stable=NEW, weights={NEW: 100}),
    seen(replicas={NEW: ONE}, stable=NEW, weights={NEW: 100}),
    seen(replicas={NEW: ONE}, stable=NEW, weights={NEW: 100}, conditions=READY),
]
ABORTED = [
    *BEGINNING,
    seen(replicas=BOTH, canary=canary(25), weights={OLD: 100, NEW: 0}, acknowledged=False),
    seen(replicas=BOTH, rejected=(f"{NEW}-2",)),
    seen(rejected=(f"{NEW}-2",)),
    seen(rejected=(f"{NEW}-2",), conditions=READY),
]


def phases(
    course: Course, snapshots: Sequence[Snapshot], known: frozenset[str] = frozenset({OLD})
) -> list[str]:
    """The phases that a course passes, each once."""
    position, found = Position(), []
    for snapshot in snapshots:
        position = advanced(Beginning(course, OLD, known), position, snapshot)
        if position.phase not in found[-1:]:
            found.append(position.phase)
    return found


@pytest.mark.parametrize(
    ("course", "snapshots"),
    [("promoted", PROMOTED), ("judged", PROMOTED), ("aborted", ABORTED)],
)
def test_a_rollout_passes_every_phase_in_order(course: Course, snapshots: list[Snapshot]) -> None:
    """From before the first to the end, whoever decides."""
    assert phases(course, snapshots) == ["", *(phase.name for phase in COURSES[course]), DONE]


def test_revisions_that_were_there_before_are_no_candidates() -> None:
    """A revision that is on its way out when the course begins is not taken for the candidate."""
    leaving = {"cccccccc": ONE}
    found = [replace(one, replicas={**leaving, **one.replicas}) for one in PROMOTED[:3]]

    assert phases("promoted", found, frozenset({OLD, "cccccccc"})) == ["", "created", "capacity"]


def test_a_phase_is_past_when_a_later_one_was_reached() -> None:
    """Also where none between them was seen; the phase itself is not."""
    position = Position(phase="acknowledged")

    assert position.is_past("promoted", "created")
    assert not position.is_past("promoted", "acknowledged")
    assert not position.is_past("promoted", "promoted")
    assert Position(phase=DONE).is_past("promoted", "deletion")


def surge(position: Position, *replicas: RevisionReplicas) -> list[Position]:
    """Positions after each number of replicas."""
    found = []
    for one in replicas:
        position = advanced(Beginning("surge", OLD), position, seen(replicas={OLD: one}))
        found.append(position)
    return found


def test_a_surge_passes_every_phase_in_order() -> None:
    """Up with the load: written, started, ready; and down again until as many run as before."""
    (before,) = surge(Position(), ONE)
    up = surge(
        replace(before, is_high=True),
        ONE,
        RevisionReplicas(2, 1, 1),
        RevisionReplicas(2, 1, 2),
        RevisionReplicas(2, 2, 2),
    )
    down = surge(
        replace(up[-1], is_high=False),
        RevisionReplicas(2, 2, 2),
        RevisionReplicas(1, 2, 2),
        RevisionReplicas(1, 1, 2),
        ONE,
    )

    found = [one.phase for one in (before, *up, *down)]
    assert found == ["", "rise", "scaled", "starting", "ready", "fall", "lowered", "lowered", DONE]


def test_a_surge_is_over_when_as_many_run_as_before() -> None:
    """Fewer than at the peak is not enough."""
    peak = Position(phase="fall", peak=3)

    assert [one.phase for one in surge(peak, RevisionReplicas(2, 2, 2), ONE)] == ["lowered", DONE]


def test_every_phase_has_a_name_of_its_own() -> None:
    """`--only` takes it."""
    assert len({phase.name for phase in PHASES}) == len(PHASES) == 15

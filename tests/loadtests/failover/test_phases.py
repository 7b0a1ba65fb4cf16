"""Which phase a rollout or a surge is in, from what the API server says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from loadtests.demo.observation import RevisionReplicas, Snapshot
from loadtests.failover.phases import (
    COURSES,
    DONE,
    PHASES,
    Beginning,
    Course,
    Position,
    advanced,
)
from tests.loadtests.failover.courses import ABORTED, OLD, ONE, PROMOTED, seen


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

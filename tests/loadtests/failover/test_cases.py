"""Which leaders are lost when, and which of the cases share a course."""

from __future__ import annotations

from collections import Counter

from loadtests.failover.cases import FAULTS, Case, cases, next_course, of_course
from loadtests.failover.phases import COURSES, PHASES


def test_in_every_phase_the_program_that_acts_is_lost_in_every_way() -> None:
    """And the other one in one way, which is not the same everywhere."""
    found = cases()

    assert len(found) == len(set(found)) == 4 * len(PHASES)
    for phase in PHASES:
        assert {one.fault for one in found if (one.phase, one.program) == (phase.name, phase.acts)} == set(
            FAULTS
        )
    others = Counter(
        one.fault for one in found if (one.phase, one.program) not in {(p.name, p.acts) for p in PHASES}
    )
    assert set(others.values()) == {len(PHASES) // len(FAULTS)}


def test_named_programs_are_lost_in_every_way_in_every_phase() -> None:
    """With what else is named, nothing but that."""
    assert len(cases(programs=["operator"])) == len(FAULTS) * len(PHASES)
    assert len(cases(programs=["operator", "autoscaler"])) == 2 * len(FAULTS) * len(PHASES)
    assert cases(["abort"], ["frozen"], ["autoscaler"]) == [Case("abort", "autoscaler", "frozen")]


def test_all_cases_find_a_course() -> None:
    """Course after course takes what it can hold, until nothing is pending; rollouts that are needed anyway come first."""
    pending, courses = cases(), []
    while (course := next_course(pending)) is not None:
        courses.append(course)
        held = of_course(course, pending)
        assert held
        assert all(one.phase in {phase.name for phase in COURSES[course]} for one in held)
        pending = [one for one in pending if one not in held]

    assert courses == ["aborted"] * 4 + ["judged"] * 2 + ["promoted"] * 4 + ["surge"] * 4


def test_a_course_holds_one_case_of_each_phase_in_order() -> None:
    """A phase that lasts holds two."""
    found = of_course("judged", cases())

    assert [one.phase for one in found] == [
        "created",
        "capacity",
        "written",
        "acknowledged",
        "evidence",
        "evidence",
    ]

"""What is lost when: the cases, and which of them go into one course. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from loadtests.failover.phases import COURSES, PHASES, Course, Program

Fault = Literal["killed", "frozen", "partitioned"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
PROGRAMS: tuple[Program, ...] = get_args(Program)
LASTING = {"evidence": 2}
"""Phases that last: so many leaders can be lost in one."""


@dataclass(frozen=True, slots=True)
class Case:
    """In a phase a program's leader is lost in some way."""

    phase: str
    program: Program
    fault: Fault

    def __str__(self) -> str:
        return f"{self.program} {self.fault} at {self.phase}"


def cases(
    only: Collection[str] = (), faults: Collection[str] = (), programs: Collection[str] = ()
) -> list[Case]:
    """Return the cases, narrowed to what is named.

    In each phase the program that acts next is lost in every way, and the other in one of them by turns; of programs that
    are named each in every way.
    """
    found = []
    for number, phase in enumerate(PHASES):
        for program in PROGRAMS:
            every = program in programs if programs else program == phase.acts
            turns = FAULTS if every else (() if programs else (FAULTS[number % len(FAULTS)],))
            found += [Case(phase.name, program, fault) for fault in turns]
    return [one for one in found if (not only or one.phase in only) and (not faults or one.fault in faults)]


def next_course(pending: Sequence[Case]) -> Course | None:
    """Return the course to be run next; None if nothing is pending.

    Phases that all rollouts have ride along with those that only an aborted or a judged one has.
    """
    phases = {one.phase for one in pending}
    for course in ("aborted", "judged"):
        if COURSES[course][-1].name in phases:
            return course
    return next((course for course, its in COURSES.items() if phases & {one.name for one in its}), None)


def of_course(course: Course, pending: Sequence[Case]) -> list[Case]:
    """Return the cases that one course may hold, in the order of its phases: the first that is pending of each."""
    found = []
    for phase in COURSES[course]:
        found += [one for one in pending if one.phase == phase.name][: LASTING.get(phase.name, 1)]
    return found

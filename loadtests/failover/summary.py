"""From what was played and recorded to the figures of `out/failover/summary.json`. Pure; keys in loadtests/README.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.failover.cases import Case
from loadtests.failover.phases import NAMES
from loadtests.failover.played import Loss, Played
from loadtests.failover.terms import Term, handed_over, late_writes, overruling, terms, user_of
from loadtests.figures import late_fraction, not_2xx_by_revision
from loadtests.record import Record
from loadtests.scale.audit import Request

MOST_GAP_SECONDS = 20.0
Figures = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """All that the summary is made of."""

    played: Sequence[Played]
    """In the order of time; the first of each course without a loss is what the others are compared with."""
    requests: Sequence[Request]
    """Of the audit log."""
    records: Sequence[Record]
    load_began_seconds: float
    """Since the epoch."""
    objective_seconds: float
    not_reached: Sequence[Case] = ()
    failures: Sequence[str] = ()


def summarise(run: Run) -> Figures:
    """Return the summary of a run, or of the part of it that was made."""
    led = {program: terms(run.requests, name) for program, name in NAMES.items()}
    late = {
        program: late_writes(run.requests, led[program], user_of(name)) for program, name in NAMES.items()
    }
    overruled = [
        one
        for program, name in NAMES.items()
        for one in overruling(run.requests, led[program], user_of(name))
    ]
    references = {one.course: one for one in reversed(run.played) if not one.losses and one.ending}
    cases = [
        _case(loss, number, led[loss.case.program], late[loss.case.program])
        for number, played in enumerate(run.played)
        for loss in played.losses
    ]
    courses = [_course(number, one, references.get(one.course), run) for number, one in enumerate(run.played)]
    return {
        "cases": cases,
        "courses": courses,
        "not_reached": [str(case) for case in run.not_reached],
        "longest_lease_gap_seconds": _most(cases, "lease_gap_seconds"),
        "longest_work_gap_seconds": _most(cases, "work_gap_seconds"),
        "late_writes": sum(len(one) for one in late.values()),
        "late_writes_refused": sum(request.code >= 400 for one in late.values() for request in one),
        "overruling_writes": [_in_words(one) for one in overruled],
        "requests": len(run.records),
        "not_2xx": sum(not record.is_success for record in run.records),
        "not_2xx_by_revision": not_2xx_by_revision(run.records),
        "late_fraction": round(late_fraction(run.records, run.objective_seconds), 4),
        "failures": [*run.failures, *(f"{one.course}: {one.problem}" for one in run.played if one.problem)],
    }


def shortcomings(summary: Mapping[str, Any]) -> list[str]:
    """Return what was not shown, in sentences; empty if all was."""
    wanted = {
        "no leader was lost": bool(summary["cases"]),
        f"a gap was longer than {MOST_GAP_SECONDS:g} s, or had no end": all(
            case["work_gap_seconds"] is not None and case["work_gap_seconds"] <= MOST_GAP_SECONDS
            for case in summary["cases"]
        ),
        "a late write took effect on what the successor had written": not summary["overruling_writes"],
        "requests had bad responses": summary["not_2xx"] == 0,
        "a course did not end as without a loss": all(
            course["ended_as_without_loss"] for course in summary["courses"] if course["cases"]
        ),
        "phases were not reached": not summary["not_reached"],
        "something failed": not summary["failures"],
    }
    return [sentence for sentence, holds in wanted.items() if not holds]


def _case(loss: Loss, number: int, led: Sequence[Term], late: Sequence[Request]) -> Figures:
    found = handed_over(led, loss.lost, loss.at_seconds)
    lease_gap = work_gap = None
    writes: list[Request] = []
    if found is not None:
        before, successor = found
        lease_gap = round(successor.since_seconds - before.renewed_seconds, 2)
        work_gap = round(loss.worked_seconds - before.renewed_seconds, 2)
        writes = [one for one in late if one.pod == before.pod and _is_of(one, successor, led)]
    return {
        **asdict(loss.case),
        "course": number,
        "lease_gap_seconds": lease_gap,
        "work_gap_seconds": work_gap,
        "wrote_late": [_in_words(one) for one in writes],
    }


def _is_of(one: Request, successor: Term, led: Sequence[Term]) -> bool:
    """Whether a write falls into the successor's term."""
    later = [term.since_seconds for term in led if term.since_seconds > successor.since_seconds]
    return successor.since_seconds <= one.ended_seconds < min(later, default=float("inf"))


def _course(number: int, one: Played, reference: Played | None, run: Run) -> Figures:
    begin, end = one.begun_seconds - run.load_began_seconds, one.ended_seconds - run.load_began_seconds
    during = [record for record in run.records if begin <= record.scheduled_seconds < end]
    return {
        "number": number,
        "course": one.course,
        "cases": [str(loss.case) for loss in one.losses],
        "seconds": round(end - begin, 1),
        "requests": len(during),
        "not_2xx": sum(not record.is_success for record in during),
        "late_fraction": round(late_fraction(during, run.objective_seconds), 4),
        "ended_as_without_loss": (
            one.ending is not None and reference is not None and one.ending == reference.ending
        ),
        "ending": one.ending,
    }


def _most(cases: Sequence[Figures], key: str) -> float | None:
    return max((case[key] for case in cases if case[key] is not None), default=None)


def _in_words(one: Request) -> str:
    part = f"/{one.subresource}" if one.subresource else ""
    return f"{one.pod}: {one.verb} {one.resource}{part} {one.namespace}/{one.name}: {one.code}"

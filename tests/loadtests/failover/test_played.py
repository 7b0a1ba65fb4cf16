"""How a course has ended, whoever it was about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtests.demo.observation import ConditionView, RevisionReplicas, Snapshot
from loadtests.failover.phases import Beginning, Position
from loadtests.failover.played import ending
from tests.loadtests.failover.courses import ABORTED, ATTEMPT, NEW, OLD, ONE, PROMOTED, READY, canary, seen

BEGINNING = Beginning("promoted", OLD)
POSITION = Position(candidate=NEW, attempt=ATTEMPT)
END = PROMOTED[-1]


def test_revisions_are_told_by_what_they_are() -> None:
    """The next rollout, from the one revision to another, ends the same way; more replicas do not matter."""
    other = seen(
        stable="cccccccc",
        weights={"cccccccc": 100},
        replicas={"cccccccc": RevisionReplicas(3, 3, 3)},
        conditions=READY,
    )

    first = ending(BEGINNING, POSITION, END)
    second = ending(Beginning("promoted", NEW), Position(candidate="cccccccc", attempt="cccccccc-3"), other)
    assert first == second
    assert first["stable"] == "candidate"


@pytest.mark.parametrize(
    "now",
    [
        replace(END, stable=OLD),
        replace(END, weights={NEW: 75, OLD: 25}),
        replace(END, replicas={NEW: ONE, OLD: ONE}),
        replace(END, replicas={NEW: RevisionReplicas(2, 1, 2)}),
        replace(END, canary=canary()),
        replace(END, reasons={ATTEMPT: "WorseThanStable"}),
        replace(END, conditions={"Ready": ConditionView("False", "Waiting", "")}),
        replace(END, conditions=READY | {"Stalled": ConditionView("True", "QuotaExceeded", "")}),
    ],
)
def test_what_differs_is_another_ending(now: Snapshot) -> None:
    """Another stable revision, weights, pods that are left or not ready, a canary, a rejection, conditions."""
    assert ending(BEGINNING, POSITION, now) != ending(BEGINNING, POSITION, END)


def test_an_abort_ends_with_its_reason() -> None:
    """A rejection for another reason would be another ending."""
    found = ending(Beginning("aborted", OLD), POSITION, ABORTED[-1])

    assert (found["stable"], found["rejected"]) == ("stable before", "AbortedByLabel")

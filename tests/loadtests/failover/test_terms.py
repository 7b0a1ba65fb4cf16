"""Terms of a Lease and writes after their end, from the audit log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtests.failover.terms import (
    Term,
    handed_over,
    late_writes,
    overruling,
    terms,
)
from loadtests.scale.audit import Request
from tests.loadtests.failover.recorded import FIRST, LEASE, SECOND, USER, renewal, request

HISTORY = [renewal(2, FIRST), renewal(4, FIRST), renewal(20.5, SECOND), renewal(22.5, SECOND)]
TERMS = [Term(FIRST, 2, 4), Term(SECOND, 20.5, 22.5)]


def test_a_term_ends_with_its_last_effective_renewal() -> None:
    """What is refused renews nothing; a creation begins a term, too; other Leases are others'."""
    refused = renewal(21, FIRST, code=409)
    other = renewal(30, "somebody", name="another")
    created = replace(renewal(1, FIRST), verb="create", code=201)

    assert terms([*HISTORY, refused, other], LEASE) == TERMS
    assert terms([created, *HISTORY], LEASE)[0].since_seconds == 1


def test_a_release_begins_no_term() -> None:
    """Also where the same process takes the Lease again."""
    released = renewal(5, "", pod="operator-x")

    assert terms([*HISTORY[:2], released, renewal(6, SECOND)], LEASE) == [TERMS[0], Term(SECOND, 6, 6)]
    assert len(terms([*HISTORY[:2], released, renewal(6, FIRST)], LEASE)) == 2


def test_the_pod_is_the_name_before_the_last_underscore() -> None:
    """Names of pods have none themselves."""
    assert TERMS[0].pod == "operator-x"


def test_a_hand_over_is_the_lost_term_and_the_next_one() -> None:
    """None while nobody has followed, nor for a loss after which somebody else was lost."""
    assert handed_over(TERMS, FIRST, 4.5) == (TERMS[0], TERMS[1])
    assert handed_over(TERMS, FIRST, 21) is None
    assert handed_over(TERMS, SECOND, 23) is None
    assert handed_over([], FIRST, 0) is None


def test_writes_are_late_when_another_pod_leads() -> None:
    """Refused ones as well; reads, Leases, others' writes and those before any term are none."""
    in_time = request("patch", "httproutes", 20.4, pod="operator-x")
    late = request("patch", "httproutes", 20.6, pod="operator-x", code=409)
    others = [
        request("patch", "httproutes", 20.6, pod="operator-y"),
        request("list", "httproutes", 21, pod="operator-x"),
        request("patch", "httproutes", 21, user="kubernetes-admin"),
        request("create", "httproutes", 1, pod="operator-z"),
        renewal(21, FIRST, code=409),
    ]

    assert late_writes([in_time, late, *others], TERMS, USER) == [late]


ROUTE = request("patch", "httproutes", 21, pod="operator-y")
LATE_ROUTE = request("patch", "httproutes", 30, pod="operator-x")


@pytest.mark.parametrize(
    ("successor", "late"),
    [
        (ROUTE, LATE_ROUTE),
        (
            request("patch", "inferenceservices/status", 21, pod="operator-y"),
            request("patch", "inferenceservices/status", 30, pod="operator-x"),
        ),
        (
            request("patch", "services", 21, pod="operator-y", selects=True),
            request("patch", "services", 30, pod="operator-x", selects=True),
        ),
        (
            request("patch", "deployments", 21, pod="operator-y"),
            request("delete", "deployments", 30, pod="operator-x"),
        ),
    ],
    ids=["route", "status", "selector", "deletion"],
)
def test_a_late_write_may_not_overrule_the_successor(successor: Request, late: Request) -> None:
    """What the successor has written stays: a late write that takes effect on it is reported."""
    assert overruling([successor, late], TERMS, USER) == [late]


def test_a_successor_that_was_lost_itself_may_not_be_overruled_either() -> None:
    """A third one leads, and has written nothing yet; that the first one leads again later changes nothing."""
    found = [*TERMS, Term("operator-z_3", 25, 25), Term("operator-x_4", 40, 41)]

    assert overruling([ROUTE, LATE_ROUTE], found, USER) == [LATE_ROUTE]


@pytest.mark.parametrize(
    "requests",
    [
        [LATE_ROUTE],
        [ROUTE, request("patch", "httproutes", 30, pod="operator-x", code=409)],
        [ROUTE, request("patch", "httproutes", 30, pod="operator-x", name="another")],
        [request("patch", "httproutes", 21, pod="operator-y", code=409), LATE_ROUTE],
        [request("patch", "httproutes", 19, pod="operator-x"), LATE_ROUTE],
        [request("patch", "httproutes", 31, pod="operator-y"), LATE_ROUTE],
        [request("get", "httproutes", 21, pod="operator-y"), LATE_ROUTE],
        [
            request("patch", "deployments", 21, pod="operator-y"),
            request("patch", "deployments", 30, pod="operator-x"),
        ],
        [
            request("patch", "inferenceservices", 21, pod="operator-y"),
            request("patch", "inferenceservices/status", 30, pod="operator-x"),
        ],
        [
            request("patch", "services", 21, pod="operator-y", selects=True),
            request("patch", "services", 30, pod="operator-x"),
        ],
    ],
    ids=[
        "not written by the successor",
        "refused",
        "another route",
        "the successor's was refused",
        "written before its own end",
        "written by the successor later",
        "read by the successor",
        "idempotent",
        "another part",
        "a Service, but not its selector",
    ],
)
def test_other_late_writes_overrule_nobody(requests: list[Request]) -> None:
    """They hit what the successor has not written, are refused, or are corrected by it."""
    assert overruling(requests, TERMS, USER) == []

"""What is made of the audit log: when services were whole, settled, answered; who wrote what."""

from __future__ import annotations

import pytest

from loadtests.scale.audit import Request
from loadtests.scale.figures import (
    Place,
    answers,
    completed,
    exponent,
    note_settled,
    reads_per_second,
    tally,
    written,
)
from loadtests.scale.measures import neighbours, storm
from tests.loadtests.scale.recorded import ADMINISTRATOR, READY, children, offering, request, status

FIRST = Place("scale", "scale-00000")


def test_a_service_is_complete_with_its_last_child() -> None:
    """The answer to the last creation counts; without one of the children there is no moment."""
    assert completed(children(10)) == {FIRST: pytest.approx(14.1)}
    assert completed(children(10)[:-1]) == {}


def test_a_child_that_is_refused_or_somebody_elses_is_none() -> None:
    """Only what the operator created, and what the API server took, counts."""
    *most, last = children(10)
    name = last.name
    refused = request("create", last.resource, 14, name, code=409)
    foreign = request("create", last.resource, 14, name, user=ADMINISTRATOR)

    assert completed([*most, refused, foreign]) == {}


def test_settled_is_what_stays_so() -> None:
    """A status that takes it back counts, and so does one that says that something goes on."""
    found: dict[Place, float] = {}

    note_settled(found, [status(1, *READY), status(2, "Servable"), status(3, *READY, "Reconciling")])
    assert found == {}

    note_settled(found, [status(4, *READY), status(5, *READY)])
    assert found == {FIRST: pytest.approx(4.1)}


def test_a_storm_is_timed_from_its_first_service() -> None:
    """Two services, one second apart: offered, given their children, settled."""
    second = "scale-00001"
    recorded = [offering(100), offering(101, second), *children(102), *children(104, second)]
    recorded += [status(120, *READY), status(125, *READY, name=second)]

    found = storm(recorded)

    assert found["offered_seconds"] == 1
    assert found["children_seconds"] == pytest.approx(8.1)
    assert found["settled_seconds"] == pytest.approx(25.1)
    assert found["children"] == {"p50_seconds": pytest.approx(6.1), "p99_seconds": pytest.approx(7.1)}
    assert found["writes_per_service"] == 6


def change(at: float, name: str) -> Request:
    """A user changes a service."""
    return request("patch", "inferenceservices", at, name, user=ADMINISTRATOR)


def applied(at: float, name: str) -> Request:
    """The operator hands the change on."""
    return request("patch", "inferenceautoscalers", at, f"{name}-0123abcd")


def test_a_change_is_answered_by_the_next_write_of_its_service() -> None:
    """Neither another service's write nor an older one answers, and a change that nothing follows is unanswered."""
    recorded = [
        applied(9, "calm-00001"),
        change(10, "calm-00001"),
        applied(11, "calm-00002"),
        applied(12, "calm-00001"),
        change(13, "calm-00001"),
    ]

    assert answers(recorded, "calm") == ([pytest.approx(2.1)], 1)
    assert answers(recorded, "busy") == ([], 0)


def test_neighbours_are_compared_by_their_tails() -> None:
    """Twice as slow beside others is a ratio of 2."""
    alone = [change(0, "calm-00001"), applied(0.9, "calm-00001")]
    beside = [change(0, "calm-00001"), applied(1.9, "calm-00001"), change(0, "busy-00001")]

    assert neighbours(alone, beside, "calm")["p99_ratio"] == pytest.approx(2)


def test_writes_and_reads_are_told_apart() -> None:
    """Leases are nobody's business, reads are no writes, and watches no reads."""
    recorded = [
        request("update", "leases", 1),
        request("get", "leases", 1),
        request("watch", "pods", 1),
        request("list", "pods", 1),
        status(2),
        status(3),
        offering(0),
    ]

    assert tally(written(recorded)) == {"patch inferenceservices/status": 2}
    assert reads_per_second(recorded, 10) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("points", "power"),
    [([(1, 3), (2, 6), (4, 12)], 1.0), ([(1, 3), (2, 12), (4, 48)], 2.0), ([(5, 1)], None), ([], None)],
)
def test_the_power_of_growth(points: list[tuple[float, float]], power: float | None) -> None:
    """Twice the services and twice the CPU is 1, four times the CPU is 2; one point says nothing."""
    found = exponent(points)

    assert found == (None if power is None else pytest.approx(power))

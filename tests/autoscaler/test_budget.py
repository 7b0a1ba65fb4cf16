"""A budget that revisions share: nobody grows beyond what the others leave, and nobody loses replicas for it."""

from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.budget import by_name, decide_together, full_replicas, room
from autoscaler.case import Case
from autoscaler.decide import decide
from autoscaler.targets import Target, targets_of
from tests.autoscaler.test_decide import CASE
from tests.autoscaler.world import EPOCH, Revision, World


def share(reserve: int, budget: int | None, of: tuple[str, ...] = ("a", "b")) -> dict[str, Any]:
    """Return a share of two revisions with a budget."""
    made: dict[str, Any] = {"of": list(of), "weightPercent": reserve, "reservePercent": reserve}
    return made if budget is None else made | {"budgetReplicas": budget}


def targets(has: dict[str, int], budget: int | None = 6, reserve: int = 50) -> list[Target]:
    """Return targets with so many replicas, the oldest first; each knows of the other, there or not."""
    revisions = [
        Revision(name, created=EPOCH + age, replicas=number, ready=number, share=share(reserve, budget))
        for age, (name, number) in enumerate(has.items())
    ]
    found, _ = targets_of(World(*revisions).objects())
    return found


class Row(NamedTuple):
    has: dict[str, int]
    budget: int | None
    room: int | None
    why: str


@pytest.mark.parametrize(
    "row",
    [
        Row({"a": 4, "b": 1}, None, None, "without a budget nothing is counted"),
        Row({"a": 4, "b": 1}, 6, 5, "what the other has is not there"),
        Row({"a": 4}, 6, 5, "one that is named and not there yet starts with one"),
        Row({"a": 4, "b": 7}, 6, 0, "never less than nothing"),
    ],
    ids=lambda row: row.why,
)
def test_room_of_the_first(row: Row) -> None:
    """Room is the budget without what the others are told to have."""
    found = targets(row.has, row.budget)
    assert room(found[0], by_name(found)) == row.room, row.why


class Decided(NamedTuple):
    changes: dict[str, Any]
    desired: int
    reason: str
    why: str


DECIDED = [
    Decided({"room": None}, 7, "Demand", "without a budget demand decides"),
    Decided({"room": 5}, 5, "Budget", "it grows into the room that there is"),
    Decided({"room": 9}, 7, "Demand", "room that is not needed changes nothing"),
    Decided({"room": 2}, 3, "Budget", "what it has it keeps, also beyond the budget"),
    Decided({"room": 2, "maximum": 2}, 2, "Maximum", "its own bound holds at once, always"),
    Decided({"room": 2, "expected": 2.0, "level": 2.0}, 2, "DemandFell", "down it goes for its own reasons"),
]


@pytest.mark.parametrize("row", DECIDED, ids=[row.why for row in DECIDED])
def test_decision_within_a_budget(row: Decided) -> None:
    """Three replicas that demand asks to be more."""
    case = replace(CASE, **({"expected": 100.0, "level": 100.0} | row.changes))
    (decision,) = decide([case])
    assert (decision.desired, decision.reason) == (row.desired, row.reason), row.why
    assert ("the budget that all revisions share" in decision.sentence) == (row.reason == "Budget")


class Unlearned(NamedTuple):
    changes: dict[str, Any]
    reserve: int
    why: str


UNLEARNED = [
    Unlearned({}, 3, "its part of what stable has, and one more"),
    Unlearned({"room": 6}, 3, "the same where the budget has room for it"),
    Unlearned({"room": 2}, 2, "not the one more where it has not"),
    Unlearned({"room": 1}, 2, "its part it needs all the same: the rollout waits for room"),
    Unlearned({"room": 2, "expected": 0.0}, 2, "nobody asks: one, and one more"),
    Unlearned({"room": 1, "expected": 0.0}, 1, "nobody asks and there is room for one"),
    Unlearned({"room": 1, "expected": 0.0, "blind": True}, 2, "no data is not no traffic"),
]


@pytest.mark.parametrize("row", UNLEARNED, ids=[row.why for row in UNLEARNED])
def test_need_without_capacity(row: Unlearned) -> None:
    """A canary of half of the traffic, beside a stable revision of four replicas, of which nothing is learned."""
    case = replace(CASE, service_seconds=None, stable_replicas=4, weight_percent=0, reserve_percent=50)
    (decision,) = decide([replace(case, **row.changes)])
    assert decision.reserve_replicas == row.reserve, row.why


def test_what_all_of_the_demand_takes() -> None:
    """A stable revision that is sized for a part of the demand tells what the whole takes; one for nothing does not."""
    for reserve, whole in ((100, 2), (50, 4), (30, 7), (0, None)):
        (found,) = targets({"a": 2}, reserve=reserve)
        assert full_replicas(found) == whole


def test_the_oldest_grows_first() -> None:
    """Two that want more in the same tick get no more than there is, and stable is the first."""
    found = targets({"a": 2, "b": 2}, 6)
    named = by_name(found)
    asking = replace(CASE, wanted=2, ready=2, expected=60.0, level=60.0)
    cases = [replace(asking, room=room(target, named)) for target in found]
    first, second = decide_together(named, found, cases)
    assert (first.desired, second.desired) == (4, 2)
    assert second.reason == "Budget"


def _case(has: int, wants: float, left: int | None) -> Case:
    return replace(CASE, wanted=has, ready=has, expected=wants, level=wants, room=left)


@given(
    first=st.integers(1, 12),
    second=st.integers(0, 12),
    wants=st.tuples(st.floats(0, 200), st.floats(0, 200)),
    total=st.integers(2, 20),
)
def test_what_is_decided_never_passes_the_budget(
    first: int, second: int, wants: tuple[float, float], total: int
) -> None:
    """The sum stays within the budget; if it is beyond it already, nobody grows."""
    has = {"a": first} | ({"b": second} if second else {})
    found = targets(has, total)
    named = by_name(found)
    cases = [
        _case(number, want, room(target, named))
        for target, number, want in zip(found, has.values(), wants, strict=False)
    ]
    decided = [decision.desired for decision in decide_together(named, found, cases)]
    assert sum(decided) <= max(total, sum(has.values()))
    if sum(has.values()) >= total:
        assert all(now <= before for now, before in zip(decided, has.values(), strict=True))


def test_a_tick_keeps_the_budget() -> None:
    """Two revisions under a demand that takes more than both may have: the sum stays, and the canary's status tells why."""
    revisions = [
        Revision("a", replicas=2, ready=2, share=share(50, 5)),
        Revision("b", created=EPOCH + 60, replicas=1, ready=1, share=share(50, 5)),
    ]
    world = World(*revisions, rate=lambda _: 80.0)
    for _ in range(60):
        world.run(5)
        assert sum(revision.replicas for revision in revisions) <= 5
    assert sum(revision.replicas for revision in revisions) == 5
    for revision in revisions:
        limited = next(c for c in revision.status["conditions"] if c["type"] == "ScalingLimited")
        assert (limited["status"], limited["reason"]) == ("True", "Budget")

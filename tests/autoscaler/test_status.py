"""Statuses are written out by hand: exactly as the types would have them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autoscaler.decide import decide
from autoscaler.status import Numbers, fresh_until, status_of, worth_writing
from autoscaler.targets import targets_of
from autoscaler.writes import WriteStatus
from serving_api.autoscaler import InferenceAutoscalerStatus
from tests.autoscaler.test_decide import CASE
from tests.autoscaler.world import EPOCH, Revision, World


def told(world: World, since: float) -> list[str]:
    """Reasons of the decisions in the statuses written from then on."""
    return [
        write.status["lastDecision"]["reason"]
        for at, write in world.writes
        if at >= since and isinstance(write, WriteStatus)
    ]


SHARE = {"of": ["a", "b"], "weightPercent": 50, "reservePercent": 50}


@pytest.mark.parametrize(
    ("spec", "share"),
    [
        ({}, None),
        ({"maxReplicas": 1}, None),
        ({"mode": "Advise"}, None),
        ({"signals": {"profile": "vllm"}}, SHARE),
    ],
    ids=["plain", "limited", "advise", "share"],
)
def test_every_status_is_one_of_the_type(spec: dict[str, Any], share: dict[str, Any] | None) -> None:
    """Through a surge and an outage: with all that the type has, and with nothing that it has not."""
    revisions = [Revision(name, service_seconds=0.1, spec=spec, share=share) for name in ("a", "b")]
    world = World(*revisions, rate=lambda at: 40.0 if 100 < at < 300 else 3.0, seed=2)
    world.run(400)
    world.outage = "Unreachable"
    world.run(30)
    world.horizontal_pod_autoscalers = [
        {"metadata": {"namespace": "demo", "name": "h"}, "spec": {"scaleTargetRef": {"name": "a"}}}
    ]
    world.run(30)
    written = [write.status for _, write in world.writes if isinstance(write, WriteStatus)]

    assert len(written) > 5
    assert all(InferenceAutoscalerStatus.model_validate(status).wire() == status for status in written)
    assert {key for status in written for key in status} >= {
        "reserve",
        "learned",
        "lastDecision",
        "conditions",
    }


def test_what_a_newer_version_told_of_a_decision_is_not_kept() -> None:
    """Of the decision in force only what this version knows is stated again."""
    revision = Revision("a", service_seconds=0.1)
    world = World(revision, rate=lambda _: 3.0)
    world.run(60)
    revision.status = {**revision.status, "lastDecision": {**revision.status["lastDecision"], "newer": "x"}}
    world.outage = "Unreachable"
    world.run(60)

    assert revision.status["lastDecision"]["message"]
    assert "newer" not in revision.status["lastDecision"]


def test_what_keeps_the_replicas_is_told_and_that_it_does_no_more() -> None:
    """A frozen scale-down holds 16 replicas where 2 do: the decision in force says so, from a hold after the demand on."""
    revision = Revision("a", service_seconds=0.1, replicas=3, ready=3)
    world = World(revision, rate=lambda at: 60.0 if 100 < at < 300 else 5.0)
    world.run(300)
    many = revision.replicas
    revision.spec, revision.generation = {"scaleDown": "Frozen"}, 2
    world.run(1300)
    kept = revision.status["lastDecision"]
    revision.spec, revision.generation = {}, 3
    world.run(120)

    assert (revision.status["desiredReplicas"] < many, kept["previousReplicas"]) == (True, many)
    assert (kept["reason"], kept["targetReplicas"]) == ("Frozen", 2)
    assert "because scaleDown is Frozen" in kept["message"]
    assert revision.status["lastDecision"]["reason"] == "DemandFell"


def test_reasons_that_take_turns_by_chance_are_told_once() -> None:
    """Late requests and busy accelerators keep the replicas in turns: one write, and none for the steps between."""
    revision = Revision("a", replicas=4, ready=4)
    world = World(revision, rate=lambda _: 5.0)
    target = targets_of(world.objects())[0][0]
    numbers = Numbers(0.1, 20.0, 8.0, 5.0, 5.0, 5.0)
    first = replace(decide([replace(CASE, wanted=4, ready=4)])[0], desired=4, reason="Late", held_by="Late")
    revision.status = status_of(target, first, [], numbers, EPOCH)
    target = targets_of(world.objects())[0][0]
    turns = [
        replace(first, reason=reason, held_by=reason) for reason in ("GpuBusy", "Backlog", "RateLimited")
    ]
    statuses = [status_of(target, decision, [], numbers, EPOCH + 5) for decision in turns]
    freed = status_of(target, replace(first, reason="Steady", held_by=None), [], numbers, EPOCH + 5)

    assert [worth_writing(target, status) for status in statuses] == [False] * 3
    assert worth_writing(target, freed)


def test_a_need_that_has_moved_is_told_with_the_other_numbers() -> None:
    """Where minReplicas keeps the number the first decision knows no need: it is told at the target's turn, and then left alone."""
    revision = Revision("a", spec={"minReplicas": 10}, replicas=10, ready=10)
    world = World(revision, rate=lambda _: 5.0, seed=5)
    world.run(60)
    before = revision.status["lastDecision"]["neededReplicas"]
    world.run(1400)
    after = revision.status["lastDecision"]["neededReplicas"]
    world.run(1800)

    assert (before, after) == (10, 2)
    assert told(world, EPOCH + 1460) == []


def test_numbers_are_written_by_turns() -> None:
    """Never within ten minutes, from the second time on every eleven, and all that were written together apart."""
    uids = [f"uid-{number}" for number in range(1000)]
    first = [fresh_until(uid, 1_000_000.0) for uid in uids]
    second = [fresh_until(uid, due + 30.0) for uid, due in zip(uids, first, strict=True)]

    assert all(1_000_600 <= due < 1_001_260 for due in first)
    assert [after - before for before, after in zip(first, second, strict=True)] == pytest.approx(
        [660.0] * 1000
    )
    assert max(sum(at <= due < at + 60 for due in first) for at in range(1_000_600, 1_001_200, 60)) < 130

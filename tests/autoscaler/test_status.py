"""Statuses are written out by hand: exactly as the types would have them."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.status import fresh_until
from autoscaler.writes import WriteStatus
from serving_api.autoscaler import InferenceAutoscalerStatus
from tests.autoscaler.world import Revision, World

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

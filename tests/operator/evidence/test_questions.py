"""Which attempts collect evidence."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from serving_api.names import ATTEMPT_ANNOTATION, OPERATOR
from serving_operator.evidence.questions import wanted
from serving_operator.judge.verdict import limits_of
from serving_operator.world import Manifest, ObjectId, World
from tests.operator.evidence.worlds import CANARY, KEY, STABLE

STATUS: Manifest = {
    "stable": {"id": f"{STABLE}-1", "revision": STABLE},
    "canary": {
        "id": f"{CANARY}-2",
        "revision": CANARY,
        "weight": 20,
        "stepStartedAt": "2026-01-01T00:00:07Z",
    },
}


def record(revision: str, **attempt: Any) -> Manifest:
    """A ControllerRevision that the operator wrote."""
    owned = {"f:metadata": {"f:annotations": {f"f:{ATTEMPT_ANNOTATION}": {}}}}
    return {
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{KEY.name}-{revision}",
            "annotations": {ATTEMPT_ANNOTATION: json.dumps(attempt)},
            "managedFields": [{"manager": OPERATOR, "fieldsV1": owned}],
        },
        "data": {"runtime": {"profile": "mlserver"}},
    }


def world(*, recorded: Manifest | None = None, **canary: Any) -> World:
    """A canary at its step, with an analysis recorded at its start, and none in the spec any more."""
    status = copy.deepcopy(STATUS)
    status["canary"] |= canary
    attempt = recorded or {
        "objective": {"thresholdMilliseconds": 300, "percent": 98},
        "rollout": {"analysis": {"source": "istio", "windowSeconds": 30, "unacceptablePercent": 7}},
    }
    service = {"metadata": {"name": KEY.name, "namespace": KEY.namespace}, "spec": {}, "status": status}
    records = {
        ObjectId("ControllerRevision", f"{KEY.name}-{revision}"): record(revision, **extra)
        for revision, extra in ((STABLE, {}), (CANARY, attempt))
    }
    return World(KEY, service, records)


def test_a_step_with_an_analysis_is_counted() -> None:
    """The recorded analysis and objective say what, the status says since when."""
    question = wanted(world())

    assert question is not None
    assert (question.attempt, question.canary, question.stable) == (f"{CANARY}-2", CANARY, STABLE)
    assert (question.source, question.window_seconds, question.threshold_milliseconds) == ("istio", 30, 300)
    assert question.profiles == ("mlserver", "mlserver")
    assert question.window(0)[0] % 60 == 10
    assert question.limits == limits_of(98, 7)


def test_an_analysis_has_defaults() -> None:
    """An empty analysis counts at the pods, by the minute."""
    question = wanted(
        world(recorded={"objective": {"thresholdMilliseconds": 300}, "rollout": {"analysis": {}}})
    )

    assert question is not None
    assert (question.source, question.window_seconds) == ("runtime", 60)
    assert question.limits == limits_of(99)


@pytest.mark.parametrize("weight", [1, 99])
def test_the_smallest_share_is_counted(weight: int) -> None:
    """One percent, of either revision, is a comparison."""
    assert wanted(world(weight=weight)) is not None


@pytest.mark.parametrize("recorded", [True, False])
def test_an_attempt_that_recorded_nothing_goes_by_the_spec(recorded: bool) -> None:
    """Without rollout and objective on its record, or without a record, the service's spec says what is counted."""
    seen = world(recorded={"another": "field"})
    service = dict(seen.service) | {
        "spec": {
            "objective": {"thresholdMilliseconds": 200, "percent": 97},
            "rollout": {"analysis": {"windowSeconds": 45}},
        }
    }
    question = wanted(World(KEY, service, seen.objects if recorded else {}))

    assert question is not None
    assert (question.threshold_milliseconds, question.window_seconds) == (200, 45)
    assert question.limits == limits_of(97)
    assert question.profiles == (("mlserver", "mlserver") if recorded else ("", ""))


@pytest.mark.parametrize(
    "changes",
    [
        {"weight": 0},
        {"weight": 100},
        {"weight": None},
        {"stepStartedAt": None},
        {"abort": {"reason": "x"}},
        {"recorded": {"rollout": {"steps": []}, "objective": {"thresholdMilliseconds": 300}}},
        {"recorded": {"rollout": {"analysis": {}}}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_otherwise_nothing_is_counted(changes: dict[str, Any]) -> None:
    """Without a share of the traffic, a settled step, an analysis or an objective, or in an abort, nothing is asked."""
    assert wanted(world(**changes)) is None


def test_what_somebody_wrote_over_an_attempt_does_not_count() -> None:
    """An edited record does not change what the attempt is judged by."""
    seen = world()
    name = f"{KEY.name}-{CANARY}"
    original = seen.objects[ObjectId("ControllerRevision", name)]
    edited = copy.deepcopy(original)
    edited["metadata"]["annotations"][ATTEMPT_ANNOTATION] = "{}"
    edited["metadata"]["managedFields"][0]["manager"] = "somebody"
    objects = dict(seen.objects) | {ObjectId("ControllerRevision", name): edited}

    assert wanted(World(KEY, seen.service, objects, last_revisions={name: original})) == wanted(seen)


def test_a_record_of_ours_goes_before_what_is_remembered() -> None:
    """What was remembered counts only where the record is gone or was written by somebody else."""
    seen, name = world(), f"{KEY.name}-{CANARY}"
    former = record(CANARY, objective={"thresholdMilliseconds": 1}, rollout={"analysis": {}})
    assert wanted(World(KEY, seen.service, seen.objects, last_revisions={name: former})) == wanted(seen)

    gone = {identity: seen.objects[identity] for identity in seen.objects if identity.name != name}
    remembered = wanted(World(KEY, seen.service, gone, last_revisions={name: former}))
    assert remembered is not None
    assert (remembered.threshold_milliseconds, remembered.profiles) == (1, ("mlserver", "mlserver"))

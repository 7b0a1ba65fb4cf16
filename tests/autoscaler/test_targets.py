"""InferenceAutoscalers joined with their Deployments."""

from dataclasses import replace
from typing import Any

import pytest

from autoscaler.targets import ApiObjects, Known, targets_of
from tests.autoscaler.world import EPOCH, Revision, World


def listed(*revisions: Revision) -> ApiObjects:
    return World(*revisions).objects()


def hpa(kind: str, name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "theirs", "namespace": "demo"},
        "spec": {"scaleTargetRef": {"kind": kind, "name": name}},
    }


@pytest.mark.parametrize(
    ("scaler", "conflicts", "why"),
    [
        (hpa("Deployment", "a"), True, "the same Deployment"),
        (hpa("Deployment", "b"), False, "another one"),
        (hpa("InferenceService", "a"), False, "the scale subresource of a service is not ours"),
    ],
)
def test_other_scalers(scaler: dict[str, Any], conflicts: bool, why: str) -> None:
    """HPAs and ScaledObjects on the target conflict."""
    objects = listed(Revision("a"))
    for field in ("horizontal_pod_autoscalers", "scaled_objects"):
        (target,), _ = targets_of(
            ApiObjects(objects.autoscalers, objects.deployments, **{field: [scaler]})  # type: ignore[arg-type]
        )
        assert (target.conflict is not None) is conflicts, why


def test_of_two_autoscalers_on_one_target_the_older_acts() -> None:
    """The younger reports who is older."""
    world = World(Revision("a"))
    older = world.autoscaler(world.revisions["a"])
    younger = world.autoscaler(Revision("a", created=EPOCH + 60))
    younger["metadata"] |= {"name": "second", "uid": "ia-second"}
    found, _ = targets_of(ApiObjects([younger, older], world.objects().deployments))
    conflicts = {target.autoscaler.name: target.conflict for target in found}
    assert conflicts["a"] is None
    assert conflicts["second"] == "InferenceAutoscaler a is older and scales Deployment a: delete one"


def test_members_are_the_live_revisions_oldest_first() -> None:
    """`share.of` may name one that is gone already."""
    share = {"of": ["b", "a", "gone"], "weightPercent": 10, "reservePercent": 10}
    objects = listed(Revision("b", created=EPOCH + 60, share=share), Revision("a", share=share))
    found, _ = targets_of(objects)
    assert {target.members for target in found} == {("ia-a", "ia-b")}


@pytest.mark.parametrize(
    ("stable", "canary", "expected"),
    [
        ({}, {"weightPercent": 30}, {"a": 70, "b": 30}),
        ({"weightPercent": 80}, {"weightPercent": 20}, {"a": 80, "b": 20}),
        ({}, None, {"a": 100}),
    ],
    ids=["what the others leave", "as stated", "alone"],
)
def test_the_weight_of_one_that_states_none_is_what_the_others_leave(
    stable: dict[str, Any], canary: dict[str, Any] | None, expected: dict[str, int]
) -> None:
    """A stable revision's share need not be written again at each step of the canary."""
    of = {"of": ["a", "b"], "reservePercent": 100}
    revisions = [Revision("a", share=of | stable)]
    if canary is not None:
        revisions.append(Revision("b", created=EPOCH + 60, share=of | canary))
    found, _ = targets_of(listed(*revisions))
    assert {target.autoscaler.name: target.weight_percent for target in found} == expected


@pytest.mark.parametrize(
    "edits",
    [
        {"maxReplicas": "many"},
        {"signals": {"metrics": {"requestsTotal": "nan", "durationSeconds": "d"}}},
        {"signals": {"metrics": {"requestsTotal": "r", "durationSeconds": "d", "inFlight": "On"}}},
    ],
)
def test_an_unreadable_object_harms_no_other(edits: dict[str, Any]) -> None:
    """A spec that the types refuse, a word of PromQL for a metric among it, is told, and the rest goes on."""
    world = World(Revision("a"), Revision("b"))
    broken = world.autoscaler(world.revisions["b"])
    broken["spec"] |= edits
    found, unreadable = targets_of(
        ApiObjects([world.autoscaler(world.revisions["a"]), broken], world.objects().deployments)
    )
    assert [target.autoscaler.name for target in found] == ["a"]
    assert "demo/b" in unreadable[0]


def test_ownership_is_read_from_managed_fields() -> None:
    """Only our own entry that has spec.replicas counts."""
    found, _ = targets_of(listed(Revision("a", ours=True), Revision("b", ours=False)))
    owned = {target.autoscaler.name: target.workload is not None and target.workload.ours for target in found}
    assert owned == {"a": True, "b": False}


def test_an_object_is_read_again_only_where_another_stands_in_its_place() -> None:
    """Whatever it says: one that is the same object has not changed, and what has gone is forgotten."""
    world, known = World(Revision("a"), Revision("b")), Known()
    first = world.objects()
    before = {t.uid: t for t in targets_of(replace(first, known=known))[0]}
    world.revisions["a"].spec = {"minReplicas": 2}
    second = replace(first, autoscalers=[world.objects().autoscalers[0], first.autoscalers[1]], known=known)
    after = {t.uid: t for t in targets_of(second)[0]}

    assert after["ia-b"].autoscaler is before["ia-b"].autoscaler
    assert after["ia-a"].spec.min_replicas == 2
    assert [len(read) for read in known._read.values()] == [2, 2, 2]
    targets_of(replace(first, autoscalers=[], deployments=[], known=known))
    assert [len(read) for read in known._read.values()] == [0, 0, 0]

"""Drift: what others change or remove is put back; what is somebody else's is left alone."""

import copy
from typing import Any

import pytest

from serving_api.names import AUTOSCALER_KIND
from serving_operator.children.route import weights
from serving_operator.decide import LOOK_AGAIN_SECONDS
from serving_operator.world import Manifest, ObjectId
from tests.operator.rollout.simulation import KEY, Simulation, at_step, inference_service, revision, settled

A, B = revision("a"), revision("b")
KINDS = ("ControllerRevision", "Deployment", "Service", "PodDisruptionBudget", AUTOSCALER_KIND)


@pytest.mark.parametrize("kind", [*KINDS, "HTTPRoute", "stable Service"])
@pytest.mark.parametrize("of", [A, B])
def test_a_deleted_child_is_restored(kind: str, of: str) -> None:
    """At a step each child that is deleted comes back, and the rollout stands where it was."""
    cluster = at_step()
    before = _content(cluster)
    name = KEY.name if kind in ("HTTPRoute", "stable Service") else f"{KEY.name}-{of}"
    cluster.remove(ObjectId(kind.removeprefix("stable "), name))
    cluster.run(40)
    assert _content(cluster) == before
    assert cluster.status["canary"]["weight"] == 20
    assert cluster.run(30) == 0


@pytest.mark.parametrize("kind", ["HTTPRoute", "stable Service"])
def test_what_carries_traffic_is_put_back_before_what_may_be_refused(kind: str) -> None:
    """A canary whose children a quota refuses keeps nobody from the route, which does not name a Service that is not there."""
    cluster = settled()
    cluster.apply(inference_service("b"))
    cluster.reconcile()
    cluster.reconcile()
    assert cluster.status["canary"]["revision"] == B
    for refused in ("Deployment", "Service", AUTOSCALER_KIND):
        cluster.objects.pop(ObjectId(refused, f"{KEY.name}-{B}"), None)
    cluster.remove(ObjectId(kind.removeprefix("stable "), KEY.name))
    first = cluster.decide().writes[0].manifest
    assert f"{first['kind']} {first['metadata']['name']}" == f"{kind.removeprefix('stable ')} {KEY.name}"
    if kind == "HTTPRoute":
        assert weights(first) == {A: 100}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("Deployment", {"minReadySeconds": 99}),
        ("Deployment", {"strategy": {"type": "Recreate"}}),
        ("Service", {"selector": {"app": "other"}}),
        ("PodDisruptionBudget", {"maxUnavailable": 5}),
        (AUTOSCALER_KIND, {"maxReplicas": 99}),
        (AUTOSCALER_KIND, {"share": {"of": ["x"], "weightPercent": 1, "reservePercent": 1}}),
        ("HTTPRoute", {"hostnames": ["evil.test"]}),
        ("HTTPRoute", {"rules": []}),
    ],
)
def test_an_edited_field_is_restored(kind: str, fields: dict[str, Any]) -> None:
    """At a step each field that is ours and is edited gets its value back."""
    cluster = at_step()
    before = _content(cluster)
    name = KEY.name if kind == "HTTPRoute" else f"{KEY.name}-{B}"
    cluster.edit(ObjectId(kind, name), **fields)
    cluster.reconcile()
    for found in cluster.objects.values():
        found.pop("edited", None)
    cluster.run(40)
    assert _content(cluster) == before


def test_edited_weights_go_back_to_those_acknowledged() -> None:
    """Somebody gives the canary more: the route gets back what the gateway had acknowledged."""
    cluster = at_step()
    rules = copy.deepcopy((cluster.route or {})["spec"]["rules"])
    for backend in rules[0]["backendRefs"]:
        backend["weight"] = 90 if backend["name"].endswith(B) else 10
    cluster.edit(ObjectId("HTTPRoute", KEY.name), rules=rules)
    cluster.reconcile()
    assert weights(cluster.route or {}) == {A: 80, B: 20}


def test_weights_edited_during_an_abort_do_not_come_back() -> None:
    """An aborted canary gets nothing, whatever somebody writes into the route."""
    cluster = at_step()
    cluster.label("Abort", f"{B}-2")
    cluster.reconcile()
    cluster.reconcile()
    rules = copy.deepcopy((cluster.route or {})["spec"]["rules"])
    for backend in rules[0]["backendRefs"]:
        backend["weight"] = 50
    cluster.edit(ObjectId("HTTPRoute", KEY.name), rules=rules)
    cluster.reconcile()
    assert weights(cluster.route or {}).get(B, 0) == 0


@pytest.mark.parametrize("kind", ["Deployment", "Service", "PodDisruptionBudget", AUTOSCALER_KIND])
def test_a_foreign_object_with_a_childs_name_is_left_alone(kind: str) -> None:
    """It is not written, the condition names it with the command that resolves it, and then all goes on."""
    cluster = settled()
    key = ObjectId(kind, f"{KEY.name}-{B}")
    cluster.objects[key] = _foreign(key)
    cluster.apply(inference_service("b"))
    if kind == "Deployment":
        cluster.pods.clear()
        cluster.objects.pop(key)
        cluster.kubelet()
        cluster.objects[key] = _foreign(key)
    before = copy.deepcopy(cluster.objects[key])
    for _ in range(10):
        cluster.tick()
        cluster.reconcile()
    assert cluster.objects[key] == before
    conflict = cluster.condition("NameConflict")
    assert conflict is not None
    assert f"delete {kind.lower()}" in conflict["message"]
    del cluster.objects[key]
    cluster.run(40)
    assert cluster.condition("NameConflict") is None
    assert cluster.status["canary"]["weight"] == 20


@pytest.mark.parametrize("finalized", [False, True])
def test_whoever_is_in_the_way_of_a_settled_service_is_looked_at_again(finalized: bool) -> None:
    """No watch shows an object without our labels: that it goes, and is gone, is seen 15 seconds later at most."""
    cluster = settled()
    key = ObjectId("PodDisruptionBudget", f"{KEY.name}-{A}")
    ours, cluster.objects[key] = cluster.objects[key], _foreign(key)
    while cluster.reconcile():
        pass
    assert cluster.condition("NameConflict") is not None
    assert cluster.decide().requeue_after_seconds == LOOK_AGAIN_SECONDS
    if finalized:
        cluster.objects[key]["metadata"]["deletionTimestamp"] = "2026-01-01T00:10:00Z"
        cluster.reconcile()
        assert cluster.condition("NameConflict") is None
        assert cluster.decide().requeue_after_seconds == LOOK_AGAIN_SECONDS
    del cluster.objects[key]
    while cluster.reconcile():
        pass
    assert cluster.objects[key]["spec"] == ours["spec"]
    assert cluster.decide().requeue_after_seconds is None


@pytest.mark.parametrize("kind", ["HTTPRoute", "Service"])
def test_a_foreign_object_with_the_services_name_is_left_alone(kind: str) -> None:
    """A route or Service of the same name stops the first revision and is named."""
    cluster = Simulation()
    key = ObjectId(kind, KEY.name)
    cluster.objects[key] = _foreign(key)
    for _ in range(10):
        cluster.tick()
        cluster.autoscaler()
        cluster.kubelet() if kind == "HTTPRoute" else None
        cluster.reconcile()
    if kind == "HTTPRoute":
        conflict = cluster.condition("NameConflict")
        assert conflict is not None
        assert "delete httproute.gateway.networking.k8s.io digits" in conflict["message"]
    assert cluster.objects[key] == _foreign(key)


def test_a_foreign_route_costs_a_loading_canary_no_time() -> None:
    """Whose name is taken waits for others: the deadline is moved by as long, and nobody is rejected when it is free."""
    cluster = settled()
    cluster.load_seconds = 115
    cluster.apply(inference_service("loading"))
    cluster.run(3)
    key = ObjectId("HTTPRoute", KEY.name)
    cluster.remove(key)
    cluster.objects[key] = _foreign(key) | {"spec": {"parentRefs": [], "rules": []}}
    cluster.run(125)
    assert cluster.status["canary"]["hold"]["reason"] == "NameConflict"
    del cluster.objects[key]
    cluster.run(30)
    assert "rejected" not in cluster.status
    assert cluster.status["canary"]["weight"] == 20


def test_children_of_a_deleted_namesake_are_waited_for() -> None:
    """A child of a former service of this name goes by itself: no write, no conflict."""
    cluster = settled()
    cluster.service["metadata"]["uid"] = "service-2"
    cluster.service.pop("status")
    cluster.pods.clear()
    count = len(cluster.writes)
    for _ in range(5):
        cluster.tick()
        cluster.reconcile()
    assert len(cluster.writes) == count
    assert cluster.condition("NameConflict") is None
    cluster.objects.clear()
    cluster.run(30)
    assert cluster.status["stable"]["revision"] == A


@pytest.mark.parametrize("promoting", [False, True])
def test_a_restore_without_status_and_owners_ends_where_it_was(promoting: bool) -> None:
    """Objects without status and owner references are adopted; stable and canary are found again."""
    cluster = at_step()
    before = _content(cluster)
    cluster.service.pop("status")
    cluster.service["metadata"]["uid"] = "service-2"
    for found in cluster.objects.values():
        found["metadata"].pop("ownerReferences")
    cluster.restart()
    cluster.run(40)
    assert cluster.status["stable"]["revision"] == A
    assert cluster.status["canary"]["id"] == f"{B}-2"
    assert cluster.status["canary"]["weight"] == 20
    assert _content(cluster, owner="service-2") == _with_owner(before, "service-2")
    if promoting:
        cluster.label("Promote", f"{B}-2")
        cluster.run(60)
        assert cluster.status["stable"]["revision"] == B


def test_an_orphan_that_was_changed_is_not_adopted() -> None:
    """Without an owner and with other content an object is somebody else's by now."""
    cluster = settled()
    cluster.service["metadata"]["uid"] = "service-2"
    cluster.service.pop("status")
    for found in cluster.objects.values():
        found["metadata"].pop("ownerReferences")
    key = ObjectId("PodDisruptionBudget", f"{KEY.name}-{A}")
    cluster.objects[key]["spec"]["maxUnavailable"] = 7
    cluster.run(20)
    assert cluster.objects[key]["spec"]["maxUnavailable"] == 7
    conflict = cluster.condition("NameConflict")
    assert conflict is not None
    assert "poddisruptionbudget.policy" in conflict["message"]


def test_a_lost_record_is_restored_from_memory_or_from_the_deployment() -> None:
    """The record comes back with the same data: from what was last seen, or from the Deployment's template."""
    for restarted in (False, True):
        cluster = at_step()
        key = ObjectId("ControllerRevision", f"{KEY.name}-{A}")
        template = cluster.objects[key]["data"]["podTemplate"]
        cluster.remove(key)
        if restarted:
            cluster.restart()
        cluster.run(10)
        assert cluster.objects[key]["data"]["podTemplate"] == template
        assert cluster.status["stable"]["revision"] == A


def test_a_revision_of_which_nothing_is_left_is_lost() -> None:
    """Neither record nor Deployment: Stalled, RevisionLost, and what to do."""
    cluster = at_step()
    cluster.remove(ObjectId("ControllerRevision", f"{KEY.name}-{A}"))
    cluster.remove(ObjectId("Deployment", f"{KEY.name}-{A}"))
    cluster.restart()
    cluster.run(5)
    stalled = cluster.condition("Stalled")
    assert stalled is not None
    assert stalled["reason"] == "RevisionLost"
    assert A in stalled["message"]


def test_a_service_that_is_being_deleted_is_left_alone() -> None:
    """With a deletion timestamp nothing is decided at all."""
    cluster = at_step()
    cluster.service["metadata"]["deletionTimestamp"] = "2026-01-01T01:00:00Z"
    cluster.objects.clear()
    plan = cluster.decide()
    assert plan.writes == ()
    assert plan.status is None


def _foreign(key: ObjectId) -> Manifest:
    version = {
        "HTTPRoute": "gateway.networking.k8s.io/v1",
        "Service": "v1",
        "Deployment": "apps/v1",
        "PodDisruptionBudget": "policy/v1",
        AUTOSCALER_KIND: "serving-operator.dev/v1alpha1",
    }[key.kind]
    return {
        "apiVersion": version,
        "kind": key.kind,
        "metadata": {"name": key.name, "namespace": KEY.namespace, "uid": "theirs", "resourceVersion": "1"},
        "spec": {"selector": {"serving-operator.dev/revision": "none"}, "replicas": 0},
    }


def _content(cluster: Simulation, owner: str = "") -> dict[ObjectId, Any]:
    made = {}
    for key, found in sorted(cluster.objects.items()):
        metadata = {
            name: found["metadata"].get(name) for name in ("labels", "annotations", "ownerReferences")
        }
        made[key] = copy.deepcopy(
            {"metadata": metadata, "spec": found.get("spec"), "data": found.get("data")}
        )
    return made


def _with_owner(content: dict[ObjectId, Any], uid: str) -> dict[ObjectId, Any]:
    for found in content.values():
        for owner in found["metadata"]["ownerReferences"] or ():
            owner["uid"] = uid
    return content


def test_a_name_conflict_stops_the_clock_of_the_canary() -> None:
    """An object in the way is no fault of the revision: Stalled, but nothing is rejected however long it takes."""
    cluster = settled()
    key = ObjectId("Service", f"{KEY.name}-{B}")
    cluster.objects[key] = _foreign(key)
    cluster.apply(inference_service("b"))
    cluster.run(300)
    stalled = cluster.condition("Stalled")
    assert stalled is not None
    assert stalled["reason"] == "NameConflict"
    assert "rejected" not in cluster.status
    del cluster.objects[key]
    cluster.run(40)
    assert cluster.status["canary"]["weight"] == 20


def test_a_promotion_by_editing_the_route_is_undone() -> None:
    """Somebody gives the canary everything and the gateway obeys: it is taken back and counts for nothing."""
    cluster = at_step()
    rules = copy.deepcopy((cluster.route or {})["spec"]["rules"])
    for backend in rules[0]["backendRefs"]:
        backend["weight"] = 100 if backend["name"].endswith(B) else 0
    cluster.edit(ObjectId("HTTPRoute", KEY.name), rules=rules)
    cluster.gateway()
    cluster.label("Promote", f"{B}-2")
    cluster.reconcile()
    cluster.reconcile()
    assert weights(cluster.route or {}) == {A: 80, B: 20}
    assert cluster.status["canary"]["weight"] == 20
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B


def test_a_lost_stable_revision_can_be_replaced() -> None:
    """With nothing left of stable the newest spec still becomes ready, and its label takes it straight to 100."""
    cluster = settled()
    cluster.remove(ObjectId("ControllerRevision", f"{KEY.name}-{A}"))
    cluster.remove(ObjectId("Deployment", f"{KEY.name}-{A}"))
    cluster.restart()
    cluster.apply(inference_service("b"))
    cluster.run(60)
    assert cluster.status["canary"]["verdict"] == "RollForward"
    cluster.label("Promote", cluster.status["canary"]["id"])
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B
    assert cluster.condition("Stalled") is None

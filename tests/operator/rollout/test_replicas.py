"""One writer of replicas per mode: what is stated at creation, until the hand-over, and in which mode."""

from typing import Any

from serving_api.names import AUTOSCALER, AUTOSCALER_KIND
from serving_operator.children.route import weights
from serving_operator.rollout.replicas import autoscaler_owns
from serving_operator.world import ObjectId
from tests.operator.rollout.simulation import (
    KEY,
    Simulation,
    inference_service,
    revision,
    settled,
)

A, B = revision("a"), revision("b")


def external(image: str, replicas: int) -> dict[str, Any]:
    """Return a service whose replicas somebody else sets."""
    made = inference_service(image)
    made["spec"]["predictor"] = {"container": {"image": image}, "timeout": 5}
    made["spec"].pop("objective")
    made["spec"]["scaling"] = {"class": "External", "external": {"replicas": replicas}}
    return made


def replicas(cluster: Simulation) -> dict[str, int]:
    """Return the replicas that each revision's Deployment asks for."""
    return {
        name.removeprefix(f"{KEY.name}-"): found["spec"]["replicas"]
        for name, found in cluster.of_kind("Deployment").items()
    }


def test_the_operator_states_the_live_number_until_the_autoscaler_has_written_it() -> None:
    """Before the hand-over the live number is stated with its version, after it none."""
    cluster = Simulation()
    cluster.autoscaler_alive = False
    cluster.round()
    cluster.round()
    name = ObjectId("Deployment", f"{KEY.name}-{A}")
    cluster.objects[name]["spec"]["replicas"] = 4
    cluster.edit(name, minReadySeconds=77)
    cluster.round()
    last = [write for write in cluster.writes if write.manifest["kind"] == "Deployment"][-1]
    assert last.manifest["spec"]["replicas"] == 4
    assert last.resource_version is not None
    cluster.autoscaler_alive = True
    cluster.run(30)
    cluster.edit(name, minReadySeconds=78)
    cluster.round()
    last = [write for write in cluster.writes if write.manifest["kind"] == "Deployment"][-1]
    assert "replicas" not in last.manifest["spec"]
    assert autoscaler_owns(cluster.objects[name])
    assert replicas(cluster) == {A: 3}


def test_a_deleted_deployment_comes_back_with_its_last_replicas() -> None:
    """A restored Deployment starts with what it had, not with 1, also when the operator restarted meanwhile."""
    cluster = settled()
    for restarted in (False, True):
        cluster.remove(ObjectId("Deployment", f"{KEY.name}-{A}"))
        if restarted:
            cluster.restart()
        cluster.reconcile()
        assert replicas(cluster) == {A: 3}
        cluster.run(20)


def bounded(image: str, most: int) -> dict[str, Any]:
    """Return a service with an upper bound."""
    made = inference_service(image)
    made["spec"]["predictor"]["maxReplicas"] = most
    return made


def test_a_revision_that_left_as_planned_comes_back_as_a_new_one() -> None:
    """What a revision had before another replaced it says nothing about now: it starts with its need or one."""
    cluster = Simulation(bounded("a", 20), demand=20)
    cluster.run(30)
    assert replicas(cluster) == {A: 20}
    cluster.apply(bounded("b", 20))
    cluster.run(30)
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    assert replicas(cluster) == {B: 20}
    cluster.demand = 3
    cluster.run(60)
    cluster.apply(bounded("a", 8))
    most, before = 0, len(cluster.writes)
    for _ in range(30):
        cluster.round()
        most = max(most, replicas(cluster).get(A, 0))
    created = [
        write.manifest["spec"]["replicas"]
        for write in cluster.writes[before:]
        if write.verb == "create" and write.manifest["kind"] == "Deployment"
    ]
    assert created == [1]
    assert most == 1


def test_a_deleted_deployment_comes_back_within_the_bound() -> None:
    """A bound that was lowered meanwhile holds for what is restored, too."""
    cluster = settled()
    cluster.demand = 6
    cluster.run(10)
    assert replicas(cluster) == {A: 6}
    cluster.remove(ObjectId("Deployment", f"{KEY.name}-{A}"))
    cluster.apply(bounded("a", 4))
    cluster.reconcile()
    assert replicas(cluster) == {A: 4}


def test_advise_keeps_the_number_on_the_way_in_and_on_the_way_back() -> None:
    """Auto to Advise and back changes no replica count."""
    cluster = settled()
    cluster.demand = 6
    cluster.run(10)
    assert replicas(cluster) == {A: 6}
    advise = inference_service("a", scaling={"class": "Auto", "mode": "Advise"})
    cluster.apply(advise)
    cluster.reconcile()
    cluster.demand = 3
    cluster.run(20)
    assert replicas(cluster) == {A: 6}
    assert cluster.run(30) == 0
    cluster.apply(inference_service("a"))
    cluster.reconcile()
    cluster.reconcile()
    assert replicas(cluster) == {A: 6}


def test_advise_lowers_only_on_an_edit_of_the_bounds() -> None:
    """Raising follows the need; an edit of the bounds takes the number to the greater of minimum and need."""
    scaling = {"class": "Auto", "mode": "Advise"}
    cluster = settled(scaling=scaling)
    cluster.demand = 6
    cluster.run(10)
    assert replicas(cluster) == {A: 6}
    cluster.demand = 2
    cluster.run(20)
    assert replicas(cluster) == {A: 6}
    service = inference_service("a", scaling=scaling)
    service["spec"]["predictor"]["minReplicas"] = 3
    cluster.apply(service)
    cluster.run(5)
    assert replicas(cluster) == {A: 3}


def test_advise_takes_a_canary_through_promotion() -> None:
    """The operator gives each revision its need; nobody else writes replicas."""
    scaling = {"class": "Auto", "mode": "Advise"}
    cluster = settled(scaling=scaling)
    cluster.apply(inference_service("b", scaling=scaling))
    cluster.run(30)
    assert weights(cluster.route or {}) == {A: 80, B: 20}
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B
    assert replicas(cluster) == {B: 3}
    for found in cluster.of_kind("Deployment").values():
        assert not any(entry["manager"] == AUTOSCALER for entry in found["metadata"]["managedFields"])


def test_external_splits_and_promotes_without_an_autoscaler() -> None:
    """Canary gets its part of N rounded up and stable keeps N; promotion first raises the canary to N."""
    cluster = Simulation(external("a", 5))
    cluster.autoscaler_alive = False
    cluster.renewed = None
    cluster.run(30)
    assert replicas(cluster) == {A: 5}
    assert cluster.of_kind(AUTOSCALER_KIND) == {}
    cluster.apply(external("b", 5))
    cluster.run(30)
    assert replicas(cluster) == {A: 5, B: 1}
    assert weights(cluster.route or {}) == {A: 80, B: 20}
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B
    assert replicas(cluster) == {B: 5}


def test_external_lower_numbers_wait_for_the_commit() -> None:
    """During a rollout N may grow; a lower N takes effect after the commit."""
    cluster = Simulation(external("a", 5))
    cluster.run(30)
    cluster.apply(external("b", 5))
    cluster.run(30)
    cluster.apply(external("b", 2))
    cluster.run(5)
    assert replicas(cluster)[A] == 5
    cluster.apply(external("b", 10))
    cluster.run(5)
    assert replicas(cluster) == {A: 10, B: 2}
    cluster.apply(external("b", 3))
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    assert replicas(cluster) == {B: 3}


def test_a_change_of_class_removes_the_autoscaler_and_keeps_the_pods() -> None:
    """Auto to External: the InferenceAutoscaler goes and N holds; back again: the number stays until handed over."""
    cluster = settled()
    cluster.apply(external("a", 4))
    cluster.run(10)
    assert cluster.of_kind(AUTOSCALER_KIND) == {}
    assert replicas(cluster) == {A: 4}
    cluster.autoscaler_alive = False
    cluster.apply(inference_service("a"))
    cluster.run(10)
    assert set(cluster.of_kind(AUTOSCALER_KIND)) == {f"{KEY.name}-{A}"}
    assert replicas(cluster) == {A: 4}

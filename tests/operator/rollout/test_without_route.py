"""No route carries the traffic: the stable Service does, and a new revision takes over by its label, blue/green."""

import copy
from itertools import groupby

import pytest

from serving_api.names import AUTOSCALER_KIND
from serving_operator.children.route import weights
from serving_operator.world import Manifest, ObjectId
from tests.operator.rollout.simulation import (
    KEY,
    Crash,
    Simulation,
    inference_service,
    judged,
    revision,
    unrouted,
)

A, B = revision("a"), revision("b")
STABLE_SERVICE = ObjectId("Service", KEY.name)


def without_gateway_api(service: Manifest | None = None) -> Simulation:
    """Return a cluster without the Gateway API and with a committed first revision."""
    cluster = Simulation(service or inference_service(), routes_served=False)
    cluster.run(20)
    assert cluster.status["stable"]["revision"] == A
    return cluster


def waiting(service: Manifest | None = None) -> Simulation:
    """Return such a cluster whose canary has its replicas and waits for its label."""
    cluster = without_gateway_api()
    cluster.apply(service or inference_service("b"))
    cluster.run(20)
    assert cluster.status["canary"]["revision"] == B
    return cluster


def promoted(cluster: Simulation, until: str) -> Simulation:
    """Promote the canary, until its attempt says this."""
    cluster.label("Promote", cluster.status["canary"]["id"])
    for _ in range(60):
        if cluster.status["canary"]["verdict"] == until:
            return cluster
        cluster.round()
    raise AssertionError(cluster.status)


def switches(cluster: Simulation) -> list[str]:
    """Return what the stable Service was made to select, one after the other."""
    written = [
        w.manifest
        for w in cluster.writes
        if (w.manifest["kind"], w.manifest["metadata"]["name"]) == STABLE_SERVICE
    ]
    selected = [manifest["spec"]["selector"]["serving-operator.dev/revision"] for manifest in written]
    return [revision for revision, _ in groupby(selected)]


def test_canary_gets_all_of_its_capacity_and_no_traffic() -> None:
    """Need of 100 percent is asked for and ready, nothing selects the canary, and its label is waited for."""
    cluster = waiting()
    share = cluster.objects[ObjectId(AUTOSCALER_KIND, f"{KEY.name}-{B}")]["spec"]["share"]
    assert (share["weightPercent"], share["reservePercent"]) == (0, 100)
    assert cluster.ready(B) == cluster.demand
    assert cluster.selected == A
    canary = cluster.status["canary"]
    assert (canary["weight"], canary["verdict"]) == (0, "WaitingForPromotion")
    up_to_date = cluster.condition("UpToDate")
    assert up_to_date is not None
    assert "httproutes.gateway.networking.k8s.io" in up_to_date["message"]
    assert f"promote={canary['id']}" in up_to_date["message"]
    assert cluster.condition("Stalled") is cluster.condition("Reconciling") is None


def test_label_switches_soaks_commits_and_removes_the_old_one() -> None:
    """Promotion is one write of the selector, and the old revision goes when nothing reaches it any more."""
    cluster = promoted(waiting(), "Soaking")
    assert cluster.selected == B
    assert cluster.status["canary"]["weight"] == 100
    assert cluster.status["stable"]["revision"] == A
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B
    assert "canary" not in cluster.status
    assert set(cluster.of_kind("Deployment")) == {f"{KEY.name}-{B}"}
    assert switches(cluster) == [A, B]
    assert cluster.reconcile() == 0


def test_soak_begins_when_the_endpoints_have_followed() -> None:
    """While the EndpointSlices still hold the old pods nothing counts as arrived, and in time the status says so."""
    cluster = waiting()
    cluster.held_slices = tuple(cluster.slices())
    promoted(cluster, "EndpointsNotUpdated")
    assert cluster.status["canary"]["weight"] == 0
    cluster.held_slices = ()
    cluster.run(5)
    assert cluster.status["canary"]["verdict"] == "Soaking"


def test_is_not_promoted_before_its_capacity() -> None:
    """The label skips nothing of it: with the autoscaler away, the Service stays as it is."""
    cluster = without_gateway_api()
    cluster.apply(inference_service("b"))
    cluster.reconcile()
    cluster.label("Promote", cluster.status["canary"]["id"])
    for _ in range(30):
        cluster.tick()
        cluster.kubelet()
        cluster.reconcile()
    assert cluster.selected == A
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B


def test_abort_before_the_switch_only_removes_the_canary() -> None:
    """Nothing but the canary's own objects is touched."""
    cluster = waiting()
    service = cluster.objects[STABLE_SERVICE]
    cluster.label("Abort", cluster.status["canary"]["id"])
    cluster.run(40)
    assert cluster.status["rejected"][-1]["revision"] == B
    assert set(cluster.of_kind("Deployment")) == {f"{KEY.name}-{A}"}
    assert cluster.objects[STABLE_SERVICE] == service


def test_abort_after_the_switch_switches_back_first() -> None:
    """The selector goes back in the first write, and the canary stays until nothing reaches it."""
    cluster = promoted(waiting(), "Soaking")
    cluster.label("Abort", cluster.status["canary"]["id"])
    cluster.reconcile()
    before = len(cluster.writes)
    cluster.reconcile()
    assert cluster.selected == A
    assert len(cluster.writes) == before + 1
    assert f"{KEY.name}-{B}" in cluster.of_kind("Deployment")
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == A
    assert set(cluster.of_kind("Deployment")) == {f"{KEY.name}-{A}"}
    assert switches(cluster) == [A, B, A]


def test_abort_ends_although_somebody_else_has_the_services_name() -> None:
    """Nothing of ours sends any requests then; the conflict is told, and the attempt is over."""
    cluster = waiting()
    service = cluster.objects[STABLE_SERVICE]
    metadata = {"name": KEY.name, "namespace": KEY.namespace, "uid": "theirs", "resourceVersion": "1"}
    cluster.objects[STABLE_SERVICE] = service | {"metadata": metadata}
    cluster.label("Abort", cluster.status["canary"]["id"])
    cluster.run(40)
    assert cluster.status["rejected"][-1]["revision"] == B
    assert cluster.condition("NameConflict") is not None
    assert cluster.objects[STABLE_SERVICE]["metadata"] == metadata


def test_spec_back_at_stable_ends_the_attempt_without_rejection() -> None:
    """As with a route; the Service is not touched."""
    cluster = waiting()
    cluster.apply(inference_service("a"))
    cluster.run(40)
    assert "canary" not in cluster.status
    assert "rejected" not in cluster.status
    assert switches(cluster) == [A]


def test_canary_that_never_becomes_ready_is_rejected() -> None:
    """The deadline of the start holds without a route too."""
    cluster = without_gateway_api()
    cluster.apply(inference_service("crashing"))
    cluster.run(200)
    assert cluster.status["rejected"][-1]["reason"] == "CrashLoop"
    assert cluster.selected == A


def test_a_pod_that_fails_while_the_label_is_waited_for_rejects_nobody() -> None:
    """The deadline is that of the start: hours later a restarted pod does not end the attempt."""
    cluster = waiting()
    cluster.run(300)
    cluster.break_pods(B)
    cluster.run(5)
    assert cluster.status["canary"]["verdict"] == "WaitingForPromotion"
    healthy = cluster.condition("CanaryHealthy")
    assert healthy is not None
    assert healthy["status"] == "False"


@pytest.mark.parametrize("promotion", ["Manual", "Automatic"])
def test_analysis_holds_and_names_what_it_needs(promotion: str) -> None:
    """Weights are asked for and cannot be had: Stalled, with the CRD and the commands; nothing promotes by itself."""
    cluster = waiting(judged("b", promotion=promotion))
    cluster.run(300)
    assert cluster.selected == A
    stalled = cluster.condition("Stalled")
    assert stalled is not None
    assert stalled["reason"] == cluster.status["canary"]["verdict"] == "GatewayAPIMissing"
    assert "httproutes.gateway.networking.k8s.io" in stalled["message"]
    assert "--overwrite" in stalled["message"]
    promoted(cluster, "Soaking")
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B


def test_broken_stable_rolls_forward() -> None:
    """Under promotion Automatic by itself, under Manual by its label, in both cases with capacity first."""
    for service in (judged("b"), inference_service("b")):
        cluster = without_gateway_api()
        cluster.break_pods(A)
        cluster.apply(service)
        cluster.run(60)
        if service["spec"]["rollout"].get("promotion") != "Automatic":
            assert cluster.status["canary"]["verdict"] == "RollForward"
            cluster.label("Promote", cluster.status["canary"]["id"])
            cluster.run(60)
        assert cluster.status["stable"]["revision"] == B
        assert cluster.selected == B


def test_edited_selector_is_put_back() -> None:
    """Before the switch to stable, after it to the promoted canary; an edit is never taken for a switch."""
    for until, wanted in (("WaitingForPromotion", A), ("Soaking", B)):
        cluster = waiting()
        if until == "Soaking":
            promoted(cluster, until)
        other = B if wanted == A else A
        selector = cluster.objects[STABLE_SERVICE]["spec"]["selector"] | {
            "serving-operator.dev/revision": other
        }
        cluster.edit(STABLE_SERVICE, selector=selector)
        cluster.reconcile()
        assert cluster.selected == wanted
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B


def test_deleted_service_is_made_again_for_stable() -> None:
    """With it goes what it said of the switch: the promoted canary passes all gates again."""
    cluster = promoted(waiting(), "Soaking")
    cluster.remove(STABLE_SERVICE)
    cluster.reconcile()
    assert cluster.selected == A
    cluster.run(60)
    assert (cluster.status["stable"]["revision"], cluster.selected) == (B, B)


def test_crash_between_any_two_writes_changes_nothing() -> None:
    """Killed after every single write, from the new spec to the end, the operator ends the same."""
    for crash_after in range(5):
        cluster = without_gateway_api()
        cluster.apply(inference_service("b"))
        for second in range(140):
            if second == 40:
                cluster.label("Promote", cluster.status["canary"]["id"])
            cluster.tick()
            cluster.autoscaler()
            cluster.kubelet()
            try:
                cluster.reconcile(crash_after=None if second % 7 else crash_after)
            except Crash:
                continue
        assert (cluster.status["stable"]["revision"], cluster.selected) == (B, B), crash_after
        assert switches(cluster) == [A, B], crash_after


def test_lost_status_is_found_again_after_the_switch() -> None:
    """An automatic promotion under way is restored from what the stable Service carries, and never switched back."""
    cluster = without_gateway_api()
    cluster.break_pods(A)
    cluster.apply(judged("b"))
    while cluster.selected != B:
        cluster.round()
    cluster.break_pods(A, broken=False)
    cluster.service["status"] = {}
    cluster.restart()
    cluster.reconcile()
    assert cluster.status["canary"]["promotion"]["reason"] == "Restored"
    cluster.given_labels.add(("Promote", cluster.status["canary"]["id"]))
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B
    assert switches(cluster) == [A, B]


def test_gateway_api_that_comes_begins_the_steps() -> None:
    """A settled service gets its route; a canary that waits begins at its first step, with all traffic at stable."""
    cluster = waiting()
    cluster.serve_routes(True)
    cluster.reconcile()
    assert weights(cluster.route or {}) == {A: 100, B: 0}
    cluster.run(30)
    assert weights(cluster.route or {}) == {A: 80, B: 20}
    assert cluster.status["canary"]["verdict"] == "WaitingForPromotion"
    assert switches(cluster) == [A]
    promoted(cluster, "Soaking")
    cluster.run(60)
    assert (cluster.status["stable"]["revision"], cluster.selected) == (B, B)
    assert switches(cluster) == [A, B]


def test_gateway_api_that_comes_during_the_soak_moves_nothing_back() -> None:
    """The promoted canary keeps the Service, the route begins with what had arrived, and it is committed."""
    cluster = promoted(waiting(), "Soaking")
    cluster.serve_routes(True)
    cluster.reconcile()
    assert weights(cluster.route or {}) == {A: 0, B: 100}
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B
    assert switches(cluster) == [A, B]


def test_gateway_api_that_goes_leaves_stable_alone() -> None:
    """A settled service is not touched; its URL and condition say what is missing."""
    cluster = Simulation()
    cluster.run(30)
    cluster.serve_routes(False)
    written = len(cluster.writes)
    cluster.run(30)
    assert len(cluster.writes) == written
    programmed, servable = cluster.condition("RouteProgrammed"), cluster.condition("Servable")
    assert programmed is not None
    assert (programmed["status"], programmed["reason"]) == ("False", "GatewayAPIMissing")
    assert servable is not None
    assert (servable["status"], servable["reason"]) == ("True", "StableServiceOnly")
    cluster.serve_routes(True)
    cluster.run(5)
    assert weights(cluster.route or {}) == {A: 100}


@pytest.mark.parametrize("step", [0, 1])
def test_gateway_api_that_goes_and_comes_back_begins_the_steps_anew(step: int) -> None:
    """A weight that nobody carries out is not told; the canary waits, and starts at its first step afterwards."""
    cluster = Simulation(judged())
    cluster.run(30)
    cluster.apply(judged("b"))
    while (cluster.status.get("canary") or {}).get("weight") != (10, 30)[step]:
        cluster.round()
    cluster.serve_routes(False)
    cluster.run(20)
    canary = cluster.status["canary"]
    assert (canary["weight"], canary["step"], canary["verdict"]) == (0, 0, "GatewayAPIMissing")
    assert cluster.selected == A
    cluster.serve_routes(True)
    begun = len(cluster.history)
    cluster.run(300)
    assert [has.get(B) for _, has in cluster.history[begun:]][:5] == [0, 10, 30, 60, 100]
    assert cluster.status["stable"]["revision"] == B


def test_gateway_api_that_goes_after_a_promotion_passes_the_gates_again() -> None:
    """What had 100 percent by the route gets the Service by the same rules, and soaks for its whole time."""
    cluster = Simulation()
    cluster.run(30)
    cluster.apply(inference_service("b"))
    cluster.run(30)
    promoted(cluster, "Soaking")
    cluster.serve_routes(False)
    cluster.reconcile()
    assert cluster.status["canary"]["weight"] == 0
    assert cluster.selected == A
    cluster.run(60)
    assert (cluster.status["stable"]["revision"], cluster.selected) == (B, B)


def test_gateway_api_that_goes_during_an_abort_ends_it() -> None:
    """Without a route nothing is left to be taken away."""
    cluster = Simulation()
    cluster.run(30)
    cluster.apply(inference_service("b"))
    cluster.run(30)
    cluster.label("Abort", cluster.status["canary"]["id"])
    cluster.round()
    cluster.round()
    cluster.serve_routes(False)
    cluster.run(60)
    assert cluster.status["rejected"][-1]["revision"] == B
    assert cluster.selected == A


def test_service_that_asks_for_no_route_is_told_no_lack() -> None:
    """With the Gateway API there or not, it is served inside the cluster and says nothing of a route."""
    for served in (True, False):
        cluster = Simulation(unrouted(), routes_served=served)
        cluster.run(20)
        assert cluster.condition("RouteProgrammed") is None
        assert cluster.status["url"] == f"http://{KEY.name}.{KEY.namespace}.svc"
        assert cluster.route is None
        cluster.apply(unrouted("b"))
        cluster.run(20)
        assert cluster.status["canary"]["verdict"] == "WaitingForPromotion"
        promoted(cluster, "Soaking")
        cluster.run(60)
        assert (cluster.status["stable"]["revision"], cluster.selected) == (B, B)


def test_route_that_is_asked_for_no_longer_is_deleted() -> None:
    """At once, in the middle of a canary too, which goes on without weights; asked for again it is made again."""
    cluster = Simulation()
    cluster.run(30)
    cluster.apply(inference_service("b"))
    cluster.run(30)
    bare = copy.deepcopy(cluster.service)
    del bare["spec"]["route"]
    cluster.apply(bare)
    cluster.reconcile()
    assert cluster.route is None
    cluster.run(30)
    canary = cluster.status["canary"]
    assert (canary["weight"], canary["verdict"]) == (0, "WaitingForPromotion")
    cluster.apply(inference_service("b"))
    cluster.run(40)
    assert weights(cluster.route or {}) == {A: 80, B: 20}
    assert switches(cluster) == [A]

"""Waits: whose they are, what they cost, and what the status says of them."""

from datetime import timedelta
from typing import Any

from serving_api.names import OPERATOR
from serving_operator.children.route import weights
from serving_operator.decide import LOOK_AGAIN_SECONDS, SOON_SECONDS
from serving_operator.rollout.state import moment_of
from tests.operator.rollout.simulation import (
    KEY,
    START,
    Simulation,
    at_step,
    inference_service,
    revision,
    settled,
)

A, B = revision("a"), revision("b")


def with_a_strangers_condition(cluster: Simulation) -> None:
    """Let somebody else say something in the status that we have written."""
    checked = {"type": "Checked", "status": "True", "reason": "Fine", "message": ""}
    cluster.service["status"]["conditions"].append(checked)
    ours = {"manager": OPERATOR, "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {}}}
    cluster.service["metadata"]["managedFields"] = [ours]


def reconciling(cluster: Simulation) -> str:
    """Return what the service waits for."""
    found = cluster.condition("Reconciling")
    assert found is not None, cluster.status
    return str(found["reason"])


def test_a_missing_autoscaler_before_capacity_holds_and_rejects_nothing() -> None:
    """Ten deadlines long the rollout holds; when the autoscaler is back it goes on."""
    cluster = settled()
    cluster.autoscaler_alive = False
    cluster.tick(90)
    cluster.apply(inference_service("b"))
    cluster.run(30)
    assert reconciling(cluster) == "AutoscalerUnavailable"
    for _ in range(120):
        cluster.round(10)
    assert "rejected" not in cluster.status
    assert reconciling(cluster) == "AutoscalerUnavailable"
    assert cluster.round() == 0
    cluster.autoscaler_alive = True
    cluster.run(30)
    assert cluster.status["canary"]["weight"] == 20


def test_a_missing_autoscaler_at_the_step_holds_the_promotion() -> None:
    """Capacity for 100 percent cannot be known, so the label has to wait."""
    cluster = at_step()
    cluster.autoscaler_alive = False
    cluster.run(70)
    assert reconciling(cluster) == "AutoscalerUnavailable"
    cluster.label("Promote", f"{B}-2")
    cluster.run(300)
    assert weights(cluster.route or {}) == {A: 80, B: 20}
    assert "rejected" not in cluster.status
    cluster.autoscaler_alive = True
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B


def test_lost_time_is_kept_across_restarts() -> None:
    """The status holds the wait under way and the seconds of ended ones; the deadline moves by them."""
    cluster = settled()
    cluster.apply(inference_service("broken"))
    cluster.run(10)
    started = moment_of(cluster.status["canary"]["startedAt"])
    cluster.autoscaler_alive = False
    cluster.run(200)
    assert cluster.status["canary"]["hold"]["reason"] == "AutoscalerUnavailable"
    cluster.restart()
    cluster.autoscaler_alive = True
    cluster.run(5)
    held = cluster.status["canary"]["heldSeconds"]
    assert 100 <= held <= 200
    while "rejected" not in cluster.status:
        cluster.round()
    assert timedelta(seconds=120 + held) <= cluster.now - started <= timedelta(seconds=130 + held)


def test_a_gateway_that_does_not_answer_holds_and_rejects_nothing() -> None:
    """Without an acknowledgement of the step's weight nothing is judged, promoted or rejected."""
    cluster = settled()
    cluster.apply(inference_service("b"))
    for _ in range(300):
        cluster.tick()
        cluster.autoscaler()
        cluster.kubelet()
        cluster.reconcile()
    assert cluster.status["canary"]["verdict"] == "RouteNotAcknowledged"
    assert cluster.status["canary"]["weight"] == 0
    programmed = cluster.condition("RouteProgrammed")
    assert programmed is not None
    assert programmed["status"] == "False"
    cluster.run(10)
    assert cluster.status["canary"]["weight"] == 20


def test_want_of_nodes_has_its_own_deadline() -> None:
    """Unschedulable pods: WaitingForCapacity first, Stalled after; the scheduler is quoted; nothing is rejected."""
    cluster = settled()
    cluster.apply(inference_service("unschedulable"))
    cluster.run(180)
    assert reconciling(cluster) == "WaitingForCapacity"
    cluster.run(120)
    stalled = cluster.condition("Stalled")
    assert stalled is not None
    assert stalled["reason"] == "Unschedulable"
    assert "Insufficient nvidia.com/gpu" in stalled["message"]
    assert "rejected" not in cluster.status
    assert cluster.run(60) == 0
    assert cluster.decide().requeue_after_seconds == LOOK_AGAIN_SECONDS


def test_a_first_revision_that_finds_no_node_is_stalled() -> None:
    """The same holds without a stable revision."""
    cluster = Simulation(inference_service("unschedulable"))
    cluster.run(300)
    stalled = cluster.condition("Stalled")
    assert stalled is not None
    assert stalled["reason"] == "Unschedulable"
    assert cluster.decide().requeue_after_seconds == LOOK_AGAIN_SECONDS


def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    """A soak of no seconds is over when it begins: what follows waits for the write that says so, and no plan for the past."""
    rollout = inference_service()["spec"]["rollout"] | {"soakSeconds": 0}
    cluster = at_step(rollout=rollout)
    cluster.label("Promote", f"{B}-2")
    while cluster.status["canary"]["verdict"] != "Soaking":
        cluster.round_without_operator()
        plan = cluster.decide()
        cluster.reconcile()
    assert plan.requeue_after_seconds == SOON_SECONDS


def test_a_need_cut_by_max_replicas_holds_the_step() -> None:
    """The canary needs more than maxReplicas, stable does not: ReserveLimited, with the command that raises it."""
    cluster = settled()
    cluster.apply(inference_service("b"))
    for _ in range(20):
        cluster.tick()
        cluster.autoscaler()
        for name, found in cluster.of_kind("InferenceAutoscaler").items():
            if name.endswith(B):
                found["status"]["reserve"] |= {"replicas": 20, "limited": True}
        cluster.kubelet()
        cluster.gateway()
        cluster.reconcile()
    limited = cluster.condition("ReserveLimited")
    assert limited is not None
    assert "maxReplicas" in limited["message"]
    assert reconciling(cluster) == "ReserveLimited"
    assert weights(cluster.route or {}) == {A: 100}


def test_a_need_cut_for_stable_too_takes_what_there_is() -> None:
    """Where stable itself is at maxReplicas, maxReplicas ready replicas are enough for the canary."""
    spec: dict[str, Any] = {"predictor": {"container": {"image": "a"}, "maxReplicas": 2, "timeout": 5}}
    cluster = settled(**spec)
    spec["predictor"] = {"container": {"image": "b"}, "maxReplicas": 2, "timeout": 5}
    cluster.demand = 30
    cluster.run(10)
    cluster.apply(inference_service(**spec))
    cluster.run(40)
    assert weights(cluster.route or {}) == {A: 80, B: 20}


def test_a_canary_whose_stable_lacks_capacity_waits_without_a_clock() -> None:
    """Stable must carry what is left to it; its lack of replicas is no fault of the canary."""
    cluster = settled()
    cluster.apply(inference_service("b"))
    cluster.run(2)
    for _ in range(300):
        cluster.tick()
        cluster.autoscaler()
        for name, found in cluster.of_kind("InferenceAutoscaler").items():
            if name.endswith(A):
                found["status"]["reserve"]["carriesPercent"] = 60
        cluster.kubelet()
        cluster.gateway()
        cluster.reconcile()
    assert reconciling(cluster) == "StableNotReady"
    assert "rejected" not in cluster.status
    cluster.run(20)
    assert cluster.status["canary"]["weight"] == 20


def test_a_quota_without_room_refuses_beforehand() -> None:
    """A quota that admits no further pod stops the rollout before it begins, and says by how much."""
    cluster = settled()
    cluster.quotas = (
        {"metadata": {"name": "team"}, "status": {"hard": {"pods": "3"}, "used": {"pods": "3"}}},
    )
    cluster.apply(inference_service("b"))
    cluster.run(10)
    stalled = cluster.condition("Stalled")
    assert stalled is not None
    assert stalled["reason"] == "QuotaExceeded"
    assert f"{KEY.namespace}/team" in stalled["message"]
    assert "canary" not in cluster.status
    cluster.quotas = ()
    cluster.run(40)
    assert cluster.status["canary"]["weight"] == 20


def test_a_ready_canary_is_not_rejected_for_the_operators_absence() -> None:
    """An operator that comes back after the deadline finds the canary ready and goes on."""
    cluster = settled()
    cluster.apply(inference_service("b"))
    cluster.run(2)
    for _ in range(50):
        cluster.tick(10)
        cluster.autoscaler()
        cluster.kubelet()
    cluster.restart()
    cluster.run(20)
    assert "rejected" not in cluster.status
    assert cluster.status["canary"]["weight"] == 20
    assert cluster.now - START > timedelta(seconds=120)


def test_what_others_say_in_the_status_keeps_nobody_busy() -> None:
    """A condition of somebody else is theirs: a settled service with one is left alone."""
    cluster = settled()
    with_a_strangers_condition(cluster)
    plan = cluster.decide()
    assert (plan.status, plan.events, plan.requeue_after_seconds) == (None, (), None)


def test_what_others_say_in_the_status_hurries_no_count_of_pods() -> None:
    """A changed number of pods alone is written as late beside a condition of somebody else as without it."""
    cluster = at_step()
    with_a_strangers_condition(cluster)
    cluster.service["status"]["replicas"] += 1
    cluster.since = {}
    plan = cluster.decide()
    assert plan.status is None

"""The end of the soak: nobody is committed whose pods fail, for the commit is what removes the way back."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from serving_operator.children.route import weights
from serving_operator.rollout.live import has_ceased_to_be_ready
from serving_operator.rollout.state import text_of
from serving_operator.world import Manifest, ObjectId
from tests.operator.rollout.rolling_back import abort, committed, deployment, is_rolled_back
from tests.operator.rollout.simulation import KEY, Simulation, inference_service, revision, unrouted
from tests.operator.rollout.test_budget import by_label
from tests.operator.rollout.test_replicas import external

A, B, C = revision("a"), revision("b"), revision("c")


def promoted(service: Callable[[str], Manifest] = inference_service) -> Simulation:
    """Return a cluster whose promoted canary has just got all of the traffic."""
    cluster = Simulation(service("a"))
    cluster.run(30)
    cluster.apply(service("b"))
    cluster.run(40)
    cluster.label("Promote", f"{B}-2")
    return until(cluster, lambda: cluster.status["canary"]["verdict"] == "Soaking")


def until(cluster: Simulation, is_so: Callable[[], bool]) -> Simulation:
    """Let everybody act until something is so."""
    for _ in range(120):
        if is_so():
            return cluster
        cluster.round()
    raise AssertionError(cluster.status)


def break_some(cluster: Simulation, of: str, well: int) -> None:
    """Let the pods of a revision fail but for so many, which get well within a second."""
    cluster.break_pods(of)
    for name in sorted(name for name in cluster.pods if f"-{of}-pod" in name)[:well]:
        cluster.pods[name]["killed"] = False


def said(cluster: Simulation, kind: str) -> tuple[str, str]:
    """Return reason and message of a condition."""
    found = cluster.condition(kind)
    assert found is not None, cluster.status["conditions"]
    return found["reason"], found["message"]


KINDS: dict[str, Callable[[str], Manifest]] = {
    "Full": inference_service,
    "Budget": by_label,
    "no route": unrouted,
    "External": lambda image: external(image, 4),
}


@pytest.mark.parametrize("service", KINDS.values(), ids=KINDS)
def test_a_canary_without_a_ready_pod_is_not_committed(service: Callable[[str], Manifest]) -> None:
    """Stable stays as it is, the message has the cause and the way back, and the commit follows when pods are ready."""
    cluster = promoted(service)
    kept = deployment(cluster, A)
    cluster.break_pods(B)
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == A
    assert cluster.status["canary"]["verdict"] == "CanaryNotReady"
    assert deployment(cluster, A) == kept
    for condition, reason in (("UpToDate", "CanaryNotReady"), ("Stalled", "CrashLoop")):
        assert said(cluster, condition)[0] == reason
        assert "logs --previous" in said(cluster, condition)[1]
        assert f"serving-operator.dev/abort={B}-2" in said(cluster, condition)[1]
    assert cluster.run(60) == 0, "a hold is written once"
    cluster.restart()
    assert cluster.run(60) == 0
    cluster.break_pods(B, broken=False)
    cluster.run(5)
    assert cluster.status["stable"]["revision"] == B
    cluster.run(60)
    assert deployment(cluster, A) is None


def test_the_way_back_is_one_write() -> None:
    """The abort label finds stable with all of its replicas."""
    cluster = promoted()
    cluster.break_pods(B)
    cluster.run(60)
    cluster.label("Abort", f"{B}-2")
    cluster.reconcile()
    before = len(cluster.writes)
    cluster.reconcile()
    assert weights(cluster.writes[before].manifest) == {A: 100, B: 0}
    cluster.run(60)
    assert cluster.status["rejected"][-1]["reason"] == "AbortedByLabel"


@pytest.mark.parametrize("kind", ["Full", "External"])
def test_one_that_fails_in_part_is_not_committed(kind: str) -> None:
    """Pods that crash under the load are ready by turns: as long as they fail, its need counts, and not one of them."""
    cluster = promoted(KINDS[kind])
    break_some(cluster, B, well=2)
    cluster.run(60)
    assert cluster.status["canary"]["verdict"] == "CanaryNotReady"
    cluster.break_pods(B, broken=False)
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B


def test_one_whose_readiness_fails_under_the_traffic_is_not_committed() -> None:
    """One of three pods stands all of the traffic for now: the others ran and were ready before they had it."""
    cluster = promoted()
    losing = sorted(name for name in cluster.pods if f"-{B}-pod" in name)[1:]
    began, ceased = text_of(cluster.now - timedelta(seconds=20)), text_of(cluster.now)
    for _ in range(30):
        cluster.round_without_operator()
        for name in losing:
            cluster.pods[name]["killed"] = True
            cluster.pods[name]["status"] = unready(began, ceased)
        cluster._count(f"{KEY.name}-{B}")
        cluster.reconcile()
    assert cluster.ready(B) == 1
    assert cluster.status["stable"]["revision"] == A
    assert said(cluster, "UpToDate")[0] == "CanaryNotReady"
    assert "readiness probe does not succeed" in said(cluster, "UpToDate")[1]
    cluster.break_pods(B, broken=False)
    cluster.run(5)
    assert cluster.status["stable"]["revision"] == B


def unready(started: str, since: str) -> Manifest:
    """Return the status of a pod whose container runs since `started`, and is not ready since `since`."""
    container = {
        "name": "model",
        "restartCount": 0,
        "ready": False,
        "state": {"running": {"startedAt": started}},
    }
    return {
        "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": since}],
        "containerStatuses": [container],
    }


@pytest.mark.parametrize(
    ("pod", "so"),
    [
        pytest.param(
            unready("2026-01-01T00:00:05Z", "2026-01-01T00:01:00Z"),
            True,
            id="its probe fails after it was ready",
        ),
        pytest.param(unready("2026-01-01T00:00:05Z", "2026-01-01T00:00:02Z"), False, id="it starts"),
        pytest.param(
            unready("2026-01-01T00:01:00Z", "2026-01-01T00:00:58Z"),
            False,
            id="it has crashed and starts again",
        ),
        pytest.param({}, False, id="nobody has said anything of it"),
    ],
)
def test_a_pod_ceases_to_be_ready_only_after_it_was(pod: Manifest, so: bool) -> None:
    """A start is no failure of readiness, and a crash has a cause of its own."""
    assert has_ceased_to_be_ready({"metadata": {}, "status": pod}) is so
    leaving = {"metadata": {"deletionTimestamp": "2026-01-01T00:01:00Z"}, "status": pod}
    assert not has_ceased_to_be_ready(leaving)


def test_a_pod_that_is_ready_for_a_moment_commits_nothing() -> None:
    """The only pod of a canary that crashes again and again counts when its Deployment counts it."""
    cluster = promoted()
    cluster.demand = 1
    cluster.min_ready_seconds = 5
    cluster.crash_by_turns(B)
    assert cluster.status["stable"]["revision"] == A
    cluster.run(10)
    assert cluster.status["stable"]["revision"] == B


@pytest.mark.parametrize("image", ["unschedulable", ""], ids=["no node", "starting"])
def test_a_need_that_rises_meanwhile_holds_nothing(image: str) -> None:
    """What it asks for beyond the need that it was promoted with may wait for the very nodes that stable has."""
    cluster = promoted()
    cluster.demand = 5
    for _ in range(20):
        cluster.round_without_operator()
        for name in (f"{KEY.name}-{B}-pod3", f"{KEY.name}-{B}-pod4"):
            cluster.pods[name]["killed"] = True
            cluster._say(cluster.pods[name], ready=False, image=image)
        cluster._count(f"{KEY.name}-{B}")
        cluster.reconcile()
    assert cluster.ready(B) == 3
    assert cluster.status["stable"]["revision"] == B


def test_pods_without_a_node_have_the_patience_of_any_others() -> None:
    """An autoscaled pool may still bring nodes; after that a person is needed, and nobody is rejected."""
    cluster = promoted()
    cluster.break_pods(B)
    for name in [name for name in cluster.pods if f"-{B}-" in name]:
        cluster._say(cluster.pods[name], ready=False, image="unschedulable")
    cluster.run(60)
    assert said(cluster, "Reconciling")[0] == "WaitingForCapacity"
    cluster.run(240)
    assert said(cluster, "Stalled")[0] == "Unschedulable"
    assert f"abort={B}-2" in said(cluster, "Stalled")[1]
    assert "rejected" not in cluster.status


def test_where_stable_answers_nobody_either_the_next_spec_is_not_held_up() -> None:
    """A way back that leads nowhere is not worth keeping: the commit lets the spec that mends it begin."""
    cluster = promoted()
    cluster.break_pods(A)
    cluster.break_pods(B)
    cluster.apply(inference_service("c"))
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B
    assert cluster.status["canary"]["revision"] == C


def test_each_stable_revision_has_its_own_time_to_come_back() -> None:
    """For how long the former one had answered nobody says nothing of the one that was committed in its place."""
    cluster = promoted()
    cluster.break_pods(A)
    cluster.break_pods(B)
    cluster.apply(inference_service("c"))
    until(cluster, lambda: cluster.status["stable"]["revision"] == B)
    cluster.round()
    broken = {fact: since for fact, since in cluster.since.items() if "stableBroken" in fact}
    assert [cluster.now - since < timedelta(seconds=3) for since in broken.values()] == [True], broken


def test_a_rollback_is_held_as_well() -> None:
    """What is rolled back stays until the revision that comes back answers; the way out is named once."""
    cluster = abort(committed())
    until(cluster, lambda: (cluster.status.get("canary") or {}).get("verdict") == "Soaking")
    cluster.break_pods(A)
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B
    assert ObjectId("Deployment", f"{KEY.name}-{B}") in cluster.objects
    assert said(cluster, "Stalled")[0] == "CrashLoop"
    assert said(cluster, "Stalled")[1].count("--overwrite") == 1
    cluster.break_pods(A, broken=False)
    cluster.run(60)
    assert is_rolled_back(cluster)

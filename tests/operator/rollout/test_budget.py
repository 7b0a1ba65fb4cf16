"""Surge Budget: replicas move with the traffic, both revisions stay within a bound, and an abort waits for stable."""

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_api.names import AUTOSCALER_KIND
from serving_operator.children.route import weights
from serving_operator.rollout.surge import canary_of
from serving_operator.world import ObjectId
from tests.operator.rollout.simulation import (
    BAD,
    KEY,
    Simulation,
    inference_service,
    judged,
    revision,
)
from tests.operator.rollout.test_replicas import external, replicas

A, B = revision("a"), revision("b")


class Split(NamedTuple):
    total: int
    weight: int
    canary: int
    why: str


SPLITS = (
    Split(2, 1, 1, "at least one"),
    Split(2, 99, 1, "and one is left for stable, which still gets requests"),
    Split(4, 20, 1, "a part of a replica is a whole one"),
    Split(4, 26, 2, "rounded up"),
    Split(4, 90, 3, "rounded up, it would be all of them"),
    Split(10, 30, 3, "no rounding"),
    Split(10, 100, 10, "all of the traffic takes the whole total"),
    Split(1, 100, 1, "one replica takes all of the traffic as well"),
)


@pytest.mark.parametrize("row", SPLITS, ids=[row.why for row in SPLITS])
def test_split_of_a_total(row: Split) -> None:
    """The canary's part of a total that stays the same."""
    assert canary_of(row.total, row.weight) == row.canary, row.why


@given(total=st.integers(2, 1000), weight=st.integers(1, 99), more=st.integers(0, 98))
def test_nobody_is_left_out_of_a_split(total: int, weight: int, more: int) -> None:
    """Both have a replica, the canary's part is enough for its weight or all but one, and it grows with its weight."""
    canary = canary_of(total, weight)
    assert 1 <= canary <= total - 1
    assert 100 * canary >= total * weight or canary == total - 1
    assert canary_of(total, min(99, weight + more)) >= canary


def budget(
    image: str = "a", *, most: int = 8, weights: tuple[int, ...] = (25, 50, 75), **rollout: Any
) -> dict[str, Any]:
    """Return a service whose rollouts are judged and share `most` replicas."""
    made = judged(image, weights, surge="Budget", **rollout)
    made["spec"]["predictor"]["maxReplicas"] = most
    return made


def by_label(image: str = "a", *, most: int = 8, weight: int = 50) -> dict[str, Any]:
    """Return a service whose rollouts wait for their label at one step, and share `most` replicas."""
    made = inference_service(image)
    made["spec"]["rollout"] |= {"steps": [{"weight": weight}], "surge": "Budget"}
    made["spec"]["predictor"]["maxReplicas"] = most
    return made


def settled(service: dict[str, Any], demand: int = 4) -> Simulation:
    """Return a cluster with a committed first revision."""
    cluster = Simulation(service, demand=demand)
    cluster.run(30)
    assert "stable" in cluster.status, cluster.status
    return cluster


def waiting_at_step(most: int = 12, weight: int = 50, demand: int = 4) -> Simulation:
    """Return a cluster whose canary waits for its label at its step; it got there with room for all."""
    cluster = settled(by_label(most=12, weight=weight), demand)
    cluster.apply(by_label("b", most=12, weight=weight))
    cluster.run(40)
    assert cluster.status["canary"]["verdict"] == "WaitingForPromotion", cluster.status
    cluster.apply(by_label("b", most=most, weight=weight))
    cluster.run(3)
    return cluster


def seen_in(cluster: Simulation, seconds: int) -> list[tuple[int, int, int]]:
    """Let everybody act; return the distinct (canary's weight, canary's replicas, stable's replicas) in order."""
    seen: list[tuple[int, int, int]] = []
    for _ in range(seconds):
        cluster.round()
        has = replicas(cluster)
        assert cluster.route is not None
        now = (weights(cluster.route).get(B, 0), has.get(B, 0), has.get(A, 0))
        if now not in seen[-1:]:
            seen.append(now)
    return seen


def autoscaler(cluster: Simulation, name: str) -> dict[str, Any]:
    """Return the spec of a revision's InferenceAutoscaler."""
    spec: dict[str, Any] = cluster.objects[ObjectId(AUTOSCALER_KIND, f"{KEY.name}-{name}")]["spec"]
    return spec


def test_replicas_move_with_the_traffic() -> None:
    """Each weight comes after the canary's need, and stable's replicas go after the weight; six are enough for both."""
    cluster = settled(budget(most=6))
    cluster.apply(budget("b", most=6))
    seen = seen_in(cluster, 200)
    assert cluster.status["stable"]["revision"] == B
    assert [entry for entry in seen if entry[2]] == [
        (0, 0, 4),
        (0, 1, 4),
        (25, 1, 4),
        (25, 1, 3),
        (25, 2, 3),
        (50, 2, 3),
        (50, 2, 2),
        (50, 3, 2),
        (75, 3, 2),
        (75, 3, 1),
        (75, 4, 1),
        (100, 4, 1),
    ], seen


def test_full_keeps_all_of_stable() -> None:
    """Without the field stable keeps its replicas until the commit, and nothing is told of a budget."""
    cluster = settled(judged("a", (25, 50)))
    cluster.apply(judged("b", (25, 50)))
    for _ in range(120):
        cluster.round()
        if cluster.status["stable"]["revision"] == A:
            assert replicas(cluster)[A] == 4
    assert cluster.status["stable"]["revision"] == B
    assert "budgetReplicas" not in str(cluster.writes)


def test_the_autoscaler_is_told() -> None:
    """Stable is asked for what it keeps; both may shrink to their need and know the budget; the least goes by the share."""
    made = by_label(weight=25)
    made["spec"]["predictor"]["minReplicas"] = 4
    cluster = settled(made)
    changed = by_label("b", weight=25)
    changed["spec"]["predictor"]["minReplicas"] = 4
    cluster.apply(changed)
    cluster.run(40)
    stable, canary = autoscaler(cluster, A), autoscaler(cluster, B)
    assert (stable["share"]["reservePercent"], stable["minReplicas"]) == (75, 3)
    assert (canary["share"]["reservePercent"], canary["minReplicas"]) == (25, 1)
    assert stable["scaleDown"] == canary["scaleDown"] == "Allowed"
    assert stable["share"]["budgetReplicas"] == canary["share"]["budgetReplicas"] == 8
    cluster.label("Promote", cluster.status["canary"]["id"])
    cluster.run(60)
    assert "budgetReplicas" not in autoscaler(cluster, B)["share"]


def test_a_budget_without_room_for_one_more_holds() -> None:
    """Stable needs all of maxReplicas: no pod of the canary is made, the message says what helps, and it helps."""
    cluster = settled(budget(most=4))
    cluster.apply(budget("b", most=4))
    cluster.run(200)
    assert replicas(cluster) == {A: 4}
    assert cluster.status["canary"]["verdict"] == "BudgetTooSmall"
    assert cluster.run(60) == 0
    message = (cluster.condition("Reconciling") or {})["message"]
    assert '"maxReplicas":5' in message
    cluster.apply(budget("b", most=5))
    cluster.run(10)
    assert replicas(cluster) == {A: 3, B: 1}


def test_a_promotion_that_does_not_fit_holds() -> None:
    """At its last step a canary that needs more than stable leaves is not rejected, and keeps its traffic."""
    cluster = waiting_at_step(most=5)
    assert replicas(cluster) == {A: 2, B: 2}
    cluster.label("Promote", cluster.status["canary"]["id"])
    cluster.run(300)
    assert cluster.status["canary"]["verdict"] == "BudgetTooSmall"
    assert '"maxReplicas":6' in (cluster.condition("Reconciling") or {})["message"]
    cluster.apply(by_label("b", most=6))
    cluster.run(40)
    assert cluster.status["stable"]["revision"] == B


def test_stable_is_not_made_to_let_go() -> None:
    """An autoscaler that sees a reason to keep stable's replicas keeps them: the rollout waits for it, and says so."""
    cluster = settled(budget(most=6))
    cluster.stable_is_kept = True
    cluster.apply(budget("b", most=6))
    cluster.run(300)
    assert replicas(cluster) == {A: 4, B: 2}
    assert cluster.status["canary"]["verdict"] == "WaitingForRoom"
    assert not cluster.status.get("rejected")
    cluster.stable_is_kept = False
    cluster.run(200)
    assert cluster.status["stable"]["revision"] == B


def test_stable_shrinks_when_the_proxies_have_followed() -> None:
    """The weight in the route is not enough: stable is asked for less once its traffic has gone."""
    cluster = settled(by_label())
    cluster.apply(by_label("b"))
    for _ in range(60):
        if cluster.route is not None and weights(cluster.route).get(B) == 50:
            break
        cluster.round()
    assert autoscaler(cluster, A)["share"]["reservePercent"] == 100
    cluster.run(10)
    assert autoscaler(cluster, A)["share"]["reservePercent"] == 50


@pytest.mark.parametrize("how", ["label", "spec", "judge"])
def test_traffic_goes_back_as_stable_gets_its_replicas_back(how: str) -> None:
    """The first write is the route's, to what stable carries; the rest follows, and nothing passes the budget."""
    cluster = waiting_at_step(demand=6)
    if how == "judge":
        cluster = settled(budget(most=12, weights=(50,)), demand=6)
        cluster.apply(budget("b", most=12, weights=(50,)))
        for _ in range(60):
            if (cluster.status.get("canary") or {}).get("weight") == 50:
                break
            cluster.round()
        cluster.run(5)
        cluster.traffic = BAD
    assert replicas(cluster) == {A: 3, B: 3}
    if how == "label":
        cluster.label("Abort", cluster.status["canary"]["id"])
    elif how == "spec":
        cluster.apply(by_label("a"))
    before = len(cluster.writes)
    seen = seen_in(cluster, 80)
    assert cluster.writes[before].manifest["kind"] == "HTTPRoute"
    assert next(weight for weight, *_ in seen if weight) == 50
    assert [weight for weight, _, _ in seen][-1] == 0
    assert replicas(cluster) == {A: 6}
    assert "canary" not in cluster.status
    assert bool(cluster.status.get("rejected")) is (how != "spec")


@pytest.mark.parametrize("failed", [False, True], ids=["", "beside a pod that a node had failed"])
def test_a_canary_gives_way_to_a_stable_without_room(failed: bool) -> None:
    """Both together have all of the budget: traffic, then replicas of the canary, then stable's, again and again."""
    cluster = waiting_at_step(most=6, weight=75)
    assert replicas(cluster) == {A: 1, B: 3}
    if failed:
        cluster.leave_failed(B)
    cluster.demand = 5
    cluster.run(10)
    assert replicas(cluster) == {A: 2, B: 4}
    cluster.label("Abort", cluster.status["canary"]["id"])
    seen = seen_in(cluster, 120)
    carried = [weight for weight, *_ in seen]
    assert carried == sorted(carried, reverse=True)
    assert [(weight, b, a) for weight, b, a in seen if weight] == [
        (75, 4, 2),
        (60, 4, 2),
        (60, 3, 2),
        (60, 3, 3),
        (40, 3, 3),
        (40, 2, 3),
        (40, 2, 4),
        (20, 2, 4),
        (20, 1, 4),
        (20, 1, 5),
    ], seen
    assert replicas(cluster) == {A: 5}


def test_a_canary_gives_way_to_a_stable_that_the_quota_keeps_small() -> None:
    """What the namespace may have is room as well: the aborted canary leaves it to stable, bit by bit."""
    cluster = waiting_at_step(demand=6)
    assert replicas(cluster) == {A: 3, B: 3}
    cluster.label("Abort", cluster.status["canary"]["id"])
    for _ in range(120):
        cluster.round_without_operator()
        fit_into_quota(cluster, 6)
        cluster.reconcile()
    assert replicas(cluster) == {A: 6}
    assert "canary" not in cluster.status


def fit_into_quota(cluster: Simulation, pods: int) -> None:
    """Refuse the pods that were made last, and say of their Deployment that the quota does."""
    refused = "exceeded quota: gpus, requested: 1, used: 6, limited: 6"
    for name in [name for name, pod in cluster.pods.items() if pod["started"] == cluster.now]:
        if len(cluster.pods) > pods:
            del cluster.pods[name]
    for name, deployment in cluster.of_kind("Deployment").items():
        cluster._count(name)
        if deployment["status"]["replicas"] < deployment["spec"]["replicas"]:
            failure = {
                "type": "ReplicaFailure",
                "status": "True",
                "reason": "FailedCreate",
                "message": refused,
            }
            deployment["status"]["conditions"] = [failure]


def test_a_stable_that_takes_all_of_the_budget_gets_the_rest_at_once() -> None:
    """The canary's last replica is in the way of stable's last one: its traffic goes, although it is not carried yet."""
    cluster = waiting_at_step(most=4, weight=50, demand=3)
    cluster.demand = 4
    cluster.run(10)
    assert sum(replicas(cluster).values()) == 4
    cluster.label("Abort", cluster.status["canary"]["id"])
    cluster.run(100)
    assert replicas(cluster) == {A: 4}
    assert [entry for _, entry in cluster.history][-2:] == [{A: 100, B: 0}, {A: 100}]


def without_autoscaler() -> Simulation:
    """Return a cluster at its step in which stable carries 66 percent, as the autoscaler said before it went away."""
    cluster = waiting_at_step()
    cluster.demand = 3
    cluster.run(2)
    assert replicas(cluster) == {A: 2, B: 2}
    cluster.autoscaler_alive = False
    cluster.tick(90)
    return cluster


def break_one(cluster: Simulation, revision: str, broken: bool = True) -> None:
    """Let one pod of a revision fail, or get well."""
    pod = cluster.pods[f"{KEY.name}-{revision}-pod0"]
    pod["killed"] = broken
    pod["status"] = {"conditions": [{"type": "Ready", "status": "False" if broken else "True"}]}


def test_an_abort_without_autoscaler_goes_by_its_last_answer() -> None:
    """What the ready replicas carry goes back; the rest waits, is told, and a restart forgets nothing."""
    cluster = without_autoscaler()
    break_one(cluster, A)
    cluster.run(3)
    cluster.label("Abort", cluster.status["canary"]["id"])
    cluster.run(5)
    assert cluster.route is not None
    assert weights(cluster.route) == {A: 50, B: 50}, "one of two carries 33 percent"
    cluster.restart()
    break_one(cluster, A, broken=False)
    cluster.run(5)
    assert weights(cluster.route) == {A: 66, B: 34}
    assert cluster.status["canary"]["weight"] == 34
    assert "has not renewed its Lease" in (cluster.condition("Reconciling") or {})["message"]
    break_one(cluster, A)
    cluster.run(5)
    assert weights(cluster.route) == {A: 66, B: 34}, "what has gone back stays there"
    break_one(cluster, A, broken=False)
    cluster.autoscaler_alive = True
    cluster.run(60)
    assert replicas(cluster) == {A: 3}


def test_a_canary_that_answers_nobody_loses_its_traffic_at_once() -> None:
    """Half of the requests fail where they go now; stable's queue is better than that."""
    cluster = waiting_at_step()
    cluster.break_pods(B)
    cluster.label("Abort", cluster.status["canary"]["id"])
    assert [entry[0] for entry in seen_in(cluster, 3)][-1] == 0


def test_a_route_deleted_on_the_way_back_gets_no_weight_again() -> None:
    """What the canary had lost stays lost, although stable carries less by now."""
    cluster = without_autoscaler()
    cluster.label("Abort", cluster.status["canary"]["id"])
    cluster.run(10)
    break_one(cluster, A)
    cluster.remove(ObjectId("HTTPRoute", KEY.name))
    cluster.run(5)
    assert cluster.route is not None
    assert weights(cluster.route) == {A: 66, B: 34}


def test_a_broken_stable_gives_way() -> None:
    """Its replicas serve nobody: a promoted canary gets the room that it needs, and the label takes it there."""
    cluster = waiting_at_step(most=5)
    cluster.break_pods(A)
    cluster.label("Promote", cluster.status["canary"]["id"])
    cluster.run(100)
    assert cluster.status["stable"]["revision"] == B


def of_the_total(image: str, total: int, weight: int = 50) -> dict[str, Any]:
    """Return a service of class External whose revisions share its replicas."""
    made = external(image, total)
    made["spec"]["rollout"] |= {"steps": [{"weight": weight}], "surge": "Budget"}
    return made


def test_a_total_is_split() -> None:
    """Class External: at its step the canary has its part and stable the rest; promoted, it gets the whole first."""
    cluster = settled(of_the_total("a", 4))
    cluster.apply(of_the_total("b", 4))
    assert seen_in(cluster, 40) == [(0, 0, 4), (0, 2, 4), (50, 2, 4), (50, 2, 2)]
    assert (cluster.condition("Ready") or {})["status"] == "True"
    cluster.label("Promote", cluster.status["canary"]["id"])
    seen = seen_in(cluster, 60)
    assert seen[:4] == [(50, 2, 2), (50, 4, 2), (100, 4, 2), (100, 4, 1)]
    assert replicas(cluster) == {B: 4}


def test_a_split_total_comes_back() -> None:
    """Class External: traffic goes back as far as stable's ready replicas are a part of the total."""
    cluster = settled(of_the_total("a", 4, 75))
    cluster.apply(of_the_total("b", 4, 75))
    cluster.run(40)
    assert replicas(cluster) == {A: 1, B: 3}
    cluster.label("Abort", cluster.status["canary"]["id"])
    seen = seen_in(cluster, 60)
    assert [weight for weight, *_ in seen][:3] == [75, 75, 0], seen
    assert replicas(cluster) == {A: 4}


def test_a_lower_total_waits_for_the_commit() -> None:
    """Nobody loses replicas that the split gave it while it has the traffic for them, forward or back."""
    cluster = settled(of_the_total("a", 10, 20))
    cluster.apply(of_the_total("b", 10, 20))
    cluster.run(40)
    assert replicas(cluster) == {A: 8, B: 2}
    cluster.apply(of_the_total("b", 1, 20))
    cluster.restart()
    cluster.run(20)
    assert replicas(cluster) == {A: 8, B: 2}
    assert cluster.status["canary"]["verdict"] == "WaitingForPromotion"
    cluster.label("Promote", cluster.status["canary"]["id"])
    assert (100, 10, 8) in seen_in(cluster, 60)
    assert replicas(cluster) == {B: 1}


def test_what_keeps_a_total_from_coming_back_is_told() -> None:
    """A pod of stable that crashes for good holds the rest of the way back: a person is needed, and is told why."""
    cluster = settled(of_the_total("a", 4))
    cluster.apply(of_the_total("b", 4))
    cluster.run(40)
    cluster.label("Abort", cluster.status["canary"]["id"])
    for _ in range(60):
        cluster.round_without_operator()
        crashing = cluster.pods.get(f"{KEY.name}-{A}-pod3")
        if crashing is not None:
            crashing["killed"] = True
            cluster._say(crashing, ready=False, image="crashing")
            cluster._count(f"{KEY.name}-{A}")
        cluster.reconcile()
    assert cluster.route is not None
    assert weights(cluster.route) == {A: 75, B: 25}
    stalled = cluster.condition("Stalled") or {}
    assert stalled["reason"] == "CrashLoop"
    assert f"logs --previous {KEY.name}-{A}-pod3" in stalled["message"]


def test_one_replica_cannot_be_shared() -> None:
    """Class External with one replica: no attempt begins; a second replica lets it."""
    cluster = settled(of_the_total("a", 1))
    cluster.apply(of_the_total("b", 1))
    cluster.run(20)
    assert replicas(cluster) == {A: 1}
    stalled = cluster.condition("Stalled") or {}
    assert stalled["reason"] == "BudgetTooSmall"
    assert "--replicas=2" in stalled["message"]
    cluster.apply(of_the_total("b", 2))
    cluster.run(40)
    assert replicas(cluster) == {A: 1, B: 1}

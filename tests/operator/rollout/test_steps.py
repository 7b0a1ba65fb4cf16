"""Steps that are judged: good evidence goes on, bad evidence aborts, too little waits; nothing is lost on the way."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from serving_api.names import AUTOSCALER_KIND, PASSING_ANNOTATION
from serving_operator.children.route import weights
from serving_operator.decide import decide
from serving_operator.judge.windows import NOT_YET_READ, Evidence, Window
from serving_operator.rollout.state import moment_of, text_of
from serving_operator.world import Manifest, ObjectId
from tests.operator.rollout.simulation import (
    BAD,
    GOOD,
    KEY,
    QUIET,
    SETTINGS,
    SOURCE_AWAY,
    Crash,
    Simulation,
    inference_service,
    judged,
    revision,
)

A, B, C = revision("a"), revision("b"), revision("c")
WEIGHTS = (10, 30, 60)
ANALYSIS = {"windowSeconds": 10, "stepDeadlineSeconds": 60}


def started(demand: int = 10, **rollout: Any) -> Simulation:
    """Return a cluster whose canary has just begun."""
    cluster = Simulation(judged("a", **rollout), demand=demand)
    cluster.run(30)
    cluster.apply(judged("b", **rollout))
    return cluster


def at_weight(weight: int, cluster: Simulation) -> Simulation:
    """Let everybody act until the canary's acknowledged weight is this one."""
    for _ in range(600):
        if (cluster.status.get("canary") or {}).get("weight") == weight:
            return cluster
        cluster.round()
    raise AssertionError(f"never at {weight}: {cluster.status}")


def quiet_at(weight: int, **rollout: Any) -> Simulation:
    """Return a cluster whose canary is at a step at which nothing is counted."""
    cluster = at_weight(weight, started(**rollout))
    cluster.traffic = QUIET
    return cluster


def until_passed(cluster: Simulation) -> None:
    """Let everybody act until the canary's step is passed, which its InferenceAutoscaler tells first."""
    while cluster.as_recorded(canary(cluster)) == canary(cluster):
        cluster.round()


def canary(cluster: Simulation) -> Manifest:
    """Return what the status says of the canary."""
    return dict(cluster.status["canary"])


def wait_for(cluster: Simulation, holds: str) -> None:
    """Let the rollout have to wait: for the autoscaler, a Gateway, or somebody who has the name of the canary's budget."""
    if holds == "AutoscalerUnavailable":
        cluster.autoscaler_alive = False
        cluster.tick(61)
        return
    if holds == "RouteNotAcknowledged":
        edited = judged("b")
        edited["spec"]["route"]["hostnames"] = ["other.test"]
        cluster.gateway_answers = False
        cluster.apply(edited)
        cluster.run(61)
        return
    budget = ObjectId("PodDisruptionBudget", f"{KEY.name}-{B}")
    metadata = {"name": budget.name, "namespace": KEY.namespace, "uid": "theirs", "resourceVersion": "1"}
    cluster.objects[budget] = {"apiVersion": "policy/v1", "kind": budget.kind, "metadata": metadata}


def committed(cluster: Simulation, seconds: int = 400) -> str:
    """Let everybody act until one revision is left, and return the stable one."""
    for _ in range(seconds):
        cluster.round()
        if "canary" not in cluster.status and len(cluster.of_kind("Deployment")) == 1:
            break
    cluster.run(5)
    return str(cluster.status["stable"]["revision"])


def test_three_good_steps_promote_by_themselves() -> None:
    """10, 30, 60, then 100 and the commit, without a label; each weight once, and peace afterwards."""
    cluster = started()
    assert committed(cluster) == B
    seen = [found[B] for id_, found in cluster.history if id_ == f"{B}-2"]
    assert seen == [10, 30, 60, 100]
    assert "commands" not in cluster.status
    assert "canary" not in cluster.status
    assert cluster.run(100) == 0


def test_capacity_for_the_next_weight_comes_before_it_and_not_earlier() -> None:
    """The reserve is that of the step until its evidence is good; then it is that of the next one."""
    cluster = started()
    reserves: dict[int, set[int]] = {}
    while "canary" in cluster.status or cluster.status["stable"]["revision"] == A:
        cluster.round()
        found = cluster.of_kind(AUTOSCALER_KIND).get(f"{KEY.name}-{B}")
        if found is not None and cluster.status.get("canary"):
            step = cluster.as_recorded(canary(cluster))["step"]
            reserves.setdefault(step, set()).add(found["spec"]["share"]["reservePercent"])
    assert {step: max(percent) for step, percent in reserves.items()} == {0: 10, 1: 30, 2: 100}


@pytest.mark.parametrize("weight", WEIGHTS)
def test_bad_evidence_aborts_at_every_step(weight: int) -> None:
    """Traffic goes back at once, the attempt is rejected, and the message has the numbers; stable served all along."""
    cluster = at_weight(weight, started())
    cluster.traffic = BAD
    assert committed(cluster, 120) == A
    assert weights(cluster.route or {}) == {A: 100}
    (rejected,) = cluster.status["rejected"]
    assert (rejected["id"], rejected["reason"]) == (f"{B}-2", "WorseThanStable")
    assert "requests of the canary were late or failed" in rejected["message"]
    assert "StepBad" in [note.reason for note in cluster.events]
    stalled = cluster.condition("Stalled")
    assert stalled is not None
    assert stalled["reason"] == "WorseThanStable"
    assert cluster.run(60) == 0


@pytest.mark.parametrize("weight", WEIGHTS)
def test_inconclusive_pauses_for_a_person(weight: int) -> None:
    """At the deadline it says so with both commands, writes nothing more, and later good numbers move nothing."""
    cluster = quiet_at(weight)
    cluster.run(80)
    assert canary(cluster)["verdict"] == "Inconclusive"
    assert canary(cluster)["evidence"]["verdict"] == "Inconclusive"
    assert cluster.condition("Reconciling") is None
    assert cluster.condition("Stalled") is None
    up_to_date = cluster.condition("UpToDate")
    assert up_to_date is not None
    for label in ("promote", "abort"):
        assert f"serving-operator.dev/{label}={B}-2" in up_to_date["message"]
    assert cluster.run(300) == 0
    cluster.traffic = Window(1000, 0, 4000, 0)
    assert cluster.run(100) == 0
    assert canary(cluster)["weight"] == weight


def test_bad_evidence_aborts_a_paused_canary() -> None:
    """Waiting for a person does not mean looking away."""
    cluster = quiet_at(30)
    cluster.run(80)
    cluster.traffic = BAD
    cluster.run(60)
    assert [entry["reason"] for entry in cluster.status["rejected"]] == ["WorseThanStable"]


@pytest.mark.parametrize("weight", WEIGHTS)
def test_inconclusive_aborts_if_asked_to(weight: int) -> None:
    """With onInconclusive Abort the attempt is rejected at the deadline, with the numbers."""
    cluster = quiet_at(weight, analysis=ANALYSIS | {"onInconclusive": "Abort"})
    assert committed(cluster, 120) == A
    (rejected,) = cluster.status["rejected"]
    assert rejected["reason"] == "Inconclusive"
    assert "deadline" in rejected["message"]
    assert cluster.run(60) == 0


@pytest.mark.parametrize("weight", WEIGHTS)
def test_inconclusive_extends_if_asked_to(weight: int) -> None:
    """With onInconclusive Extend it collects on, one write a deadline, until the evidence suffices."""
    cluster = quiet_at(weight, analysis=ANALYSIS | {"onInconclusive": "Extend"})
    cluster.run(65)
    before = cluster.status_writes
    cluster.run(240)
    assert canary(cluster)["verdict"] == "CollectingEvidence"
    assert cluster.status_writes - before <= 5
    cluster.traffic = Window(1000, 0, 4000, 0)
    assert committed(cluster) == B


@pytest.mark.parametrize("policy", ["Pause", "Abort", "Extend"])
def test_a_missing_source_holds_without_counting(policy: str) -> None:
    """Ten deadlines without Prometheus: it is named, nothing is written, paused or rejected; then all goes on."""
    cluster = at_weight(30, started(analysis=ANALYSIS | {"onInconclusive": policy}))
    cluster.source_missing, cluster.traffic = SOURCE_AWAY, QUIET
    cluster.run(5)
    reconciling = cluster.condition("Reconciling")
    assert reconciling is not None
    assert reconciling["reason"] == canary(cluster)["verdict"] == "PrometheusUnreachable"
    assert SOURCE_AWAY.message in reconciling["message"]
    assert cluster.run(600) == 0
    cluster.restart()
    assert cluster.run(60) == 0
    cluster.source_missing = None
    cluster.run(20)
    assert canary(cluster)["verdict"] == "CollectingEvidence"
    assert canary(cluster)["heldSeconds"] >= 650
    cluster.traffic = Window(1000, 0, 4000, 0)
    assert committed(cluster) == B


def test_lost_time_moves_the_deadline() -> None:
    """The deadline of the step comes later by the time that Prometheus was away."""
    cluster = quiet_at(30)
    begins = cluster.now
    cluster.source_missing = SOURCE_AWAY
    cluster.run(100)
    cluster.source_missing = None
    while canary(cluster)["verdict"] != "Inconclusive":
        cluster.round()
    assert timedelta(seconds=155) <= cluster.now - begins <= timedelta(seconds=165)


def test_an_outage_counts_from_its_beginning() -> None:
    """It is noticed once windows are due; those found to be blind later move the deadline by all of their time."""
    cluster = quiet_at(30)
    begins = cluster.now
    cluster.blind_windows = 10
    while canary(cluster)["verdict"] != "Inconclusive":
        cluster.round()
    assert timedelta(seconds=155) <= cluster.now - begins <= timedelta(seconds=165)


def test_a_good_step_waits_for_its_pause() -> None:
    """pauseSeconds is the least time at the weight; the evidence is good long before."""
    steps = [{"weight": 10, "pauseSeconds": 200}, {"weight": 30}]
    cluster = at_weight(10, started(steps=steps))
    begins = cluster.now
    cluster.run(190)
    assert canary(cluster)["step"] == 0
    at_weight(30, cluster)
    assert timedelta(seconds=200) <= cluster.now - begins <= timedelta(seconds=230)


def test_bad_evidence_waits_for_no_pause() -> None:
    """A canary that is worse than stable is aborted in its pause."""
    cluster = at_weight(10, started(steps=[{"weight": 10, "pauseSeconds": 2000}]))
    cluster.traffic = BAD
    assert committed(cluster, 100) == A
    assert cluster.status["rejected"][0]["reason"] == "WorseThanStable"


def test_a_step_waits_for_its_minimum_of_requests() -> None:
    """Two good windows would do; 900 requests take nine."""
    steps = [{"weight": 10, "minimumRequests": 600}, {"weight": 30}]
    cluster = at_weight(10, started(steps=steps, analysis=ANALYSIS | {"stepDeadlineSeconds": 300}))
    begins = cluster.now
    at_weight(30, cluster)
    assert cluster.now - begins >= timedelta(seconds=60)


def test_manual_promotion_is_judged_and_then_waits() -> None:
    """Steps advance on evidence; after the last one the label is waited for; bad evidence still aborts."""
    for traffic, stable in ((None, B), (BAD, A)):
        cluster = at_weight(60, started(promotion="Manual"))
        cluster.run(60)
        assert canary(cluster)["verdict"] == "WaitingForPromotion"
        assert canary(cluster)["evidence"]["verdict"] == "Good"
        assert cluster.run(200) == 0
        if traffic is None:
            cluster.label("Promote", f"{B}-2")
        else:
            cluster.traffic = Window(1000, 900, 4000, 0)
        assert committed(cluster, 200) == stable


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("kind", ["Promote", "Abort"])
def test_a_label_is_obeyed_at_every_step(weight: int, kind: str) -> None:
    """Promote skips steps, pauses and evidence, abort takes the traffic back, whatever is known of the canary."""
    cluster = quiet_at(weight)
    cluster.run(3)
    cluster.label(kind, f"{B}-2")
    assert committed(cluster, 100) == (B if kind == "Promote" else A)
    last = [found.get(B) for id_, found in cluster.history if id_ == f"{B}-2"][-1]
    assert last == (100 if kind == "Promote" else 0)


def test_an_abort_label_beats_an_automatic_promotion() -> None:
    """Until the commit the label brings the traffic back."""
    cluster = started()
    while weights(cluster.route or {}).get(B) != 100:
        cluster.round()
    cluster.run(3)
    cluster.label("Abort", f"{B}-2")
    assert committed(cluster, 60) == A
    assert [entry["reason"] for entry in cluster.status["rejected"]] == ["AbortedByLabel"]


@pytest.mark.parametrize("every", [1, 3, 7])
def test_a_restart_at_any_instant_changes_nothing(every: int) -> None:
    """An operator that forgets everything again and again still takes the same steps, once each."""
    cluster = started()
    for index in range(300):
        cluster.round()
        if index % every == 0 and index % 17 > 8:
            cluster.restart()
    assert cluster.status["stable"]["revision"] == B
    seen = [found[B] for id_, found in cluster.history if id_ == f"{B}-2"]
    assert seen == [10, 30, 60, 100]


@pytest.mark.parametrize("crash_after", range(4))
def test_a_crash_between_any_two_writes_loses_nothing(crash_after: int) -> None:
    """Killed after the same write of every plan that has one, and then left alone, it ends the same."""
    cluster = started()
    for index in range(300):
        cluster.tick()
        cluster.autoscaler()
        cluster.kubelet()
        cluster.gateway()
        try:
            cluster.reconcile(crash_after=crash_after if index % 2 else None)
        except Crash:
            continue
    assert committed(cluster) == B
    assert [found[B] for id_, found in cluster.history if id_ == f"{B}-2"] == [10, 30, 60, 100]


def test_an_automatic_promotion_is_recorded_before_it_acts() -> None:
    """The decision is a status write of its own; the route follows, also when the operator restarts in between."""
    cluster = at_weight(60, started())
    while "promotion" not in canary(cluster):
        count = len([write for write in cluster.writes if write.manifest["kind"] == "HTTPRoute"])
        cluster.round()
    assert canary(cluster)["promotion"]["reason"] == "GoodEnough"
    assert len([write for write in cluster.writes if write.manifest["kind"] == "HTTPRoute"]) == count
    cluster.restart()
    cluster.traffic = QUIET
    assert committed(cluster, 60) == B


@pytest.mark.parametrize("weight", WEIGHTS)
def test_a_new_spec_ends_the_canary_and_starts_over(weight: int) -> None:
    """The superseded canary is not rejected; the new one begins at the first step with evidence of its own."""
    cluster = at_weight(weight, started())
    cluster.apply(judged("c"))
    at_weight(0, cluster)
    assert committed(cluster) == C
    assert "rejected" not in cluster.status
    seen = [found[C] for id_, found in cluster.history if id_ == f"{C}-3"]
    assert list(dict.fromkeys(seen)) == [10, 30, 60, 100]


@pytest.mark.parametrize("weight", WEIGHTS)
def test_a_revert_ends_the_canary(weight: int) -> None:
    """A spec back at stable takes the traffic back and rejects nothing."""
    cluster = at_weight(weight, started())
    cluster.apply(judged("a"))
    assert committed(cluster, 60) == A
    assert "rejected" not in cluster.status
    assert weights(cluster.route or {}) == {A: 100}


def test_edits_of_steps_and_analysis_wait_for_the_next_rollout() -> None:
    """The rollout recorded at its start counts to its end."""
    cluster = at_weight(10, started())
    edited = judged("b", weights=(50,), promotion="Manual", analysis=ANALYSIS | {"windowSeconds": 20})
    cluster.apply(edited)
    assert committed(cluster) == B
    assert [found[B] for id_, found in cluster.history if id_ == f"{B}-2"] == [10, 30, 60, 100]
    cluster.apply(judged("c", weights=(50,), promotion="Manual"))
    cluster.run(120)
    assert canary(cluster)["weight"] == 50
    assert canary(cluster)["verdict"] == "WaitingForPromotion"


def test_a_route_edit_at_a_step_keeps_weights_and_evidence() -> None:
    """A new host name applies at once with the current weights; the step goes on when it is acknowledged."""
    cluster = quiet_at(30)
    cluster.run(3)
    started_at = canary(cluster)["stepStartedAt"]
    edited = judged("b")
    edited["spec"]["route"]["hostnames"] = ["other.test"]
    cluster.apply(edited)
    cluster.run(20)
    assert (cluster.route or {})["spec"]["hostnames"] == ["other.test"]
    assert weights(cluster.route or {}) == {A: 70, B: 30}
    assert canary(cluster)["stepStartedAt"] == started_at
    cluster.traffic = Window(1000, 0, 4000, 0)
    assert committed(cluster) == B


@pytest.mark.parametrize(
    "change",
    [
        {"attempt": f"{B}-1"},
        {"attempt": f"{C}-2"},
        {"started_at": -60},
        {"started_at": +60},
    ],
    ids=str,
)
def test_evidence_of_something_else_is_ignored(change: dict[str, Any]) -> None:
    """What was counted for another attempt or another start of a step decides nothing."""
    cluster = quiet_at(10)
    cluster.run(12)
    world = cluster.world()
    assert world.evidence is not None
    good = replace(world.evidence, windows=(Window(1000, 0, 4000, 0),) * 5)

    def passes(evidence: Evidence) -> bool:
        plan = decide(replace(world, evidence=evidence), SETTINGS, cluster.now)
        return any(
            PASSING_ANNOTATION in write.manifest["metadata"].get("annotations", {}) for write in plan.writes
        )

    assert passes(good)
    if isinstance(change.get("started_at"), int):
        change = {"started_at": good.started_at + timedelta(seconds=change["started_at"])}
    assert not passes(replace(good, **change))


def test_lateness_for_want_of_replicas_is_no_evidence() -> None:
    """While the canary lacks its need its windows count for nothing; afterwards they do again."""
    cluster = at_weight(30, started())
    cluster.break_pods(B)
    cluster.traffic = BAD
    cluster.run(45)
    assert canary(cluster)["verdict"] == "CanaryBelowNeed"
    assert "rejected" not in cluster.status
    cluster.break_pods(B, broken=False)
    cluster.traffic = Window(1000, 0, 4000, 0)
    assert committed(cluster) == B


def test_a_canary_that_crashes_now_and_then_is_not_good() -> None:
    """The times between its crashes are; what it held when it crashed was counted by nobody, so that a person decides."""
    cluster = quiet_at(10)
    cluster.run(10)
    cluster.crash(B)
    cluster.traffic = GOOD
    cluster.run(40)
    assert canary(cluster)["verdict"] == "CollectingEvidence"
    assert "ended by itself" in (cluster.condition("UpToDate") or {})["message"]
    cluster.run(25)
    assert (canary(cluster)["verdict"], canary(cluster)["weight"]) == ("Inconclusive", 10)
    assert "exit code 1, Error" in (cluster.condition("UpToDate") or {})["message"]


@pytest.mark.parametrize(
    ("why", "ended"),
    [
        ("it crashed while it started, before it had traffic", {"finishedAt": "2025-12-31T00:00:00Z"}),
        ("the node was started anew", {"reason": "Unknown"}),
    ],
)
def test_an_end_that_took_no_request_with_it_or_was_not_its_own_does_not_matter(
    why: str, ended: dict[str, Any]
) -> None:
    """The canary goes on by its evidence."""
    cluster = quiet_at(10)
    cluster.crash(B)
    for pod in cluster.pods.values():
        if "ended" in pod:
            pod["ended"] |= ended
    cluster.traffic = GOOD
    cluster.run(50)
    assert canary(cluster)["weight"] > 10, why


@pytest.mark.parametrize("lost", [True, False])
def test_what_was_lost_while_nobody_looked_is_no_evidence(lost: bool) -> None:
    """Pods tell since when they are back; where none was gone, what came in the absence of the operator counts."""
    cluster = at_weight(30, started())
    cluster.run(3)
    if lost:
        cluster.replace_pods(B)
    for _ in range(45):
        cluster.round_without_operator()
    if lost:
        cluster.break_pods(B, broken=False)
    cluster.traffic = BAD
    cluster.restart()
    cluster.round()
    cluster.traffic = Window(1000, 0, 4000, 0)
    cluster.run(200)
    assert cluster.status["stable"]["revision"] == (B if lost else A)


def test_a_canary_that_stays_without_replicas_is_rejected() -> None:
    """Past the progress deadline, with the cause that its pods show."""
    cluster = at_weight(30, started())
    cluster.break_pods(B)
    cluster.run(150)
    assert cluster.status["stable"]["revision"] == A
    assert [entry["reason"] for entry in cluster.status["rejected"]] == ["CrashLoop"]


def test_a_good_canary_that_waits_for_its_label_needs_its_replicas_too() -> None:
    """Good enough is no licence to answer nobody: it is rejected like one that was not judged yet."""
    cluster = at_weight(60, started(promotion="Manual"))
    cluster.run(60)
    assert canary(cluster)["verdict"] == "WaitingForPromotion"
    cluster.break_pods(B)
    cluster.run(20)
    assert canary(cluster)["verdict"] == "CanaryBelowNeed"
    cluster.run(130)
    assert cluster.status["stable"]["revision"] == A
    assert [entry["reason"] for entry in cluster.status["rejected"]] == ["CrashLoop"]


def test_the_time_without_replicas_does_not_count_towards_the_deadline() -> None:
    """A step is not inconclusive for the time in which nothing could be counted."""
    cluster = quiet_at(30)
    begins = cluster.now
    cluster.break_pods(B)
    cluster.run(50)
    cluster.break_pods(B, broken=False)
    while canary(cluster)["verdict"] != "Inconclusive":
        cluster.round()
    assert cluster.now - begins >= timedelta(seconds=105)


@pytest.mark.parametrize("weight", [0, 10, 60])
def test_a_broken_stable_is_replaced_without_a_label(weight: int) -> None:
    """Under promotion Automatic a ready canary takes over from a stable revision that answers nobody."""
    cluster = Simulation(judged("a"), demand=10)
    cluster.run(30)
    if weight:
        cluster.apply(judged("b"))
        at_weight(weight, cluster)
        cluster.traffic = QUIET
    cluster.break_pods(A)
    if not weight:
        cluster.tick(31)
        cluster.apply(judged("b"))
    assert committed(cluster, 150) == B
    told = [note.message for note in cluster.events if note.reason == "Promoted"]
    assert len(told) == 1
    assert "stable has no ready pod" in told[0]


@pytest.mark.parametrize("holds", ["AutoscalerUnavailable", "NameConflict", "RouteNotAcknowledged"])
@pytest.mark.parametrize("traffic", [BAD, GOOD], ids=["bad", "good"])
def test_bad_evidence_aborts_whoever_the_rollout_waits_for(holds: str, traffic: Window) -> None:
    """A canary that is worse than stable is aborted while the autoscaler or a Gateway is away, or its name is taken.

    A good one waits.
    """
    cluster = at_weight(10, started())
    cluster.traffic = QUIET
    wait_for(cluster, holds)
    cluster.run(3)
    assert canary(cluster)["verdict"] == holds
    cluster.traffic = traffic
    cluster.run(60)
    if traffic is BAD:
        assert weights(cluster.route or {})[A] == 100
        cluster.gateway_answers = True
        cluster.run(20)
        assert [entry["reason"] for entry in cluster.status["rejected"]] == ["WorseThanStable"]
        assert weights(cluster.route or {}) == {A: 100}
    else:
        assert (canary(cluster)["verdict"], canary(cluster)["weight"]) == (holds, 10)


@pytest.mark.parametrize("holds", ["AutoscalerUnavailable", "NameConflict"])
def test_what_promotes_itself_and_turns_bad_is_aborted_whoever_it_waits_for(holds: str) -> None:
    """Until it has 100 percent, as long as no label has said that evidence does not matter."""
    for labelled in (False, True):
        cluster = at_weight(60, started())
        while "promotion" not in canary(cluster):
            cluster.round()
        wait_for(cluster, holds)
        cluster.reconcile()
        if labelled:
            cluster.label("Promote", f"{B}-2")
        cluster.traffic = Window(1000, 900, 4000, 0)
        cluster.run(60)
        rejected = [entry["reason"] for entry in cluster.status.get("rejected", ())]
        assert rejected == ([] if labelled else ["WorseThanStable"])


def test_what_a_canary_lacks_is_noted_while_the_autoscaler_is_away() -> None:
    """What is late for want of replicas is no evidence, whatever else the rollout waits for."""
    cluster = at_weight(30, started())
    wait_for(cluster, "AutoscalerUnavailable")
    cluster.reconcile()
    cluster.break_pods(B)
    cluster.traffic = BAD
    cluster.run(45)
    assert "rejected" not in cluster.status
    assert canary(cluster)["uncounted"]


@pytest.mark.parametrize(("weight", "promoted"), [(10, False), (30, False), (60, True)])
def test_what_was_good_and_turns_bad_is_aborted_before_it_gets_more(weight: int, promoted: bool) -> None:
    """While the next weight is prepared the canary is watched, also after it has promoted itself."""
    cluster = at_weight(weight, started())
    until_passed(cluster)
    assert ("promotion" in cluster.as_recorded(canary(cluster))) == promoted
    cluster.traffic = Window(1000, 900, 4000, 0)
    for _ in range(40):  # the canary's new pods take long
        cluster.tick()
        cluster.autoscaler()
        cluster.gateway()
        cluster.reconcile()
    assert committed(cluster, 30) == A
    assert [entry["reason"] for entry in cluster.status["rejected"]] == ["WorseThanStable"]
    assert max(found.get(B, 0) for id_, found in cluster.history if id_ == f"{B}-2") == weight


@pytest.mark.parametrize(("weight", "promoted"), [(10, False), (30, False), (60, True)])
def test_who_has_just_started_reads_before_the_canary_gets_more(weight: int, promoted: bool) -> None:
    """What was good turns bad while nobody looks, and the next weight has its replicas when an operator comes back."""
    cluster = at_weight(weight, started())
    until_passed(cluster)
    cluster.reconcile()
    assert ("promotion" in cluster.as_recorded(canary(cluster))) == promoted
    cluster.traffic = Window(1000, 900, 4000, 0)
    for _ in range(40):
        cluster.tick()
        cluster.autoscaler()
        cluster.kubelet()
        cluster.gateway()
    cluster.restart()
    cluster.source_missing = NOT_YET_READ
    cluster.run(3)
    assert weights(cluster.route or {})[B] == weight
    cluster.source_missing = None
    assert committed(cluster, 30) == A
    assert [entry["reason"] for entry in cluster.status["rejected"]] == ["WorseThanStable"]
    assert max(found.get(B, 0) for id_, found in cluster.history if id_ == f"{B}-2") == weight


def test_a_changed_number_of_pods_is_told_with_what_follows_or_after_a_while() -> None:
    """During a rollout `replicas` alone is written 30 seconds late, and never not at all."""
    cluster = quiet_at(10)
    cluster.run(20)
    cluster.objects[ObjectId("Deployment", f"{KEY.name}-{A}")]["spec"]["replicas"] += 1
    before = cluster.status["replicas"]
    for index in range(40):
        cluster.tick()
        cluster.kubelet()
        cluster.reconcile()
        told = cluster.status["replicas"] == before + 1
        assert told == (index >= 30), index


def test_the_evidence_is_written_with_the_verdict_and_told_once() -> None:
    """Status changes at the end of a step, not as the numbers grow; one event a step has the numbers."""
    cluster = quiet_at(10)
    cluster.run(2)
    before = cluster.status_writes
    cluster.run(45)
    assert cluster.status_writes == before
    assert "evidence" not in canary(cluster)
    cluster.traffic = Window(1000, 0, 4000, 0)
    at_weight(30, cluster)
    said = canary(cluster)["evidence"]
    assert (said["verdict"], said["step"], said["source"]) == ("Good", 0, "runtime")
    assert said["requests"] >= 1000
    told = [note for note in cluster.events if note.reason.startswith("Step")]
    assert [note.reason for note in told] == ["StepGood"]
    assert f"0 of {said['requests']} requests of the canary" in told[0].message


def test_the_step_is_found_again_without_a_status() -> None:
    """A restore without status at the second step goes on from there with evidence counted anew."""
    cluster = at_weight(30, started())
    cluster.service.pop("status")
    cluster.restart()
    cluster.run(8)
    assert (canary(cluster)["step"], canary(cluster)["weight"]) == (1, 30)
    assert committed(cluster) == B


def test_a_promotion_is_found_again_without_a_status() -> None:
    """A restore without status at 100 percent ends in the commit."""
    cluster = at_weight(100, started())
    cluster.service.pop("status")
    cluster.restart()
    assert committed(cluster, 60) == B


def test_one_judged_step_is_a_rollout_too() -> None:
    """One step with an analysis and automatic promotion needs nobody."""
    cluster = started(weights=(20,))
    assert committed(cluster, 150) == B


def test_a_rollout_without_analysis_is_as_it_was() -> None:
    """A person gives the verdict."""
    cluster = Simulation(inference_service("a"))
    cluster.run(30)
    cluster.apply(inference_service("b"))
    cluster.run(60)
    assert canary(cluster)["verdict"] == "WaitingForPromotion"
    assert moment_of(canary(cluster)["stepStartedAt"]) < cluster.now


def test_what_a_step_will_take_is_said_beforehand() -> None:
    """At the rate that the autoscaler measures: how many requests and minutes, and a warning where that is never."""
    busy, quiet = quiet_at(10), quiet_at(10)
    busy.arrivals_per_minute, quiet.arrivals_per_minute = 60_000, 1
    busy.run(2)
    quiet.run(20)

    assert busy.condition("UpToDate")["reason"] == "CollectingEvidence"
    assert (
        "requests per second with 10% to the canary, this step needs about"
        in busy.condition("UpToDate")["message"]
    )
    assert quiet.condition("UpToDate")["reason"] == "TooFewRequests"
    assert "it can never be" in quiet.condition("UpToDate")["message"]
    assert [note.reason for note in quiet.events].count("TooFewRequests") == 1


def test_who_may_edit_an_autoscaler_may_for_that_not_promote() -> None:
    """A passed step counts as the operator wrote it: of somebody else's edit nothing follows."""
    cluster = quiet_at(10)
    key = ObjectId(AUTOSCALER_KIND, f"{KEY.name}-{B}")
    forged = canary(cluster) | {"step": 2, "phaseStartedAt": text_of(cluster.now + timedelta(seconds=1))}
    forged["promotion"] = {"reason": "GoodEnough", "time": text_of(cluster.now)}
    said = {name: forged[name] for name in ("id", "revision", "step", "phaseStartedAt", "promotion")}
    cluster.objects[key]["metadata"]["annotations"] = {PASSING_ANNOTATION: json.dumps(said)}
    cluster.run(30)
    assert (canary(cluster)["step"], canary(cluster)["weight"]) == (0, 10)
    assert "promotion" not in canary(cluster)

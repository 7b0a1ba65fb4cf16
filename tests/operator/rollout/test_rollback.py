"""The abort label of the committed attempt brings the former revision back: at once if its pods were kept."""

import copy
from typing import Any

import pytest

from serving_api.names import AUTOSCALER_KIND
from serving_operator.children.route import weights
from serving_operator.world import ObjectId
from tests.operator.rollout.rolling_back import (
    A,
    B,
    abort,
    committed,
    deployment,
    is_rolled_back,
    service,
)
from tests.operator.rollout.simulation import KEY, Crash, revision

COLD = {"keepWarmSeconds": 0}


def test_warm_is_one_route_write() -> None:
    """The command and the attempt are one write of the status; the first write after it moves all of the traffic."""
    cluster = abort(committed())
    cluster.reconcile()
    assert [(c["kind"], c["id"]) for c in cluster.status["commands"]][-1] == ("Abort", f"{B}-2")
    assert cluster.status["canary"]["id"] == f"{A}-3"
    pods, before = set(cluster.pods), len(cluster.writes)
    cluster.reconcile()
    first = cluster.writes[before]
    assert (first.manifest["kind"], weights(first.manifest)) == ("HTTPRoute", {B: 0, A: 100})
    assert set(cluster.pods) == pods, "no pod was started"
    cluster.run(60)
    assert is_rolled_back(cluster)


def test_cold_gets_its_capacity_first() -> None:
    """Without kept pods the former revision is made again from its record, and gets the traffic when it is ready."""
    cluster = committed(**COLD)
    assert deployment(cluster, A) is None
    abort(cluster)
    cluster.reconcile()
    cluster.reconcile()
    assert deployment(cluster, A) is not None
    assert weights(cluster.route or {}) == {B: 100}
    assert cluster.status["canary"]["verdict"] == "RollingBack"
    cluster.run(60)
    assert is_rolled_back(cluster)


@pytest.mark.parametrize("mode", ["Auto", "Advise", "External"])
@pytest.mark.parametrize("seconds", [0, 300])
def test_the_end_of_a_rollback(mode: str, seconds: int) -> None:
    """The rolled-back revision leaves and is named as the reason; the spec that still asks for it restarts nothing."""
    cluster = abort(committed(mode, keepWarmSeconds=seconds))
    cluster.run(100)
    assert is_rolled_back(cluster)
    assert deployment(cluster, B) is None
    assert ObjectId("ControllerRevision", f"{KEY.name}-{B}") in cluster.objects
    up_to_date, stalled = cluster.condition("UpToDate"), cluster.condition("Stalled")
    assert up_to_date is not None
    assert stalled is not None
    assert (up_to_date["status"], up_to_date["reason"]) == ("False", "RolledBack")
    assert (stalled["status"], stalled["reason"]) == ("True", "RolledBack")
    assert f"retry={B}-2" in up_to_date["message"]
    assert cluster.condition("CommandIgnored") is None
    cluster.label("Abort", None)
    cluster.run(5)
    abort(cluster)
    assert cluster.run(100) == 0, "repeating the label changes nothing"


def test_a_retry_tries_the_rolled_back_revision_again() -> None:
    """It is a canary like any other, under a new id."""
    cluster = abort(committed())
    cluster.run(100)
    cluster.label("Retry", f"{B}-2")
    cluster.run(30)
    assert cluster.status["canary"]["id"] == f"{B}-4"
    assert cluster.status["canary"]["verdict"] == "WaitingForPromotion"


def test_the_former_spec_ends_it() -> None:
    """Once the spec asks for the former revision again, all is as it should be, without another rollout."""
    cluster = abort(committed())
    cluster.run(100)
    before = [write for write in cluster.writes if write.manifest["kind"] == "HTTPRoute"]
    cluster.apply(service("a"))
    cluster.run(30)
    up_to_date = cluster.condition("UpToDate")
    assert up_to_date is not None
    assert (up_to_date["status"], up_to_date["reason"]) == ("True", "Committed")
    assert [write for write in cluster.writes if write.manifest["kind"] == "HTTPRoute"] == before


def test_a_rollback_is_given_up_by_its_own_label() -> None:
    """The traffic goes back to where it was, and the command that was done is not done again."""
    cluster = abort(committed())
    cluster.run(5)
    assert weights(cluster.route or {}) == {B: 0, A: 100}
    abort(cluster, f"{A}-3")
    cluster.run(60)
    assert "canary" not in cluster.status
    assert cluster.status["stable"]["id"] == f"{B}-2"
    assert [(e["id"], e["reason"]) for e in cluster.status["rejected"]] == [(f"{A}-3", "AbortedByLabel")]
    abort(cluster)
    assert cluster.run(60) == 0


def test_one_that_is_late_is_not_rejected() -> None:
    """A person asked for it, and nothing better is there: it says why it waits, and goes on when its pods get well."""
    cluster = abort(committed(**COLD))
    cluster.run(3)
    for _ in range(150):
        cluster.break_pods(A)
        cluster.tick()
        cluster.autoscaler()
        cluster.reconcile()
    stalled = cluster.condition("Stalled")
    assert stalled is not None
    assert stalled["reason"] == "CrashLoop"
    assert f"abort={A}-3" in stalled["message"]
    assert "rejected" not in cluster.status
    for pod in cluster.pods.values():
        pod["killed"] = False
    cluster.run(60)
    assert is_rolled_back(cluster)


def test_warm_waits_for_no_autoscaler() -> None:
    """Kept pods take the traffic by the last answer; without them the rollback holds and names whom it waits for."""
    for rollout, verdict in (({}, "Soaking"), (COLD, "AutoscalerUnavailable")):
        cluster = committed(**rollout)
        cluster.autoscaler_alive = False
        cluster.tick(90)
        abort(cluster)
        cluster.run(10)
        assert cluster.status["canary"]["verdict"] == verdict


def test_a_new_spec_waits_for_the_rollback() -> None:
    """The third revision starts when the first has been committed again."""
    cluster = abort(committed(**COLD))
    cluster.reconcile()
    cluster.apply(service("c", **COLD))
    cluster.run(3)
    up_to_date = cluster.condition("UpToDate")
    assert up_to_date is not None
    assert f"Revision {revision('c')} follows after it" in up_to_date["message"]
    cluster.run(80)
    assert cluster.status["stable"]["revision"] == A
    assert cluster.status["canary"]["revision"] == revision("c")


@pytest.mark.thorough
@pytest.mark.parametrize("seconds", [0, 300])
@pytest.mark.parametrize("crash_after", range(4))
def test_a_killed_operator_comes_to_the_same_end(seconds: int, crash_after: int) -> None:
    """Killed after any write of any pass of the rollback, the operator carries it through."""
    before = committed(keepWarmSeconds=seconds)
    for at in range(25):
        cluster = abort(copy.deepcopy(before))
        cluster.run(at)
        try:
            cluster.reconcile(crash_after=crash_after)
        except Crash:
            pass
        else:
            continue
        cluster.run(90)
        assert is_rolled_back(cluster), (at, cluster.status)


@pytest.mark.parametrize("at", [0, 1, 3, 6, 10])
@pytest.mark.parametrize("rollout", [{}, COLD], ids=["warm", "cold"])
def test_a_lost_status_loses_no_rollback(at: int, rollout: dict[str, Any]) -> None:
    """The commit and what was before it are in the record of the committed revision, a rollback in its own."""
    cluster = abort(committed(**rollout))
    cluster.run(at)
    del cluster.service["status"]
    cluster.restart()
    cluster.run(100)
    assert is_rolled_back(cluster)


def test_a_lost_status_restarts_nothing_that_was_rolled_back() -> None:
    """The record of the revision that came back tells which attempt it undid."""
    cluster = abort(committed())
    cluster.run(100)
    del cluster.service["status"]
    cluster.restart()
    cluster.run(60)
    assert is_rolled_back(cluster)
    assert "canary" not in cluster.status


def test_a_lost_status_resumes_no_rollback_that_was_given_up() -> None:
    """Its record tells that it was rejected: what it was to replace stays stable."""
    cluster = abort(committed())
    cluster.run(2)
    rollback = cluster.status["canary"]["id"]
    abort(cluster, rollback).run(60)
    assert cluster.status["stable"]["revision"] == B
    cluster.service["metadata"]["labels"].clear()
    del cluster.service["status"]
    cluster.restart()
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B
    assert "canary" not in cluster.status
    assert [entry["id"] for entry in cluster.status["rejected"]] == [rollback]


def test_the_shares_of_a_rollback_are_those_of_the_kept_pods() -> None:
    """Nothing has to be asked of the autoscaler: what was kept warm was asked for all of the demand already."""
    cluster = committed()
    kept = copy.deepcopy(cluster.objects[ObjectId(AUTOSCALER_KIND, f"{KEY.name}-{A}")]["spec"])
    abort(cluster)
    cluster.reconcile()
    cluster.reconcile()
    assert cluster.objects[ObjectId(AUTOSCALER_KIND, f"{KEY.name}-{A}")]["spec"] == kept

"""Pods that others take from a canary: evicted, preempted, or lost with their node. What they lose is no evidence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from serving_api.names import REVISION_LABEL
from serving_operator.judge.windows import Window
from serving_operator.rollout.disrupted import NODE_GONE, UNNOTICED, disruption
from serving_operator.rollout.state import moment_of
from serving_operator.world import Manifest
from tests.operator.rollout.simulation import BAD, Simulation, judged, revision

A, B = revision("a"), revision("b")
EVICTED = "EvictionByEvictionAPI"
GOOD = Window(1000, 0, 4000, 0)
NOON = "2026-01-01T12:00:00Z"


def at(text: str) -> str:
    """A moment of the hour after noon, from minutes and seconds."""
    return f"2026-01-01T12:{text}Z"


def pod(*conditions: Manifest, **more: Any) -> Manifest:
    """A pod with these conditions; `metadata` and `containerStatuses` may be given."""
    return {
        "metadata": {"name": "p"} | more.pop("metadata", {}),
        "status": {"conditions": list(conditions)} | more,
    }


def said(kind: str, status: str, since: str | None = NOON, reason: str | None = None) -> Manifest:
    """A condition of a pod."""
    stated = {"lastTransitionTime": since, "reason": reason}
    return {"type": kind, "status": status} | {key: value for key, value in stated.items() if value}


def ended(at: str) -> list[Manifest]:
    """The status of a container that has ended, and of one that runs."""
    return [{"state": {"terminated": {"finishedAt": at}}}, {"state": {"running": {}}}]


@pytest.mark.parametrize(
    "conditions",
    [
        (),
        (said("Ready", "True"), said("ContainersReady", "True")),
        (said("Ready", "False", reason="ContainersNotReady"), said("ContainersReady", "False")),
        (said("Ready", "False", reason="ReadinessGatesNotReady"), said("ContainersReady", "True")),
        (said("Ready", "False"), said("ContainersReady", "False")),
        (said("Ready", "False"),),
        (said("Ready", "False", since=None), said("ContainersReady", "True")),
        (said("DisruptionTarget", "False", reason=EVICTED),),
        (said("DisruptionTarget", "True", since=None, reason=EVICTED),),
    ],
)
def test_a_pod_that_fails_by_itself_is_not_taken(conditions: tuple[Manifest, ...]) -> None:
    """Whatever ails it, as long as nobody says that it is taken, and the control plane has not given its node up."""
    assert disruption(pod(*conditions)) is None
    assert disruption({"metadata": {"name": "p"}}) is None


def test_an_announced_end_is_that_of_the_grace_until_the_pod_is_gone() -> None:
    """From the announcement on; a container that has ended does not end the grace of the others."""
    target = said("DisruptionTarget", "True", reason=EVICTED)
    leaving = pod(target, metadata={"deletionTimestamp": at("01:15")}, containerStatuses=ended(at("00:20")))

    assert disruption(leaving) == (moment_of(NOON), moment_of(at("01:15")))
    assert disruption(leaving, gone=True) == (moment_of(NOON), moment_of(at("00:20")))
    assert disruption(pod(target)) == (moment_of(NOON), moment_of(NOON))
    assert disruption(pod(target), gone=True) == (moment_of(NOON), moment_of(NOON))


def test_a_lost_node_is_noticed_late() -> None:
    """Requests were lost for up to a minute and a half before the control plane said anything of the pod."""
    begins = moment_of(NOON) - UNNOTICED
    collected = pod(said("DisruptionTarget", "True", reason=NODE_GONE), metadata={"deletionTimestamp": NOON})
    given_up = (said("Ready", "False"), said("ContainersReady", "True"))

    assert disruption(collected) == disruption(collected, gone=True) == (begins, moment_of(NOON))
    assert disruption(pod(*given_up)) == (begins, moment_of(NOON))
    assert timedelta(seconds=80) <= UNNOTICED


def test_a_pod_that_was_given_up_got_no_requests_afterwards() -> None:
    """Its deletion, minutes later, tells nothing new: the gateway has known since it was called unready."""
    given_up = (said("Ready", "False"), said("ContainersReady", "True"))
    collected = pod(*given_up, said("DisruptionTarget", "True", at("05:00"), reason=NODE_GONE))
    assert disruption(collected, gone=True) == (moment_of(NOON) - UNNOTICED, moment_of(NOON))


def with_pods_to_spare(image: str) -> Manifest:
    """A service whose canary has three pods at 30%, and needs one."""
    made = judged(image, weights=(30,))
    made["spec"]["predictor"] |= {"minReplicas": 8, "maxReplicas": 16}
    return made


@pytest.fixture
def cluster() -> Simulation:
    """A cluster whose canary has just got its weight; its pods are more than it needs."""
    made = Simulation(with_pods_to_spare("a"))
    made.run(30)
    made.apply(with_pods_to_spare("b"))
    for _ in range(100):
        if (made.status.get("canary") or {}).get("weight") == 30:
            break
        made.round()
    assert made.ready(B) == 3
    return made


def outcome(cluster: Simulation) -> str:
    """Go on with good traffic until one revision is left; the stable one."""
    cluster.traffic = GOOD
    for _ in range(200):
        if "canary" not in cluster.status and len(cluster.of_kind("Deployment")) == 1:
            break
        cluster.round()
    return str(cluster.status["stable"]["revision"])


def uncounted(cluster: Simulation) -> list[Manifest]:
    """The times that do not count, as the status has them."""
    return list(cluster.status["canary"].get("uncounted") or ())


@pytest.mark.parametrize("lost", [True, False])
def test_what_went_down_with_a_node_is_no_evidence(cluster: Simulation, lost: bool) -> None:
    """Two windows go bad, and before the second one ends the control plane finds that a node was gone. Without that
    the canary is aborted for them, though it has all the replicas that it needs."""
    cluster.traffic = BAD
    cluster.run(13)
    if lost:
        cluster.end_pod(cluster.take_pod(B, NODE_GONE))
        cluster.round()
        cluster.restart()
    cluster.run(10)
    assert outcome(cluster) == (B if lost else A)


@pytest.mark.parametrize("evicted", [True, False])
def test_what_an_evicted_pod_loses_is_no_evidence(cluster: Simulation, evicted: bool) -> None:
    """From its eviction until it is gone nothing counts; the operator may be started anew meanwhile."""
    name = cluster.take_pod(B, EVICTED, grace_seconds=60) if evicted else ""
    cluster.traffic = BAD
    cluster.run(12)
    cluster.restart()
    cluster.run(12)
    if evicted:
        cluster.end_pod(name)
    assert outcome(cluster) == (B if evicted else A)


def test_evidence_goes_on_when_the_pod_is_gone(cluster: Simulation) -> None:
    """Not only at the end of its grace; what is bad from then on counts, and two writes have told all of it."""
    cluster.run(2)
    evicted = cluster.now
    before = cluster.status_writes
    name = cluster.take_pod(B, EVICTED, grace_seconds=600)
    cluster.run(10)
    assert [moment_of(span["until"]) for span in uncounted(cluster)] == [evicted + timedelta(seconds=600)]
    cluster.end_pod(name)
    cluster.run(3)
    (span,) = uncounted(cluster)
    assert moment_of(span["since"]) == evicted
    assert moment_of(span["until"]) <= cluster.now
    cluster.traffic = BAD
    cluster.run(2)
    assert cluster.status_writes - before == 2
    cluster.run(40)
    assert [entry["reason"] for entry in cluster.status["rejected"]] == ["WorseThanStable"]


def test_pods_taken_one_after_the_other_are_one_time(cluster: Simulation) -> None:
    """However many: the status keeps ten times, and those that overlap are one."""
    begins = cluster.now
    for _ in range(12):
        cluster.end_pod(cluster.take_pod(B, NODE_GONE))
        cluster.run(2)
    (span,) = uncounted(cluster)
    assert moment_of(span["since"]) <= begins
    assert moment_of(span["until"]) <= cluster.now
    assert outcome(cluster) == B


def test_only_the_canary_s_own_pods_of_this_step_matter(cluster: Simulation) -> None:
    """A pod of stable, or one that was gone before the step began, excuses nothing."""
    cluster.end_pod(cluster.take_pod(A, NODE_GONE))
    earlier = cluster.take_pod(B, EVICTED)
    for entry in cluster.pods[earlier]["status"]["conditions"]:
        entry["lastTransitionTime"] = "2025-12-31T00:00:00Z"
    cluster.pods[earlier]["metadata"]["deletionTimestamp"] = "2025-12-31T00:01:00Z"
    cluster.end_pod(earlier)
    stranger = cluster.take_pod(A, NODE_GONE)
    cluster.pods[stranger]["metadata"] |= {"labels": {REVISION_LABEL: "other"}}
    cluster.end_pod(stranger)
    cluster.run(3)
    assert uncounted(cluster) == []
    cluster.traffic = BAD
    cluster.run(40)
    assert [entry["reason"] for entry in cluster.status["rejected"]] == ["WorseThanStable"]


def test_the_deadline_moves_by_the_time_that_did_not_count(cluster: Simulation) -> None:
    """A step is not inconclusive for the time in which its canary's pods were taken."""
    cluster.traffic = Window(0, 0, 2, 0)
    begins = cluster.now
    name = cluster.take_pod(B, EVICTED, grace_seconds=600)
    cluster.run(50)
    cluster.end_pod(name)
    while cluster.status["canary"]["verdict"] != "Inconclusive":
        cluster.round()
    assert cluster.now - begins >= timedelta(seconds=105)

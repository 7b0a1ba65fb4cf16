"""Rollouts that evidence decides: good versions go all the way without a person, bad ones come back at their step."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from itertools import groupby, pairwise

import pytest

from localcluster.cluster import Cluster
from serving_io import kinds
from tests.api.manifests import edited
from tests.system.audit import Audit
from tests.system.judging import at_step, judged, rejection, splits, waits_for
from tests.system.kube import PATIENCE_SECONDS, Kube
from tests.system.load import Load
from tests.system.recording import Recording
from tests.system.services import canary_weight, committed, first_revision

STEP_REQUESTS = int(os.environ.get("SERVING_TEST_STEP_REQUESTS", "0"))
"""So many requests are sent at each step at least; 3000 tell the split to three points. 0: as many as the verdict takes."""
RATE = 50.0 if STEP_REQUESTS else 20.0
WEIGHTS = (20, 50, 80)
POINTS = 0.03
OBJECT_WRITES = 19 + 3
"""Of a service's first rollout, if it has three steps and promotes itself: docs/decisions/004."""
STORY = ((0, 0), (20, 0), (50, 1), (80, 2), (100, 2))
"""The weights and steps of an attempt, each told once. That a step is passed is told before the next weight only where that takes long."""
CONFLICT = 409
"""Of a write that changed nothing: somebody else, the gateway say, has changed the object meanwhile."""


@pytest.mark.lengthy
def test_a_good_version_promotes_itself(
    kube: Kube, cluster: Cluster, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    """Three steps by evidence alone: no label, no bad response, each weight what clients see, and few writes."""
    host = f"{namespace}.example.com"
    first_revision(kube, namespace, judged(host, "1", *WEIGHTS))
    second = judged(host, "2", *WEIGHTS)
    pause = math.ceil(1.1 * STEP_REQUESTS / RATE)
    if pause:
        for step in second["spec"]["rollout"]["steps"]:
            step["pauseSeconds"] = pause
    audit = Audit(cluster)
    with (
        Load(cluster, host, rate=RATE) as load,
        Recording(kube, kinds.HTTP_ROUTE, namespace) as routes,
        Recording(kube, kinds.INFERENCE_SERVICE, namespace) as services,
    ):
        attempt = at_step(kube, namespace, second)["id"]
        kube.until(
            "it is stable",
            lambda: kube.status(namespace)["stable"]["id"] == attempt,
            within=PATIENCE_SECONDS + 3 * pause,
        )
        status = committed(kube, namespace, attempt)
    writes = [
        write
        for write in audit.writes("serving-system:serving-operator")
        if write.namespace == namespace and write.resource != "events" and write.code != CONFLICT
    ]
    begun = [(write.verb, write.resource) for write in writes].index(("create", "controllerrevisions"))
    writes = writes[begun:]  # before it the first revision's commit was completed
    of_status = sum(write.subresource == "status" for write in writes)
    of_objects = len(writes) - of_status
    pods = [version.get("status", {}).get("replicas") for version in services.versions()]
    of_pods = sum(before != after for before, after in pairwise(pods))
    canaries = [version.get("status", {}).get("canary") for version in services.versions()]
    told = [(canary["weight"], canary["step"]) for canary in canaries if canary and canary["id"] == attempt]
    found = splits(load, services.versions(), routes.versions())
    record_property(
        "saw",
        f"promoted by evidence: {len(load.records)} requests, {len(load.bad())} bad, "
        f"{of_objects} writes of objects and {of_status} of the status ({of_pods} of them tell another number of pods); canary's share "
        + ", ".join(f"{100 * step.share:.1f}% of {step.requests} at {step.weight}%" for step in found),
    )
    weights = [canary_weight(route, attempt) for route in routes.versions()]
    labels = [version["metadata"].get("labels") for version in services.versions()]

    assert load.bad() == []
    assert list(dict.fromkeys(weights)) == [0, *WEIGHTS, 100]
    assert weights == sorted(weights)
    assert not any(labels)
    assert not status.get("commands")
    assert not status.get("rejected")
    assert {record.revision for record in load.records[-5:]} == {status["stable"]["revision"]}
    assert [step.weight for step in found] == list(WEIGHTS)
    for step in found if STEP_REQUESTS else [max(found, key=lambda step: step.requests)]:
        assert step.requests >= STEP_REQUESTS
        assert step.error <= (POINTS if STEP_REQUESTS else max(POINTS, step.chance)), step
    assert tuple(at for at, _ in groupby(told) if at in STORY) == STORY
    sent = [f"{write.verb} {write.resource}/{write.subresource} {write.name}" for write in writes]
    assert of_objects <= OBJECT_WRITES, sent


@pytest.mark.lengthy
def test_a_version_that_fails_comes_back(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """A version applied while another is judged replaces it without a rejection; it fails, and is aborted for that.

    Every bad response is its own, and what was counted of the other one does not speak for it.
    """
    host = f"{namespace}.example.com"
    stable = first_revision(kube, namespace, judged(host, "1", 20))
    with (
        Load(cluster, host, rate=10) as load,
        Recording(kube, kinds.HTTP_ROUTE, namespace) as routes,
        Recording(kube, kinds.INFERENCE_SERVICE, namespace) as services,
    ):
        dropped = at_step(kube, namespace, judged(host, "2", 20))["id"]
        kube.until("it is judged", lambda: waits_for(kube, namespace) == "CollectingEvidence")
        failing = at_step(kube, namespace, judged(host, "3", 20, env={"FAIL": "1"}))
        rejected = rejection(kube, namespace, failing["id"])
        answered = len(load.records)
        kube.until("the load goes on", lambda: len(load.records) > answered + 20)
    status = kube.status(namespace)
    (said,) = {
        str(evidence): evidence
        for version in services.versions()
        if (evidence := (version.get("status", {}).get("canary") or {}).get("evidence"))
    }.values()

    assert [entry["id"] for entry in status["rejected"]] == [failing["id"]]
    assert rejected["reason"] == "WorseThanStable"
    assert status["stable"]["revision"] == stable
    assert (said["verdict"], said["badRequests"]) == ("Bad", said["requests"])
    assert {record.revision for record in load.bad()} == {failing["revision"]}
    assert {record.revision for record in load.records[-20:]} == {stable}
    for attempt in (dropped, failing["id"]):
        assert {canary_weight(route, attempt) for route in routes.versions()} == {0, 20}
    assert not status.get("commands")


@pytest.mark.lengthy
def test_a_slow_version_comes_back(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """A version that answers everything, far later than the objective allows, is aborted without a bad response."""
    host = f"{namespace}.example.com"
    patient = {"spec.predictor.timeout": 60}  # its queue grows: nobody gives up before it is aborted
    stable = first_revision(kube, namespace, edited(judged(host, "1", 20), patient))
    with Load(cluster, host, rate=10, timeout_seconds=60) as load:
        slow = at_step(kube, namespace, edited(judged(host, "2", 20, env={"WORK_MS": "400"}), patient))
        rejected = rejection(kube, namespace, slow["id"])
    late = [record for record in load.records if record.revision == slow["revision"]]

    assert rejected["reason"] == "WorseThanStable"
    assert kube.status(namespace)["stable"]["revision"] == stable
    assert min(record.response_seconds for record in late) > 0.3
    assert load.bad() == []

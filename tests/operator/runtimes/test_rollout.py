"""Runtimes that come, change and go: revisions that run are left alone, and status says what would be otherwise."""

from __future__ import annotations

from typing import Any

from serving_operator.runtimes.catalogue import Catalogue
from tests.operator.rollout.simulation import Simulation, inference_service
from tests.operator.runtimes.objects import runtime

ONNX = {"name": "onnx", "autoSelect": True}


def simulation(*runtimes: Any) -> Simulation:
    """A cluster with these runtimes and a service with an ONNX model."""
    service = inference_service("a")
    service["spec"]["predictor"] = {
        "model": {"modelFormat": {"name": "onnx"}, "storageUri": "pvc://models/m"},
        "maxReplicas": 8,
    }
    made = Simulation(service)
    made.runtimes = Catalogue(namespaced=runtimes)
    return made


def said(cluster: Simulation, kind: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition."""
    found = cluster.condition(kind)
    assert found is not None
    return found["status"], found["reason"], found["message"]


def test_a_first_revision_waits_for_its_runtime() -> None:
    """Without a runtime nothing is made and Stalled names the remedy; as soon as one serves it, it begins."""
    cluster = simulation()
    cluster.run(10)
    assert said(cluster, "Stalled")[:2] == ("True", "NoSupportingRuntime")
    assert cluster.of_kind("Deployment") == {}
    cluster.runtimes = Catalogue(namespaced=(runtime("ort", ONNX),))
    cluster.run(60)
    assert cluster.condition("Stalled") is None
    assert said(cluster, "UpToDate")[:2] == ("True", "Committed")


def test_a_new_revision_waits_for_its_runtime_and_stable_stays() -> None:
    """A spec that names no runtime that is there begins no attempt, and leaves stable as it is."""
    cluster = simulation(runtime("ort", ONNX))
    cluster.run(60)
    count = len(cluster.writes)
    cluster.service["spec"]["predictor"]["model"]["runtime"] = "gone"
    cluster.run(20)
    assert len(cluster.writes) == count
    assert said(cluster, "UpToDate")[:2] == ("False", "RuntimeNotFound")
    assert said(cluster, "Ready")[0] == "True"


def test_an_edited_or_removed_runtime_changes_no_pod_and_is_said() -> None:
    """The revision holds what it runs; an edit, another choice or a removal is RuntimeOutdated and no write."""
    cluster = simulation(runtime("ort", ONNX))
    cluster.run(60)
    (record,) = cluster.of_kind("ControllerRevision").values()
    assert record["data"]["runtime"]["kind"] == "ServingRuntime"
    count = len(cluster.writes)
    edited = runtime("ort", ONNX, runAsUser=7)
    another = runtime("swift", ONNX | {"priority": 5})
    for runtimes, words in (
        ((edited,), "Runtime ort has changed"),
        ((runtime("ort", ONNX), another), "example.com/swift:1 by runtime swift"),
        ((), "goes on with ort"),
    ):
        cluster.runtimes = Catalogue(namespaced=runtimes)
        cluster.run(10)
        status, reason, message = said(cluster, "UpToDate")
        assert (status, reason) == ("True", "RuntimeOutdated")
        assert words in message
    for moved in (
        Catalogue(namespaced=(runtime("ort", ONNX),)),
        Catalogue(clusterwide=(runtime("ort", ONNX, cluster=True),)),
    ):
        cluster.runtimes = moved
        cluster.run(10)
        assert said(cluster, "UpToDate")[1] == "Committed"
    assert len(cluster.writes) == count

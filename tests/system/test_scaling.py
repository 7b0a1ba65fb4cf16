"""The autoscaler follows a load that rises and falls, by decisions that it explains; accelerators can object."""

from __future__ import annotations

import pytest

from localcluster.cluster import Cluster
from serving_io import kinds
from tests.system.audit import Audit
from tests.system.kube import Kube, Manifest
from tests.system.load import Load, measured
from tests.system.services import QUIET_RATE, autoscaler, first_revision, overload, replicas, web_service

BURN = """
import threading, time
def burn():
    while True:
        end = time.process_time() + 0.01
        while time.process_time() < end:
            pass
        time.sleep(0.1)
threading.Thread(target=burn, daemon=True).start()
"""


@pytest.mark.lengthy
def test_replicas_follow_the_load(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """Up when the load rises, down when it has fallen for a hold: each by the autoscaler, with a reason and an event."""
    host = f"{namespace}.example.com"
    manifest = web_service(
        host=host, spec__scaling__scaleDownHoldSeconds=20, spec__objective__thresholdMilliseconds=1000
    )
    manifest["spec"]["predictor"]["container"]["env"].append({"name": "WORK_MS", "value": "20"})
    first_revision(kube, namespace, manifest)
    audit = Audit(cluster)
    with Load(cluster, host, rate=QUIET_RATE) as load:
        work = kube.until(
            "the time of work is learned",
            lambda: (
                autoscaler(kube, namespace)
                .get("status", {})
                .get("learned", {})
                .get("serviceTimeMilliseconds")
            ),
        )
        before = replicas(kube, namespace)["wanted"]
        load.set_rate(overload(before, work))
        kube.until("more replicas are ready", lambda: replicas(kube, namespace)["ready"] > before)
        up = autoscaler(kube, namespace)["status"]["lastDecision"]
        highest = replicas(kube, namespace)["wanted"]
        load.set_rate(QUIET_RATE)
        kube.until(
            "replicas are removed",
            lambda: replicas(kube, namespace)["wanted"] < highest and scaled(kube, namespace)["ScaledDown"],
        )
        # The status is the last of what the autoscaler writes.
        down = kube.until(
            "status tells of it",
            lambda: (
                (said := autoscaler(kube, namespace)["status"]["lastDecision"])["reason"] != up["reason"]
                and said
            ),
        )
    writers = {
        write.user.rpartition(":")[2]
        for write in audit.writes()
        if write.namespace == namespace and (write.resource, write.subresource) == ("deployments", "scale")
    }

    assert up["reason"] in {"Demand", "Reserve", "Backlog", "LateRequests", "Maximum", "Late", "Hold"}, up
    assert "requests/s expected" in up["message"]
    assert down["reason"] == "DemandFell", down
    assert scaled(kube, namespace)["ScaledUp"]
    assert writers == {"serving-autoscaler"}


def scaled(kube: Kube, namespace: str) -> dict[str, list[str]]:
    """What the autoscaler's events say, by their reason."""
    notes: dict[str, list[str]] = {"ScaledUp": [], "ScaledDown": []}
    for event in kube.list(kinds.EVENT, namespace):
        if event["reason"] in notes:
            notes[event["reason"]].append(event["note"])
    return notes


def test_busy_accelerators_keep_their_replicas(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """Without a request, a service whose accelerators work keeps its replicas; its twin without work loses one."""
    services = {name: twin(namespace, name) for name in ("busy", "bored")}
    services["busy"]["spec"]["predictor"]["container"]["command"][2] = (
        BURN + services["busy"]["spec"]["predictor"]["container"]["command"][2]
    )
    for service in services.values():
        kube.apply(namespace, service)
    for service in services.values():
        first_revision(kube, namespace, service)
    kube.until(
        "both have two replicas",
        lambda: all(replicas(kube, namespace, name)["ready"] == 2 for name in services),
    )
    for service in services.values():
        service["spec"]["predictor"]["minReplicas"] = 1
        kube.apply(namespace, service)
    kube.until(
        "the accelerators' work is what keeps a replica",
        lambda: decisions(cluster, namespace, "busy", "GpuActive"),
    )
    kube.until("the twin loses one", lambda: replicas(kube, namespace, "bored")["wanted"] == 1)

    assert replicas(kube, namespace, "busy")["wanted"] == 2
    assert not decisions(cluster, namespace, "bored", "GpuActive")


def twin(namespace: str, name: str) -> Manifest:
    """A service with two replicas on emulated accelerators."""
    return web_service(
        name,
        host=f"{name}.{namespace}.example.com",
        spec__predictor__minReplicas=2,
        spec__predictor__annotations={"serving-operator.dev/emulate-gpu": "true"},
        spec__scaling__scaleDownHoldSeconds=10,
        spec__predictor__container__env=[{"name": "WORK_MS", "value": "0"}],
        # Probes are work too: so few that an accelerator which did nothing else would be idle.
        spec__predictor__container__readinessProbe__periodSeconds=5,
    )


def decisions(cluster: Cluster, namespace: str, service: str, reason: str) -> list[Manifest]:
    """The counter of the autoscaler's decisions for a reason, as Prometheus has it."""
    labels = f'namespace="{namespace}", service="{service}", reason="{reason}"'
    return measured(cluster, f"serving_autoscaler_decisions_total{{{labels}}} > 0")

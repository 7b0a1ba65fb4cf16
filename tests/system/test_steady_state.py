"""Where nothing changes nothing is written: by the audit log, Leases aside."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from loadtests.scale.audit import Request
from localcluster.cluster import Cluster
from localcluster.node.addresses import listen_address
from serving_io import kinds
from tests.api.manifests import GONE
from tests.system.audit import Audit
from tests.system.failures import OPERATOR, program_pod, restart_program
from tests.system.kube import PATIENCE_SECONDS, Kube, Manifest, holds
from tests.system.load import Load
from tests.system.phantom import NAME as PHANTOM
from tests.system.phantom import SELECTOR, TOLERATION, phantom_node
from tests.system.services import web_service

ZEROS: dict[str, Any] = {
    "spec__predictor__container__env": [{"name": "EMPTY", "value": ""}],
    "spec__predictor__container__readinessProbe__initialDelaySeconds": 0,
}
"""What people write and the API server does not keep."""
SETTLED = 200
QUIET_SECONDS = 60
PROGRAMS = ("serving-system:serving-operator", "serving-system:serving-autoscaler")

pytestmark = [pytest.mark.disruptive, pytest.mark.lengthy]


def phantom_service(namespace: str, number: int) -> Manifest:
    """A service whose pod runs nothing; every tenth is scaled by the autoscaler, the others by the user."""
    name = f"settled-{number:03d}"
    external: dict[str, Any] = {
        "spec__scaling": {"class": "External", "external": {"replicas": 1}},
        "spec__predictor__minReplicas": GONE,
        "spec__predictor__maxReplicas": GONE,
        "spec__objective": GONE,
    }
    return web_service(
        name,
        host=f"{name}.{namespace}.example.com",
        spec__predictor__nodeSelector=SELECTOR,
        spec__predictor__tolerations=[TOLERATION],
        spec__predictor__container__command=GONE,
        **(ZEROS if number % 3 == 0 else {}),
        spec__route__parentRefs=[{"name": PHANTOM}],
        **({} if number % 10 == 0 else external),
    )


def steady_service(namespace: str, name: str) -> Manifest:
    """A service that answers requests with one replica, and needs no second one where a busy machine makes it slow."""
    return web_service(
        name,
        host=f"{name}.{namespace}.example.com",
        spec__predictor__maxReplicas=1,
        spec__objective={"thresholdMilliseconds": 4000, "percent": 50},
    )


def written(audit: Audit) -> list[Request]:
    """What the operator and the autoscaler wrote."""
    return [write for program in PROGRAMS for write in audit.writes(program)]


def quiet(cluster: Cluster, seconds: float) -> bool:
    """Whether neither of them writes for so long."""
    audit = Audit(cluster)
    time.sleep(seconds)
    return not written(audit)


def runs(kube: Kube) -> float:
    """Services that the operator's process has looked at since its start, and left nothing to do."""
    address = listen_address(program_pod(kube, OPERATOR)["status"]["podIP"])
    page = httpx.get(f"http://{address}:8080/metrics").text
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "controller_runtime_reconcile_total"
    )


def test_nothing_is_written_where_nothing_changes(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """200 settled services, one under constant load and one without: 0 writes in 60 s, with an operator's restart."""
    services = [phantom_service(namespace, number) for number in range(SETTLED)]
    services += [steady_service(namespace, name) for name in ("loaded", "idle")]
    everything = {"apiVersion": "v1", "kind": "List", "items": services}
    with phantom_node(kube, namespace, pods=2 * SETTLED):
        kube.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(everything))
        with Load(cluster, f"loaded.{namespace}.example.com", rate=5) as load:
            kube.until(
                "all are settled",
                lambda: settled(kube, namespace) == len(services),
                within=3 * PATIENCE_SECONDS,
            )
            kube.until("what was learned is written", lambda: quiet(cluster, 20), within=3 * PATIENCE_SECONDS)
            audit = Audit(cluster)
            restart_program(kube, OPERATOR)
            kube.until("the new process has seen all services", lambda: runs(kube) >= len(services))
            time.sleep(QUIET_SECONDS)

            assert load.records
            assert written(audit) == []


def settled(kube: Kube, namespace: str) -> int:
    """Services that are where their spec wants them."""
    return sum(
        holds(status := service.get("status", {}), "UpToDate")
        and holds(status, "Ready")
        and not holds(status, "Reconciling")
        for service in kube.list(kinds.INFERENCE_SERVICE, namespace)
    )

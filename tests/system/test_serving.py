"""From `kubectl apply` to an answer through the gateway, and what is left when the service is deleted."""

from __future__ import annotations

import pytest

from localcluster.cluster import Cluster
from serving_io import kinds
from tests.system.kube import Kube, condition, holds
from tests.system.load import answers
from tests.system.services import canary_at_step, children, first_revision, web_service

CHILDREN = (
    kinds.DEPLOYMENT,
    kinds.SERVICE,
    kinds.CONTROLLER_REVISION,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.INFERENCE_AUTOSCALER,
    kinds.HTTP_ROUTE,
    kinds.REPLICA_SET,
    kinds.POD,
)


def test_apply_serves(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """An applied service answers at its URL, in a namespace that enforces the restricted standard."""
    host = f"{namespace}.example.com"
    revision = first_revision(kube, namespace, web_service(host=host))
    answer = answers(cluster, host)
    status = kube.status(namespace)

    assert answer.status_code == 200
    assert answer.headers["x-serving-revision"] == revision
    assert status["url"].startswith(f"http://{host}")
    assert {
        name: condition(status, name)["status"]
        for name in ("Servable", "Ready", "UpToDate", "RouteProgrammed")
    } == {
        "Servable": "True",
        "Ready": "True",
        "UpToDate": "True",
        "RouteProgrammed": "True",
    }
    assert not holds(status, "Reconciling")
    assert not holds(status, "Stalled")


def test_kubectl_get_reads_well(kube: Kube, namespace: str) -> None:
    """The columns of services and autoscalers carry what they are named after."""
    revision = first_revision(kube, namespace, web_service(host=f"{namespace}.example.com"))
    kube.until(
        "the autoscaler reports",
        lambda: (
            "digits" in kube.kubectl("get", "infas", "-n", namespace).stdout
            and (kube.list(kinds.INFERENCE_AUTOSCALER, namespace)[0].get("status") or {}).get("lastDecision")
        ),
    )
    header, row = kube.kubectl("get", "infsvc", "-n", namespace).stdout.splitlines()
    autoscaler_header, autoscaler_row = kube.kubectl("get", "infas", "-n", namespace).stdout.splitlines()

    assert header.split() == ["NAME", "READY", "URL", "REPLICAS", "STABLE", "CANARY", "WEIGHT", "AGE"]
    assert row.split()[:2] == ["digits", "True"]
    assert revision in row
    assert autoscaler_header.split() == [
        "NAME",
        "TARGET",
        "REPLICAS",
        "DESIRED",
        "MIN",
        "MAX",
        "REASON",
        "AGE",
    ]
    assert f"digits-{revision}" in autoscaler_row


def test_pods_carry_no_token(kube: Kube, namespace: str) -> None:
    """Pods run without a service-account token, and drain before they end."""
    first_revision(kube, namespace, web_service(host=f"{namespace}.example.com"))
    spec = kube.list(kinds.POD, namespace)[0]["spec"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["containers"][0]["lifecycle"]["preStop"]
    assert not [volume for volume in spec["volumes"] if "projected" in volume]


@pytest.mark.lengthy
def test_deletion_in_mid_canary_leaves_nothing(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """Deleting the service deletes all of it without a finalizer, and a service of the same name works at once."""
    host = f"{namespace}.example.com"
    stable = first_revision(kube, namespace, web_service(host=host))
    attempt = canary_at_step(kube, namespace, web_service(version="2", host=host))
    service = kube.service(namespace)
    family = [
        live
        for kind, name in children("digits", stable, attempt.split("-")[0])
        if (live := kube.get(kind, namespace, name))
    ]
    gone = {live["metadata"]["uid"] for live in [service, *family, *kube.list(kinds.POD, namespace)]}
    kube.kubectl("delete", "infsvc", "-n", namespace, "digits", "--wait=false")
    again = first_revision(kube, namespace, web_service(version="3", host=host))
    kube.until(
        "nothing of the first service is left",
        lambda: (
            not [
                child
                for kind in CHILDREN
                for child in kube.list(kind, namespace)
                if child["metadata"]["uid"] in gone or service["metadata"]["uid"] in str(child["metadata"])
            ]
        ),
    )

    assert len(family) == 12
    assert not [live for live in [service, *family] if "finalizers" in live["metadata"]]
    assert answers(cluster, host).headers["x-serving-revision"] == again
    assert not kube.status(namespace).get("canary")

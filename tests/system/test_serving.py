"""From `kubectl apply` to an answer through the gateway, and what is left when the service is deleted."""

from __future__ import annotations

import re

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
    """At a canary's step the columns of services and autoscalers carry what they are named after."""
    host = f"{namespace}.example.com"
    stable = first_revision(kube, namespace, web_service(host=host))
    (service,) = columns(kube, namespace, "infsvc")

    assert (service["STABLE"], service["CANARY"], service["WEIGHT"]) == (stable, "", "")

    attempt = canary_at_step(kube, namespace, web_service(version="2", host=host))
    kube.until(
        "the pods of both revisions are counted, and both autoscalers have decided",
        lambda: (
            columns(kube, namespace, "infsvc")[0]["REPLICAS"] == str(len(kube.list(kinds.POD, namespace)))
            and len([row for row in columns(kube, namespace, "infas") if row["REASON"]]) == 2
        ),
    )
    (service,) = columns(kube, namespace, "infsvc")
    autoscalers = {row.pop("NAME"): row for row in columns(kube, namespace, "infas")}
    asked = {
        found["metadata"]["name"]: str(found["spec"]["replicas"])
        for found in kube.list(kinds.DEPLOYMENT, namespace)
    }

    assert re.fullmatch(r"(\d+[hms])+", service.pop("AGE"))
    assert service == {
        "NAME": "digits",
        "READY": "True",
        "URL": kube.status(namespace)["url"],
        "REPLICAS": str(sum(map(int, asked.values()))),
        "STABLE": stable,
        "CANARY": attempt,
        "WEIGHT": "20",
    }
    assert asked.keys() == {f"digits-{stable}", f"digits-{attempt.split('-')[0]}"}
    for row in autoscalers.values():
        assert re.fullmatch(r"(\d+[hms])+", row.pop("AGE"))
        assert row.pop("REASON") in ("Steady", "Demand", "Reserve")
    assert autoscalers == {
        name: {"TARGET": name, "REPLICAS": number, "DESIRED": number, "MIN": "1", "MAX": "4"}
        for name, number in asked.items()
    }


def columns(kube: Kube, namespace: str, kind: str) -> list[dict[str, str]]:
    """What `kubectl get` shows: header → value, row by row; empty where it shows nothing."""
    header, *rows = kube.kubectl("get", kind, "-n", namespace).stdout.splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", header)]
    return [
        {
            header[start:end].strip(): row[start:end].strip()
            for start, end in zip(starts, [*starts[1:], None], strict=True)
        }
        for row in rows
    ]


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

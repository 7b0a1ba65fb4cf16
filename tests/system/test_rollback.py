"""The abort label of the committed attempt brings the former revision back, and no client notices."""

from __future__ import annotations

import pytest

from loadtests.scale.audit import Request
from localcluster.cluster import Cluster
from serving_api.names import OPERATOR, REVISION_LABEL
from serving_io import kinds
from tests.system.audit import Audit
from tests.system.kube import Kube, Manifest, condition
from tests.system.load import Load
from tests.system.recording import Recording
from tests.system.services import canary_at_step, canary_weight, first_revision, web_service

KEEP_WARM_SECONDS = 1800
"""Longer than the test: nothing of it rests on how fast a machine is."""


def kept(version: str, host: str, seconds: int) -> Manifest:
    """A service that keeps the pods of its former revision for so long."""
    return web_service(version=version, host=host, spec__rollout__keepWarmSeconds=seconds)


def second_committed(kube: Kube, namespace: str, host: str, seconds: int) -> str:
    """Promote a second version; return the id of its attempt as it is committed."""
    attempt = canary_at_step(kube, namespace, kept("2", host, seconds))
    kube.label(namespace, "digits", promote=attempt)
    kube.until(
        f"{attempt} is committed",
        lambda: (
            (status := kube.status(namespace)).get("stable", {}).get("id") == attempt
            and not status.get("canary")
        ),
    )
    return attempt


def rolled_back(kube: Kube, namespace: str, revision: str) -> Manifest:
    """Wait until a revision is committed again and nothing of another one runs; return the status."""
    kube.until(
        f"{revision} is back",
        lambda: (
            (status := kube.status(namespace)).get("stable", {}).get("revision") == revision
            and not status.get("canary")
            and len(kube.list(kinds.DEPLOYMENT, namespace)) == 1
        ),
    )
    return kube.status(namespace)


def pods_of(kube: Kube, namespace: str, revision: str) -> set[str]:
    """Uids of the pods of a revision."""
    found = kube.list(kinds.POD, namespace, f"{REVISION_LABEL}={revision}")
    return {pod["metadata"]["uid"] for pod in found}


def check_end(status: Manifest, attempt: str) -> None:
    """The rolled-back attempt is named as rejected, with the command that tries it again."""
    last = status["rejected"][-1]
    assert (last["id"], last["reason"]) == (attempt, "RolledBack")
    assert condition(status, "UpToDate")["reason"] == "RolledBack"
    assert f"retry={attempt}" in condition(status, "UpToDate")["message"]
    assert [(command["kind"], command["id"]) for command in status["commands"]] == [
        ("Promote", attempt),
        ("Abort", attempt),
    ]
    assert not condition(status, "CommandIgnored")


@pytest.mark.lengthy
def test_warm_rollback_under_load(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """Kept pods take all of the traffic with the first write after the command; none of them is new."""
    host = f"{namespace}.example.com"
    first = first_revision(kube, namespace, kept("1", host, KEEP_WARM_SECONDS))
    with Load(cluster, host, rate=8) as load:
        attempt = second_committed(kube, namespace, host, KEEP_WARM_SECONDS)
        kube.until("the stable Service follows", lambda: _selected(kube, namespace) == attempt.split("-")[0])
        # The autoscaler may have asked for one more a moment ago, and what is not ready yet is not warm.
        kube.until("the kept pods are as many as were asked for", lambda: _is_warm(kube, namespace, first))
        pods, audit = pods_of(kube, namespace, first), Audit(cluster)
        with Recording(kube, kinds.HTTP_ROUTE, namespace) as recording:
            kube.label(namespace, "digits", abort=attempt)
            kube.until("all of the traffic is back", lambda: _weight(kube, namespace, first) == 100)
            same = pods_of(kube, namespace, first)
            status = rolled_back(kube, namespace, first)
    weights = [canary_weight(route, f"{first}-1") for route in recording.versions()]
    writes = [write for write in audit.writes() if write.namespace == namespace]
    labelled = next(index for index, write in enumerate(writes) if _is_of_service(write, ""))
    recorded = next(
        index for index in range(labelled, len(writes)) if _is_of_service(writes[index], "status")
    )
    written = [
        write.resource
        for write in writes[recorded:]
        if OPERATOR in write.user and write.resource not in ("events", "inferenceservices")
    ]

    assert load.bad() == []
    assert {record.revision for record in load.records[-5:]} == {first}
    assert pods
    assert pods <= same
    assert sorted(set(weights)) == [0, 100]
    assert weights == sorted(weights)
    assert written[0] == "httproutes"
    check_end(status, attempt)


@pytest.mark.lengthy
def test_cold_rollback_under_load(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """Pods that are gone are made again from the record, are ready, and only then get the traffic."""
    host = f"{namespace}.example.com"
    first = first_revision(kube, namespace, kept("1", host, 0))
    with Load(cluster, host, rate=8) as load:
        attempt = second_committed(kube, namespace, host, 0)
        kube.until("the first revision has left", lambda: not pods_of(kube, namespace, first))
        kube.label(namespace, "digits", abort=attempt)
        status = rolled_back(kube, namespace, first)
        kube.label(namespace, "digits", retry=attempt)
        again = kube.until(
            "the retry is at its step",
            lambda: (canary := kube.status(namespace).get("canary", {})).get("weight") == 20 and canary["id"],
        )

    assert load.bad() == []
    check_end(status, attempt)
    assert again.split("-")[0] == attempt.split("-")[0]
    assert again != attempt


def _is_of_service(write: Request, subresource: str) -> bool:
    return (write.resource, write.subresource) == ("inferenceservices", subresource)


def _selected(kube: Kube, namespace: str) -> str:
    service = kube.get(kinds.SERVICE, namespace, "digits")
    assert service is not None
    return str(service["spec"]["selector"][REVISION_LABEL])


def _is_warm(kube: Kube, namespace: str, revision: str) -> bool:
    """Whether a revision has ready what its autoscaler last said that all of the traffic takes, and no less is asked for."""
    name = f"digits-{revision}"
    autoscaler = kube.get(kinds.INFERENCE_AUTOSCALER, namespace, name) or {}
    deployment = kube.get(kinds.DEPLOYMENT, namespace, name) or {}
    said = autoscaler.get("status", {}).get("reserve", {})
    ready = deployment.get("status", {}).get("availableReplicas", 0)
    return said.get("reservePercent") == 100 and int(ready) >= int(said.get("replicas", 1))


def _weight(kube: Kube, namespace: str, revision: str) -> int:
    (route,) = kube.list(kinds.HTTP_ROUTE, namespace)
    return canary_weight(route, f"{revision}-1")

"""A canary whose pods cannot start says why, and the stable revision answers as before."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from localcluster.cluster import Cluster
from tests.system.kube import Kube, condition, holds
from tests.system.load import Load
from tests.system.services import first_revision, web_service


class Unable(NamedTuple):
    """What keeps the pods from starting, and what the condition Stalled says of it."""

    edits: dict[str, Any]
    reason: str
    says: str
    quota: str | None = None
    """Pods that a ResourceQuota admits."""


CONTAINER = "spec__predictor__container__"
NEVER_READY = {"httpGet": {"path": "/", "port": 9999}, "periodSeconds": 1}
GPU = {"limits": {"cpu": "200m", "memory": "128Mi", "nvidia.com/gpu": 1}}
CASES = {
    "bad image": Unable(
        {f"{CONTAINER}image": "example.com/absent:1"}, "ImagePullFailed", "image example.com/absent:1"
    ),
    "crash loop": Unable(
        {f"{CONTAINER}command": ["python", "-c", "raise SystemExit(3)"]}, "CrashLoop", "ends with code 3"
    ),
    "never ready": Unable(
        {f"{CONTAINER}readinessProbe": NEVER_READY}, "NeverReady", "readiness probe does not succeed"
    ),
    "no GPU": Unable(
        {f"{CONTAINER}resources": GPU},
        "Unschedulable",
        "1 Insufficient nvidia.com/gpu",
    ),
    "quota": Unable({}, "QuotaExceeded", "small", quota="1"),
}


DEADLINE_SECONDS = 30
"""Longer than a busy machine takes to start a container and see how it ends: what is not seen by then is no cause."""


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_cause_is_shown(kube: Kube, cluster: Cluster, namespace: str, case: Unable) -> None:
    """Stalled names the cause in the words of whoever refused; no request is lost, and stable serves on and is Ready."""
    host = f"{namespace}.example.com"
    stable = first_revision(kube, namespace, web_service(host=host))
    if case.quota is not None:
        kube.kubectl("create", "quota", "-n", namespace, "small", f"--hard=pods={case.quota}")
        kube.until(
            "the quota is in force",
            lambda: "1/1" in kube.kubectl("get", "quota", "-n", namespace, "small").stdout,
        )
    deadlines: dict[str, Any] = {
        "spec__rollout__progressDeadlineSeconds": DEADLINE_SECONDS,
        "spec__rollout__capacityDeadlineSeconds": DEADLINE_SECONDS,
    }
    with Load(cluster, host, rate=4) as load:
        kube.apply(namespace, web_service(version="2", host=host, **deadlines, **case.edits))
        stalled = kube.until(
            "the service is stalled",
            lambda: holds(status := kube.status(namespace), "Stalled") and condition(status, "Stalled"),
        )
        kube.until("stable has its need", lambda: holds(kube.status(namespace), "Ready"))
    status = kube.status(namespace)

    assert stalled["reason"] == case.reason
    assert case.says in stalled["message"]
    assert load.bad() == []
    assert load.records
    assert {record.revision for record in load.records} == {stable}
    assert holds(status, "Stalled")
    assert not holds(status, "UpToDate")

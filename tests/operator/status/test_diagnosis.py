"""Why pods are not ready, as the kubelet, the scheduler and the API server say it."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from serving_operator.status.diagnosis import diagnose
from tests.operator.rollout.simulation import at_step


class Row(NamedTuple):
    """What is seen of a pod or a Deployment, and the cause that is read from it."""

    why: str
    pod: dict[str, Any]
    reason: str | None
    says: str = ""


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    """A container that waits."""
    state = {"state": {"waiting": {"reason": reason, "message": message}}}
    return {"containerStatuses": [{"name": "model", "image": "org/x:1", "restartCount": 0} | state | more]}


NOT_READY = [{"type": "Ready", "status": "False"}]
UNSCHEDULABLE = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
ROWS = [
    Row("a pull that fails", waiting("ErrImagePull", "not found"), "ImagePullFailed", "org/x:1"),
    Row("a pull that is tried again", waiting("ImagePullBackOff"), "ImagePullFailed", "describe pod"),
    Row("a name that is none", waiting("InvalidImageName"), "ImagePullFailed"),
    Row(
        "a Secret that is missing",
        waiting("CreateContainerConfigError", 'secret "s" not found'),
        "ConfigError",
        '"s"',
    ),
    Row(
        "a container that ends again and again",
        waiting("CrashLoopBackOff", restartCount=4),
        "CrashLoop",
        "logs",
    ),
    Row(
        "between two crashes",
        {
            "containerStatuses": [
                {
                    "name": "model",
                    "restartCount": 1,
                    "ready": False,
                    "state": {"running": {}},
                    "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
                }
            ]
        },
        "CrashLoop",
        "code 3",
    ),
    Row(
        "killed for memory",
        waiting(
            "CrashLoopBackOff",
            restartCount=2,
            lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}},
        ),
        "OutOfMemory",
        "resources.limits.memory",
    ),
    Row(
        "a probe that never succeeds",
        {
            "containerStatuses": [
                {"name": "model", "restartCount": 0, "ready": False, "state": {"running": {}}}
            ]
        },
        "NeverReady",
        "probe",
    ),
    Row(
        "an init container that fails",
        {"initContainerStatuses": [{"name": "fetch", "state": {"terminated": {"exitCode": 1}}}]},
        "InitFailed",
        "fetch",
    ),
    Row(
        "no node that fits",
        {
            "conditions": [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": UNSCHEDULABLE,
                }
            ]
        },
        "Unschedulable",
        UNSCHEDULABLE,
    ),
    Row("an image being pulled", waiting("ContainerCreating"), None),
    Row("a ready pod that crashed once", {"conditions": [{"type": "Ready", "status": "True"}]}, None),
    Row("a pod that nobody has looked at yet", {}, None),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.why)
def test_reads_the_cause_from_a_pod(row: Row) -> None:
    """Each state of a pod has one cause, with the words that help."""
    pod = {"metadata": {"name": "p", "namespace": "demo"}, "status": {"conditions": NOT_READY} | row.pod}
    cause = diagnose([pod], None)
    assert (cause.reason if cause else None) == row.reason
    assert cause is None or row.says in cause.message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('pods "x" is forbidden: exceeded quota: team, requested: pods=1', "QuotaExceeded"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', "PodsRefused"),
    ],
)
def test_reads_the_cause_from_a_deployment(message: str, reason: str) -> None:
    """Pods that the API server refuses show in the Deployment alone."""
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    cause = diagnose([], {"status": {"conditions": [condition]}})
    assert cause is not None
    assert cause.reason == reason
    assert message in cause.message


@pytest.mark.parametrize(
    ("why", "unready", "lasted", "ended", "reason"),
    [
        ("its time to load is over", 0, 60, {}, "LoadDeadlineExceeded"),
        ("it ended by itself before", 0, 59, {}, "CrashLoop"),
        ("it had been ready before it ended", 30, 600, {}, "CrashLoop"),
        ("it ran out of memory as it loaded", 0, 60, {"reason": "OOMKilled"}, "OutOfMemory"),
    ],
)
def test_reads_a_load_that_takes_too_long(
    why: str, unready: int, lasted: int, ended: dict[str, Any], reason: str
) -> None:
    """A container that its startup probe ends was never ready, and lasted for as long as the probe allows."""
    started = datetime(2026, 1, 1, tzinfo=UTC)
    times = {
        name: (started + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
        for name, seconds in (("startedAt", 0), ("finishedAt", lasted), ("unready", unready))
    }
    last = {"startedAt": times["startedAt"], "finishedAt": times["finishedAt"], "exitCode": 137} | ended
    container = {
        "name": "model",
        "restartCount": 1,
        "state": {"running": {}},
        "lastState": {"terminated": last},
    }
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": times["unready"]}
    pod = {"metadata": {"name": "p"}, "status": {"conditions": [ready], "containerStatuses": [container]}}
    probe = {"periodSeconds": 5, "failureThreshold": 10, "initialDelaySeconds": 10}
    deployment = {"spec": {"template": {"spec": {"containers": [{"startupProbe": probe}]}}}}

    cause = diagnose([pod], deployment)

    assert cause is not None
    assert cause.reason == reason


def test_a_leaving_pod_is_no_evidence() -> None:
    """Drained, evicted or replaced pods say nothing against a revision."""
    leaving = {"name": "p", "namespace": "demo", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert diagnose([{"metadata": leaving, "status": waiting("CrashLoopBackOff")}], None) is None


def test_a_pod_that_is_over_is_no_evidence() -> None:
    """What a node has failed stays as an object for long, and its replacement is what there is of the canary."""
    cluster = at_step()
    cluster.leave_failed(cluster.status["canary"]["revision"])
    cluster.run(1)
    healthy = cluster.condition("CanaryHealthy") or {}
    assert (healthy["status"], healthy["reason"]) == ("True", "PodsReady")


def test_the_gravest_cause_counts() -> None:
    """What a person must mend goes before what may mend itself."""
    pods = [
        {"metadata": {"name": name}, "status": {"conditions": NOT_READY} | status}
        for name, status in (("a", ROWS[9].pod), ("b", ROWS[0].pod))
    ]
    cause = diagnose(pods, None)
    assert cause is not None
    assert cause.reason == "ImagePullFailed"

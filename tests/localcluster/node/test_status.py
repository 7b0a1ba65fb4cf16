"""What the API server is told about a pod."""

from __future__ import annotations

from typing import Any

import pytest

from localcluster.node.status import ContainerState, phase, pod_status

T0, T1, T2 = "2030-01-01T00:00:00Z", "2030-01-01T00:00:10Z", "2030-01-01T00:00:20Z"


def state(kind: str, code: int = 0, crashed: bool = False) -> ContainerState:
    each = ContainerState("model", "busybox:1.37")
    if crashed:
        each.running("local://1", T0)
        each.exited(1, "Error", "", T0)
    if kind == "running":
        each.running("local://2", T0)
    elif kind == "ended":
        each.running("local://2", T0)
        each.exited(code, "Completed" if code == 0 else "Error", "", T1)
    elif kind == "waiting":
        each.waiting("CrashLoopBackOff" if crashed else "ErrImagePull", "why")
    return each


@pytest.mark.parametrize(
    ("policy", "init", "main", "expected"),
    [
        ("Always", [], [state("waiting")], "Pending"),
        ("Always", [], [state("running")], "Running"),
        ("Always", [], [state("waiting", crashed=True)], "Running"),
        ("Always", [], [state("ended", 0)], "Running"),
        ("Never", [], [state("ended", 0)], "Succeeded"),
        ("Never", [], [state("ended", 0), state("ended", 2)], "Failed"),
        ("Never", [], [state("ended", 0), state("running")], "Running"),
        ("OnFailure", [], [state("ended", 1)], "Running"),
        ("OnFailure", [], [state("ended", 0)], "Succeeded"),
        ("Always", [state("running")], [state("waiting")], "Pending"),
        ("Never", [state("ended", 1)], [state("waiting")], "Failed"),
        ("OnFailure", [state("ended", 1)], [state("waiting")], "Pending"),
        ("Always", [state("ended", 0)], [state("running")], "Running"),
    ],
)
def test_phase(policy: str, init: list[ContainerState], main: list[ContainerState], expected: str) -> None:
    """The phase follows from restart policy and container states by the kubelet's rules."""
    assert phase(policy, init, main) == expected


def pod(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "generation": 3},
        "spec": {"containers": [{"name": "model"}], "restartPolicy": "Always"},
        "status": status,
    }


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(c for c in status["conditions"] if c["type"] == kind)


def test_ready_moves_only_with_its_status() -> None:
    """lastTransitionTime stays while a condition's status stays, and moves when it changes."""
    each = state("running")
    first = pod_status(pod(), "10.244.0.1", [], [each], False, T0)
    assert condition(first, "Ready")["status"] == "False"
    again = pod_status(pod(**first), "10.244.0.1", [], [each], False, T1)
    assert again == first
    each.ready = each.started = True
    ready = pod_status(pod(**again), "10.244.0.1", [], [each], False, T2)
    assert condition(ready, "Ready") == {
        "type": "Ready",
        "status": "True",
        "reason": None,
        "message": None,
        "lastProbeTime": None,
        "lastTransitionTime": T2,
        "observedGeneration": 3,
    }
    assert condition(ready, "Initialized")["lastTransitionTime"] == T0


def test_unready_containers_are_named() -> None:
    """ContainersReady says which container is not."""
    status = pod_status(pod(), "10.244.0.1", [], [state("running")], False, T0)
    assert condition(status, "ContainersReady")["message"] == "containers with unready status: [model]"


def test_readiness_gate() -> None:
    """A pod with a readiness gate is Ready only when that condition is True."""
    gated = pod()
    gated["spec"]["readinessGates"] = [{"conditionType": "example.com/open"}]
    each = state("running")
    each.ready = True
    status = pod_status(gated, "10.244.0.1", [], [each], False, T0)
    assert condition(status, "ContainersReady")["status"] == "True"
    assert condition(status, "Ready")["reason"] == "ReadinessGatesNotReady"
    gated["status"]["conditions"] = [{"type": "example.com/open", "status": "True"}]
    assert condition(pod_status(gated, "10.244.0.1", [], [each], False, T0), "Ready")["status"] == "True"


def test_deleted_pod_ends_in_a_final_phase() -> None:
    """Once its processes are gone for good, restartPolicy Always does not keep a pod Running."""
    assert pod_status(pod(), "10.244.0.1", [], [state("ended", 143)], True, T1)["phase"] == "Failed"
    assert pod_status(pod(), "10.244.0.1", [], [state("ended", 0)], True, T1)["phase"] == "Succeeded"


def test_restart_is_counted_and_the_last_state_kept() -> None:
    """A second run counts one restart and shows how the first one ended."""
    each = state("ended", 3)
    each.waiting("CrashLoopBackOff", "back-off")
    each.running("local://3", T2)
    status = each.status()
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert status["state"] == {"running": {"startedAt": T2}}


def test_what_ran_under_a_dead_agent_counts_as_ended() -> None:
    """After the agent's restart a container that ran is reported lost, and its next run is a restart."""
    container = {"name": "model", "image": "busybox:1.37"}
    before = state("running").status()
    after = ContainerState.of(container, before, T2)
    assert after.exit_code == 255
    after.running("local://9", T2)
    assert after.status()["restartCount"] == before["restartCount"] + 1
    assert after.status()["lastState"]["terminated"]["reason"] == "Unknown"


def test_what_had_ended_stays_ended() -> None:
    """A container that had completed before the agent's restart is not run again by its state."""
    after = ContainerState.of({"name": "model", "image": "x"}, state("ended", 0).status(), T2)
    assert after.exit_code == 0
    assert after.status()["restartCount"] == 0

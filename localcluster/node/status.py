"""What the API server is told about a pod: container states, phase and conditions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from localcluster.objects import Object, dated

from .catalogue import ImageError, canonical
from .restarts import restarts

LOST_EXIT_CODE = 255
"""What a kubelet reports for a container that ended while nobody watched."""


@dataclass
class ContainerState:
    """One container as its status tells it; times are RFC 3339 strings."""

    name: str
    image: str
    state: Object = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: Object = field(default_factory=dict)
    restart_count: int = 0
    ready: bool = False
    started: bool = False
    container_id: str = ""

    @classmethod
    def of(cls, container: Object, before: Object | None, now: str) -> ContainerState:
        """A container's state when the agent first sees its pod; what ran before has ended with that agent."""
        own = cls(container["name"], container["image"])
        if not before:
            return own
        own.restart_count = before.get("restartCount", 0)
        own.last_state = before.get("lastState") or {}
        state = before.get("state") or {}
        if "terminated" in state:
            own.state, own.container_id = state, before.get("containerID", "")
        elif "running" in state:
            own.running(before.get("containerID", ""), state["running"].get("startedAt", now))
            own.exited(LOST_EXIT_CODE, "Unknown", "the node agent ended, and the process with it", now)
        return own

    def waiting(self, reason: str, message: str = "") -> None:
        """It does not run, and why."""
        if "terminated" in self.state:
            self.last_state = self.state
        self.state = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
        self.ready = self.started = False

    def running(self, container_id: str, now: str) -> None:
        """It runs as this process; a run after the first is a restart."""
        if "terminated" in self.state:
            self.last_state = self.state
        if self.container_id:
            self.restart_count += 1
        self.container_id = container_id
        self.state = {"running": {"startedAt": now}}
        self.ready = self.started = False

    def exited(self, code: int, reason: str, message: str, now: str) -> None:
        """It has ended."""
        started = self.state.get("running", {}).get("startedAt", now)
        ended = {
            "exitCode": code,
            "reason": reason,
            "startedAt": started,
            "finishedAt": now,
            "containerID": self.container_id,
        }
        self.state = {"terminated": ended | ({"message": message} if message else {})}
        self.ready = self.started = False

    @property
    def exit_code(self) -> int | None:
        """The exit code if it has ended and does not wait to be started again."""
        code = self.state.get("terminated", {}).get("exitCode")
        return None if code is None else int(code)

    def status(self) -> Object:
        """Its `containerStatuses` entry."""
        try:
            name, tag = canonical(self.image)
            resolved = f"{name}:{tag}" if tag else name
        except ImageError:
            resolved = ""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": f"local://{resolved}" if self.container_id else "",
            "containerID": self.container_id,
            "state": self.state,
            "lastState": self.last_state,
            "restartCount": self.restart_count,
            "ready": self.ready,
            "started": self.started,
        }


def phase(policy: str, init: Sequence[ContainerState], main: Sequence[ContainerState]) -> str:
    """A pod's phase, by the kubelet's rules."""
    for each in init:
        if each.exit_code is not None and each.exit_code != 0 and not restarts(policy, each.exit_code):
            return "Failed"
        if each.exit_code != 0:
            return "Pending"
    codes = [each.exit_code for each in main]
    if all(code is not None and not restarts(policy, code) for code in codes):
        return "Failed" if any(codes) else "Succeeded"
    never_ran = any("waiting" in each.state and not each.last_state for each in main)
    return "Pending" if never_ran else "Running"


def conditions(
    pod: Object, phase: str, init: Sequence[ContainerState], main: Sequence[ContainerState], now: str
) -> list[Object]:
    """Initialized, ContainersReady, Ready and PodReadyToStartContainers; a time moves only with its status."""
    initialized = all(each.exit_code == 0 for each in init)
    unready = [each.name for each in main if not each.ready]
    reason, message = "", ""
    if phase in ("Succeeded", "Failed"):
        reason = "PodCompleted" if phase == "Succeeded" else "PodFailed"
    elif unready:
        reason, message = "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    before = pod.get("status", {}).get("conditions") or []
    held = {c["type"]: c["status"] for c in before}
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or []]
    closed = [gate for gate in gates if held.get(gate) != "True"]
    wanted = [
        ("PodReadyToStartContainers", phase not in ("Succeeded", "Failed"), "", ""),
        ("Initialized", initialized, "" if initialized else "ContainersNotInitialized", ""),
        ("ContainersReady", not reason, reason, message),
        (
            "Ready",
            not reason and not closed,
            reason or ("ReadinessGatesNotReady" if closed else ""),
            message or (f"conditions not met: {', '.join(closed)}" if closed else ""),
        ),
    ]
    return [
        dated(
            {
                "type": kind,
                "status": "True" if true else "False",
                "reason": reason or None,
                "message": message or None,
                "lastProbeTime": None,
                "observedGeneration": pod["metadata"].get("generation"),
            },
            before,
            now,
        )
        for kind, true, reason, message in wanted
    ]


def pod_status(
    pod: Object,
    pod_ip: str,
    init: Sequence[ContainerState],
    main: Sequence[ContainerState],
    ended: bool,
    now: str,
) -> Object:
    """The status to write. `ended`: its processes are gone for good, whatever the restart policy says."""
    policy = "Never" if ended else pod["spec"].get("restartPolicy", "Always")
    current = phase(policy, init, main)
    return {
        "phase": current,
        "observedGeneration": pod["metadata"].get("generation"),
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "startTime": pod.get("status", {}).get("startTime") or now,
        "conditions": conditions(pod, current, init, main, now),
        "initContainerStatuses": [each.status() for each in init] or None,
        "containerStatuses": [each.status() for each in main],
    }

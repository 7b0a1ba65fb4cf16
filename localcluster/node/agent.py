"""The node agent: its nodes, their heartbeat, and which pods run."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from localcluster.api import MERGE, STRATEGIC_MERGE, ApiError, now
from localcluster.objects import Object

from . import processes
from .environment import every_container
from .host import Host
from .pod import Pod
from .static_pods import is_static

log = logging.getLogger(__name__)
LOSS = "serving-operator.dev/emulate-loss"
HEARTBEAT_SECONDS = 10.0
_LEASE_SECONDS = 40
_REAP_SECONDS = 5.0


def node(name: str, allocatable: Mapping[str, str], version: str, cpu_limits: str, time: str) -> Object:
    """A Node that is ready, and says how CPU limits hold on it."""

    def condition(kind: str, true: bool, reason: str, message: str) -> Object:
        status = "True" if true else "False"
        times = {"lastHeartbeatTime": time, "lastTransitionTime": time}
        return {"type": kind, "status": status, "reason": reason, "message": message, **times}

    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": "127.0.0.1"},
                {"type": "Hostname", "address": name},
            ],
            "capacity": dict(allocatable),
            "allocatable": dict(allocatable),
            "conditions": [
                condition("Ready", True, "AgentReady", "pods run as local processes"),
                condition("MemoryPressure", False, "NotMeasured", "memory is not watched by this agent"),
                condition("DiskPressure", False, "NotMeasured", "disks are not watched by this agent"),
                condition("PIDPressure", False, "NotMeasured", "processes are not counted by this agent"),
                condition("CPULimitsEnforced", True, "ByThisAgent", cpu_limits),
            ],
            "nodeInfo": {
                "kubeletVersion": version,
                "containerRuntimeVersion": "process://localcluster",
                "kernelVersion": os.uname().release,
                "osImage": "local processes, no images",
                "operatingSystem": "linux",
                "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(
                    os.uname().machine, os.uname().machine
                ),
                **dict.fromkeys(("machineID", "systemUUID", "bootID", "kubeProxyVersion"), ""),
            },
        },
    }


class Agent:
    """Runs the pods that are bound to its nodes."""

    def __init__(self, host: Host, names: Sequence[str], cpu_limits: str) -> None:
        self._host, self._names, self._cpu_limits = host, names, cpu_limits
        self._pods: dict[str, Pod] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, Object] = {}
        self._lost: set[str] = set()
        self._warned_user = False
        host.describe = self.describe

    def describe(self) -> Object:
        """The state file's content."""
        pods = {
            f"{p.pod['metadata']['namespace']}/{p.pod['metadata']['name']}": p for p in self._pods.values()
        }
        return {
            "agentPid": os.getpid(),
            "lastAddress": self._host.addresses.last,
            "pods": {name: pod.describe() for name, pod in sorted(pods.items())},
        }

    async def run(self) -> None:
        """Serve until cancelled; then every process is ended."""
        try:
            async with asyncio.TaskGroup() as group:
                for name in self._names:
                    group.create_task(self._keep_node(name))
                group.create_task(self._follow_pods())
                group.create_task(self._reap())
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            self._pods.clear()
            self._host.save_state()

    async def _reap(self) -> None:
        while True:
            processes.reap_orphans()
            await asyncio.sleep(_REAP_SECONDS)

    async def _keep_node(self, name: str) -> None:
        """Register the node once, as a kubelet does: one that is deleted stays away until the agent starts anew."""
        registered = False
        while True:
            try:
                if not registered:
                    await self._register(name)
                    registered = True
                current = await self._host.api.call("GET", f"/api/v1/nodes/{name}")
                lost = (current["metadata"].get("annotations") or {}).get(LOSS) == "true"
                await (self._lose(name) if lost else self._beat(name, current))
            except ApiError as error:
                log.warning("heartbeat of node %s failed: %s", name, error)
                await asyncio.sleep(1)
                continue
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _register(self, name: str) -> None:
        api = self._host.api
        version = (await api.call("GET", "/version"))["gitVersion"]
        body = node(name, self._host.allocatable, version, self._cpu_limits, now())
        await api.create_if_absent("/api/v1/nodes", body)
        await api.call("PATCH", f"/api/v1/nodes/{name}/status", {"status": body["status"]}, STRATEGIC_MERGE)

    async def _beat(self, name: str, current: Object) -> None:
        """Renew the Lease; make the node ready again if the control plane gave it up."""
        api, leases = self._host.api, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": time}
        if await api.call_unless({404}, "PATCH", f"{leases}/{name}", {"spec": spec}, MERGE) is None:
            await api.call("POST", leases, {"metadata": {"name": name}, "spec": spec})
        ready = next((c["status"] for c in current["status"]["conditions"] if c["type"] == "Ready"), "")
        if name in self._lost or ready != "True":
            self._lost.discard(name)
            await self._register(name)
            for pod in [p for p in self._waiting.values() if p["spec"]["nodeName"] == name]:
                del self._waiting[pod["metadata"]["uid"]]
                self._see(pod)

    async def _lose(self, name: str) -> None:
        """Be a node that is gone: its processes die, and nobody reports it."""
        if name in self._lost:
            return
        log.warning("node %s carries %s: its pods are killed and its heartbeat stops", name, LOSS)
        self._lost.add(name)
        gone = [uid for uid, pod in self._pods.items() if pod.pod["spec"]["nodeName"] == name]
        for uid in gone:
            self._waiting[uid] = self._pods[uid].pod
            self._tasks[uid].cancel()

    async def _follow_pods(self) -> None:
        async for exists, pod in self._host.api.follow("/api/v1/pods", fieldSelector="spec.nodeName!="):
            if pod["spec"]["nodeName"] not in self._names or is_static(pod):
                continue
            uid = pod["metadata"]["uid"]
            if not exists:
                self._waiting.pop(uid, None)
                if uid in self._pods:
                    self._pods[uid].vanished()
            elif pod["spec"]["nodeName"] in self._lost:
                self._waiting[uid] = pod
            else:
                self._see(pod)

    def _see(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._pods:
            self._pods[uid].update(pod)
            return
        if not self._warned_user and any(
            "runAsUser" in (s.get("securityContext") or {}) for s in [pod["spec"], *every_container(pod)]
        ):
            self._warned_user = True
            log.warning(
                "runAsUser is not applied: pods run as user %d, who owns the files they need", os.getuid()
            )
        own = self._pods[uid] = Pod(self._host, pod)
        task = self._tasks[uid] = self._host.spawn(own.run())
        task.add_done_callback(lambda _: self._forget(uid))

    def _forget(self, uid: str) -> None:
        self._pods.pop(uid, None)
        self._tasks.pop(uid, None)
        self._host.save_state()

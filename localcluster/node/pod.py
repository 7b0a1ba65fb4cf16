"""One pod, from the first sight of it to its removal from the API server."""

from __future__ import annotations

import asyncio
import json
import logging

from localcluster.api import STRATEGIC_MERGE, ApiError, now
from localcluster.objects import Object

from . import volumes
from .addresses import listen_address
from .container import Container
from .host import Host
from .mounting import Mounting
from .status import ContainerState, pod_status

log = logging.getLogger(__name__)


def _ready(status: Object) -> str | None:
    return next((c["status"] for c in status.get("conditions") or [] if c["type"] == "Ready"), None)


class Pod:
    """Owns a pod's processes, directories, address and status."""

    def __init__(self, host: Host, pod: Object) -> None:
        self._host, self.pod = host, pod
        self.uid: str = pod["metadata"]["uid"]
        self.address = host.addresses.allocate()
        self._mounting = Mounting(host, self._seen)
        self._dirty, self._removal = asyncio.Event(), asyncio.Event()
        self._sent: Object = {}
        self._exists, self._ended = True, False
        policy = pod["spec"].get("restartPolicy", "Always")
        # Init containers run again after the agent's own restart, as after a node's.
        self._init = [
            self._container(spec, "OnFailure" if policy == "Always" else policy, "initContainerStatuses")
            for spec in pod["spec"].get("initContainers") or []
        ]
        self._main = [
            self._container(spec, policy, "containerStatuses") for spec in pod["spec"]["containers"]
        ]

    def _container(self, spec: Object, policy: str, key: str) -> Container:
        before = {item["name"]: item for item in self.pod.get("status", {}).get(key) or []}
        state = ContainerState.of(spec, before.get(spec["name"]), now())
        if key == "initContainerStatuses" and state.exit_code is not None and not self.finished:
            state.waiting("PodInitializing")
        return Container(self._host, self._seen, spec, state, policy, self._mounting, self._dirty.set)

    def _seen(self) -> Object:
        """The pod as last read, with the address that it has here."""
        status = {**self.pod.get("status", {}), "podIP": self.address, "hostIP": "127.0.0.1"}
        return {**self.pod, "status": status}

    @property
    def path(self) -> str:
        """Its place in the API."""
        metadata = self.pod["metadata"]
        return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"

    @property
    def finished(self) -> bool:
        """Whether its phase is final."""
        return self.pod.get("status", {}).get("phase") in ("Succeeded", "Failed")

    def update(self, pod: Object) -> None:
        """Take in a newer state of the object."""
        if int(pod["metadata"]["resourceVersion"]) >= int(self.pod["metadata"]["resourceVersion"]):
            self.pod = pod
            if self._sent and _ready(pod["status"]) != _ready(self._sent):
                # The control plane says so of pods on a node that it has given up.
                self._sent = {}
                self._dirty.set()
        if pod["metadata"].get("deletionTimestamp"):
            self._removal.set()

    def vanished(self) -> None:
        """The object is gone: nothing is left to report, only to clean up."""
        self._exists = False
        if self._removal.is_set():
            # Deleted by force while it was given time to end.
            for each in self._all():
                each.kill()
        self._removal.set()

    def describe(self) -> Object:
        """Its entry in the state file."""
        annotations = self.pod["metadata"].get("annotations") or {}
        return {
            "uid": self.uid,
            "node": self.pod["spec"]["nodeName"],
            "address": self.address,
            "listenAddress": listen_address(self.address),
            "emulateGpu": annotations.get("serving-operator.dev/emulate-gpu") == "true",
            "containers": {
                each.spec["name"]: {
                    "pid": each.process.pid if each.process else None,
                    "cpuLimit": each.cpu_limit,
                    "gpus": int(
                        (each.spec.get("resources", {}).get("limits") or {}).get("nvidia.com/gpu", 0)
                    ),
                }
                for each in self._main
            },
        }

    async def run(self) -> None:
        """Run it until it is deleted; cancelled, it kills its processes and says nothing."""
        if self.pod["metadata"].get("deletionTimestamp"):
            self._removal.set()
        publisher = self._host.spawn(self._publish())
        work = self._host.spawn(self._work())
        try:
            await self._removal.wait()
            await self._stop()
        except asyncio.CancelledError:
            publisher.cancel()
            await asyncio.gather(*(each.stop(0) for each in self._all()))
            raise
        finally:
            work.cancel()
            publisher.cancel()
            self._host.addresses.release(self.address)
            if self._removal.is_set():
                await asyncio.to_thread(volumes.remove, self._host.own_dir(self.uid))
        await self._finish()

    def _all(self) -> list[Container]:
        return [*self._init, *self._main]

    async def _work(self) -> None:
        if self.finished or self._removal.is_set():
            return
        self._dirty.set()
        await self._mounting.make(self._unmounted)
        refresher = self._host.spawn(self._mounting.refresh())
        try:
            for each in self._init:
                if await each.run() != 0 or self._removal.is_set():
                    return
            await asyncio.gather(*(each.run() for each in self._main))
        finally:
            refresher.cancel()
            self._dirty.set()

    def _unmounted(self, why: str) -> None:
        self._host.event(self._seen(), "FailedMount", why)
        for each in self._all():
            each.state.waiting("ContainerCreating", why)
        self._dirty.set()

    async def _stop(self) -> None:
        """End every container within the grace period that the deletion granted."""
        grace = self.pod["metadata"].get("deletionGracePeriodSeconds", 30) if self._exists else 1
        await asyncio.gather(*(each.stop(grace) for each in self._all()))
        self._ended = True

    async def _finish(self) -> None:
        """Report the end and remove the object."""
        while self._exists:
            try:
                await self._send()
                options: Object = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
                await self._host.api.call("DELETE", self.path, options)
                return
            except ApiError as error:
                if error.code in (404, 409):
                    return
                log.warning("pod %s not removed, trying again: %s", self.path, error)
            await asyncio.sleep(1)

    async def _publish(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._send()
            except ApiError as error:
                if error.code in (404, 409):
                    continue
                log.warning("status of %s not written, trying again: %s", self.path, error)
                await asyncio.sleep(1)
                self._dirty.set()

    async def _send(self) -> None:
        """Write the status if it says anything new."""
        if self.finished and not self._ended:
            return
        init, main = [each.state for each in self._init], [each.state for each in self._main]
        status = pod_status(self.pod, self.address, init, main, self._ended, now())
        if status == self._sent:
            return
        # A strategic merge would add a restarted pod's address to its old one.
        addresses = [{"$patch": "replace"}, *status["podIPs"]]
        body = {"metadata": {"uid": self.uid}, "status": {**status, "podIPs": addresses}}
        # States change while the request is under way: what was sent is kept as it was.
        sent = json.loads(json.dumps(status))
        answer = await self._host.api.call("PATCH", f"{self.path}/status", body, STRATEGIC_MERGE)
        self._sent = sent
        self.update(answer)

"""What every pod of this agent shares: connections, places, clocks, events and the state file."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from localcluster.api import MERGE, Api, ApiError, now
from localcluster.files import replace_file
from localcluster.objects import Object

from .addresses import Addresses
from .catalogue import Image
from .cgroups import CpuLimits
from .throttle import Throttle

log = logging.getLogger(__name__)


@dataclass
class Host:
    """One agent's surroundings."""

    api: Api
    run_dir: Path
    addresses: Addresses
    catalogue: Sequence[Image]
    cpu_limits: CpuLimits | Throttle
    allocatable: Mapping[str, str]
    backoff_base_seconds: float
    http: aiohttp.ClientSession
    describe: Callable[[], Object] = dict
    """The present content of the state file; set by the agent."""
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    _counts: dict[str, int] = field(default_factory=dict)

    def own_dir(self, uid: str) -> Path:
        """A pod's volumes and its containers' home directories."""
        return self.run_dir / "node" / uid

    def log_file(self, pod: Object, container: str) -> Path:
        """Where a container's output goes; it outlives the pod."""
        metadata = pod["metadata"]
        directory = self.run_dir / "pods" / f"{metadata['namespace']}_{metadata['name']}"
        directory.mkdir(parents=True, exist_ok=True)
        return directory / f"{container}.log"

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something beside the rest; its failure is logged, never lost."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("task %s failed", task.get_name(), exc_info=error)

    def save_state(self) -> None:
        """Replace `pods.json`: pods, their processes, addresses and nodes."""
        replace_file(self.run_dir / "pods.json", json.dumps(self.describe(), indent=1) + "\n")

    def event(self, pod: Object, reason: str, message: str, kind: str = "Warning") -> None:
        """Tell about a pod in an Event; a repetition counts up the first one."""
        metadata = pod["metadata"]
        digest = hashlib.sha256(f"{metadata['uid']}{reason}{message}".encode()).hexdigest()[:16]
        count = self._counts[digest] = self._counts.get(digest, 0) + 1
        # A probe that fails every second must not write every second.
        if count & (count - 1) == 0:
            self.spawn(
                self._send_event(metadata, f"{metadata['name']}.{digest}", reason, message, kind, count)
            )

    async def _send_event(
        self, metadata: Object, name: str, reason: str, message: str, kind: str, count: int
    ) -> None:
        path = f"/api/v1/namespaces/{metadata['namespace']}/events"
        about = {key: metadata[key] for key in ("name", "namespace", "uid")}
        body = {
            "metadata": {"name": name, "namespace": metadata["namespace"]},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod"} | about,
            "reason": reason,
            "message": message[:1000],
            "type": kind,
            "source": {"component": "localcluster-node"},
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": count,
        }
        try:
            if not await self.api.create_if_absent(path, body):
                changes = {"count": count, "lastTimestamp": now()}
                await self.api.call("PATCH", f"{path}/{name}", changes, MERGE)
        except ApiError as error:
            log.info("event %s about pod %s not written: %s", reason, metadata["name"], error)

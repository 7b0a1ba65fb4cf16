"""Faults of a soak, done to the processes of the local cluster."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from loadtests.pods import on_node
from loadtests.soak.history import Struck
from loadtests.soak.services import NAMESPACE
from loadtests.soak.stories import Fault
from localcluster.cluster import Cluster
from localcluster.component import Component
from localcluster.running import read_status
from localcluster.supervise import answers
from serving_api.names import AUTOSCALER, OPERATOR, SYSTEM_NAMESPACE

_COMPONENTS: dict[Fault, str] = {"gateway-killed": "gateway", "api-server-killed": "kube-apiserver"}
_PROGRAMS: dict[Fault, str] = {"operator-killed": OPERATOR, "autoscaler-killed": AUTOSCALER}
PROMETHEUS_AWAY_SECONDS = 45.0
KILLED_SECONDS = 5.0
"""After which what was killed is looked after by whoever starts it again."""


class Striker:
    """Kills and halts what runs in a run directory."""

    def __init__(
        self, run_dir: Path, services: Sequence[str], chance: random.Random, clock: Callable[[], float]
    ) -> None:
        self._run_dir, self._services, self._chance, self._clock = run_dir, services, chance, clock
        self.kills: dict[str, int] = {OPERATOR: 0, AUTOSCALER: 0}

    async def strike(self, fault: Fault) -> Struck | None:
        """Bring a fault about, and wait until it is over; None if there was nothing to hit."""
        began, service = self._clock(), ""
        if fault == "prometheus-away":
            await self._without_prometheus()
        elif fault in _COMPONENTS:
            pid = read_status(self._run_dir)["components"][_COMPONENTS[fault]]["pid"]
            if not _kill(pid):
                return None
        elif fault in _PROGRAMS:
            name = _PROGRAMS[fault]
            if not self._kill_pod(SYSTEM_NAMESPACE, name):
                return None
            self.kills[name] += 1
        else:
            service = self._chance.choice(self._services)
            if not self._kill_pod(NAMESPACE, service):
                return None
        if fault != "prometheus-away":
            await asyncio.sleep(KILLED_SECONDS)
        if fault == "api-server-killed":
            await self._until_the_api_answers()
        return Struck(fault, began, self._clock(), service)

    def addresses(self, program: str) -> list[str]:
        """Where the pods of a program listen."""
        return [pod["listenAddress"] for pod in self._pods(SYSTEM_NAMESPACE, program)]

    async def _without_prometheus(self) -> None:
        halted = self._run_dir / "halted" / "prometheus"
        halted.touch()
        try:
            await asyncio.sleep(PROMETHEUS_AWAY_SECONDS)
        finally:
            halted.unlink(missing_ok=True)

    async def _until_the_api_answers(self) -> None:
        local = Cluster.load(self._run_dir)
        api = Component("kube-apiserver", (), f"{local.api_url}/readyz", str(local.pki_dir / "ca.crt"))
        while True:
            if await asyncio.to_thread(answers, api):
                return
            await asyncio.sleep(0.5)

    def _kill_pod(self, namespace: str, prefix: str) -> bool:
        pids = [
            container["pid"]
            for pod in self._pods(namespace, prefix)
            for container in pod["containers"].values()
            if container["pid"]
        ]
        return bool(pids) and _kill(self._chance.choice(pids))

    def _pods(self, namespace: str, prefix: str) -> list[dict[str, Any]]:
        """What the node agent knows of the pods of a Deployment, or of a service's Deployments."""
        return [
            pod
            for name, pod in sorted(on_node(self._run_dir).items())
            if name.startswith(f"{namespace}/{prefix}-")
        ]


def _kill(pid: int | None) -> bool:
    with contextlib.suppress(ProcessLookupError):
        if pid:
            os.kill(pid, signal.SIGKILL)
            return True
    return False

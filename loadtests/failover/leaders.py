"""The programs' pods: which of them leads, how it is lost, and who goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from loadtests.failover.between import Between
from loadtests.failover.cases import Case, Fault
from loadtests.failover.phases import NAMES, Program
from loadtests.failover.played import Loss
from loadtests.pods import on_node, restarts
from loadtests.scale.program import total
from serving_api.names import SYSTEM_NAMESPACE
from serving_io.cluster import Cluster
from serving_io.errors import ApiError
from serving_io.kinds import LEASE, POD

FIRST_WORK: dict[Program, str] = {
    "operator": "controller_runtime_reconcile_total",
    "autoscaler": "serving_autoscaler_tick_seconds_count",
}
"""The metric that is above 0 once a leader has done something."""
REPLICAS = 2
LOOK_SECONDS = 0.2
LATE_SECONDS = 1.0
"""For how long a successor works before the lost leader comes back: then there is something to overrule."""
MOST_RESTARTS = 2
"""A kubelet starts a container again after 0, 10, 20 … seconds: pods that would be waited for are replaced."""
_PATIENCE_SECONDS = 120.0
_PORT = 8080


class LeaderError(Exception):
    """Nobody leads, or the pods do not become whole again; the message says what was waited for."""


@dataclass(frozen=True, slots=True)
class Leader:
    """A process that holds a Lease."""

    identity: str
    pod: str
    pid: int
    address: str
    """Where its metrics are."""
    restarts: int
    """How often its pod had been started again before."""


class Leaders:
    """The pods of operator and autoscaler on one local cluster."""

    def __init__(self, cluster: Cluster, run_dir: Path, between: Between) -> None:
        self._cluster = cluster
        self._run_dir = run_dir
        self._between = between

    async def leader(self, program: Program) -> Leader:
        """Return who leads. Raises LeaderError."""
        found: list[Leader] = []

        async def look() -> bool:
            leader = await self._process(await self._holder(program))
            found[:] = [leader] if leader else []
            return bool(leader)

        await self._until(f"a pod of the {program} leads", look)
        return found[0]

    async def lose(self, case: Case, leader: Leader) -> Loss:
        """Lose the leader, wait until another one has worked, let the lost one come back, and wait until all are well.

        Raises LeaderError.
        """
        at = time.time()
        async with self._lost(leader, case.fault):
            successor = await self._successor(case.program, leader.identity)
            worked = await self._worked(case.program, successor)
            await asyncio.sleep(LATE_SECONDS)
        await self._until(
            f"pod {leader.pod} has started its program again",
            lambda: self._is_restarted(leader),
        )
        await self.whole(case.program)
        return Loss(case, leader.identity, at, worked)

    async def whole(self, program: Program) -> None:
        """Wait until a leader and a standby are ready. Raises LeaderError."""
        await self._until(f"{REPLICAS} pods of the {program} are ready", lambda: self._is_whole(program))

    async def refresh(self) -> None:
        """Replace the pods that were started again so often that the next time would be waited for."""
        for program, name in NAMES.items():
            for pod in await self._pods(name):
                if restarts(pod) >= MOST_RESTARTS:
                    await self._cluster.delete(POD, pod["metadata"]["name"], SYSTEM_NAMESPACE)
                    await self.whole(program)

    @asynccontextmanager
    async def _lost(self, leader: Leader, fault: Fault) -> AsyncIterator[None]:
        """The leader is lost within the block; frozen and cut off ones come back at its end."""
        if fault == "partitioned":
            self._between.cut(leader.pod)
        else:
            try:
                os.kill(leader.pid, signal.SIGSTOP if fault == "frozen" else signal.SIGKILL)
            except ProcessLookupError:
                raise LeaderError(f"{leader.identity} had ended by itself before it was lost") from None
        try:
            yield
        finally:
            if fault == "partitioned":
                self._between.heal(leader.pod)
            elif fault == "frozen":
                with contextlib.suppress(ProcessLookupError):  # its pod has been ended for not answering
                    os.kill(leader.pid, signal.SIGCONT)

    async def _holder(self, program: Program) -> str:
        lease = await self._cluster.get(LEASE, NAMES[program], SYSTEM_NAMESPACE)
        return str((lease.get("spec") or {}).get("holderIdentity") or "")

    async def _successor(self, program: Program, lost: str) -> Leader:
        async def look() -> bool:
            return await self._holder(program) not in ("", lost)

        await self._until(f"another {program} than {lost} leads", look)
        return await self.leader(program)

    async def _worked(self, program: Program, leader: Leader) -> float:
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=2) as client:  # noqa: S501  (plain HTTP)

            async def look() -> bool:
                try:
                    page = (await client.get(f"http://{leader.address}:{_PORT}/metrics")).text
                except httpx.HTTPError:
                    return False
                return total(page, FIRST_WORK[program]) > 0

            await self._until(f"{leader.identity} works", look)
        return time.time()

    async def _process(self, identity: str) -> Leader | None:
        """What the node agent says of a holder's pod; None while it runs nothing there."""
        pod = identity.rpartition("_")[0]
        found = on_node(self._run_dir).get(f"{SYSTEM_NAMESPACE}/{pod}")
        if found is None:
            return None
        (container,) = found["containers"].values()
        if not container["pid"]:
            return None
        count = restarts(await self._cluster.get(POD, pod, SYSTEM_NAMESPACE))
        return Leader(identity, pod, container["pid"], found["listenAddress"], count)

    async def _pods(self, name: str) -> list[dict[str, Any]]:
        selector = f"app.kubernetes.io/name={name}"
        return (await self._cluster.list(POD, SYSTEM_NAMESPACE, label_selector=selector)).items

    async def _is_restarted(self, leader: Leader) -> bool:
        return restarts(await self._cluster.get(POD, leader.pod, SYSTEM_NAMESPACE)) > leader.restarts

    async def _is_whole(self, program: Program) -> bool:
        pods = await self._pods(NAMES[program])
        alive = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        if len(alive) != REPLICAS or not all(_is_ready(pod) for pod in alive):
            return False
        return await self._process(await self._holder(program)) is not None

    async def _until(self, what: str, look: Callable[[], Awaitable[bool]]) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while True:
                    with contextlib.suppress(ApiError):
                        if await look():
                            return
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise LeaderError(
                f"waited {_PATIENCE_SECONDS:.0f} s, and it did not come about that {what}"
            ) from None


def _is_ready(pod: dict[str, Any]) -> bool:
    return any(
        one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions") or ()
    )

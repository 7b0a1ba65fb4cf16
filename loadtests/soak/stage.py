"""What stories are played with: kubectl, the load's rate, and what the API server shows."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from loadtests.demo.commands import CommandError, Commands
from loadtests.demo.observation import Snapshot
from loadtests.demo.watch import Watcher
from loadtests.generator import LoadGenerator
from loadtests.soak.history import Traffic
from loadtests.soak.services import NAMESPACE, Spec, manifest
from loadtests.soak.stories import RATES
from serving_api.names import SERVICE_LABEL
from serving_io.cluster import Cluster
from serving_io.errors import ApiError
from serving_io.kinds import DEPLOYMENT, Kind

AWAY_SECONDS = 90.0
"""For how long a command is tried again: the API server may be away."""
PATIENCE_SECONDS = 600.0
_LOOK_SECONDS = 0.5


class StoryError(Exception):
    """A story did not end as it should; the message says what did not come about, and what status says."""


class Stage:
    """One service, its load, and what watches both."""

    def __init__(
        self,
        spec: Spec,
        commands: Commands,
        cluster: Cluster,
        load: LoadGenerator,
        watcher: Watcher,
        traffic: Traffic,
        chance: random.Random,
        folder: Path,
    ) -> None:
        self.spec = spec
        self.commands, self.cluster, self.load, self.watcher = commands, cluster, load, watcher
        self.traffic, self.chance = traffic, chance
        self._file = folder / f"{spec.name}.json"
        self.rate = RATES[0]

    async def apply(self, spec: Spec) -> None:
        """Apply the service as it is to be from now on."""
        self.spec = spec
        self._file.write_text(json.dumps(manifest(spec), indent=2) + "\n", encoding="utf-8")
        await self.kubectl(f"apply -f {self._file}")

    async def label(self, label: str, attempt: str) -> None:
        """Give it a command label for an attempt."""
        await self.kubectl(f"-n {NAMESPACE} label infsvc {self.spec.name} {label}={attempt} --overwrite")

    async def kubectl(self, line: str) -> None:
        """Every command may be given twice: one that fails is, for the API server may be away."""
        began = time.monotonic()
        while True:
            try:
                await self.commands.kubectl(line)
                return
            except CommandError:
                if time.monotonic() - began > AWAY_SECONDS:
                    raise
            await asyncio.sleep(1)

    async def until(self, holds: Callable[[Snapshot], bool], what: str) -> None:
        """Wait until the API server shows something. Raises StoryError."""
        if not await self.watcher.until(holds, PATIENCE_SECONDS):
            raise StoryError(
                f"waited {PATIENCE_SECONDS:.0f} s, and it did not come about that {what}: {self.state()}"
            )

    async def comes(self, what: str, look: Callable[[], Awaitable[bool]]) -> None:
        """Look again and again until something holds. Raises StoryError."""
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE_SECONDS:
            with contextlib.suppress(ApiError):
                if await look():
                    return
            await asyncio.sleep(_LOOK_SECONDS)
        raise StoryError(
            f"waited {PATIENCE_SECONDS:.0f} s, and it did not come about that {what}: {self.state()}"
        )

    async def answers(self) -> None:
        """Wait until the gateway answers for it. Raises StoryError."""
        await self.comes("the gateway answers 200", self._is_served)

    async def _is_served(self) -> bool:
        request = self.load.request
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(request.url, headers=request.headers) as response,
            ):
                return response.status == 200
        return False

    async def is_answered(self) -> bool:
        """Whether no request is under way."""
        return not self.load.in_flight

    async def is_gone(self) -> bool:
        """Whether none of its Deployments is left."""
        selector = f"{SERVICE_LABEL}={self.spec.name}"
        return not (await self.cluster.list(DEPLOYMENT, NAMESPACE, label_selector=selector)).items

    async def uid(self, kind: Kind, name: str) -> str:
        """The uid of one of its objects; empty where there is none."""
        try:
            return str((await self.cluster.get(kind, name, NAMESPACE))["metadata"]["uid"])
        except ApiError:
            return ""

    async def is_another(self, kind: Kind, name: str, before: str) -> bool:
        """Whether an object is there, and not the one from before."""
        return await self.uid(kind, name) not in ("", before)

    def set_rate(self, rate: float) -> None:
        """Change the load from now on."""
        self.rate = rate
        self.load.set_rate(rate)

    def state(self) -> str:
        """What status and route say now, for messages."""
        now = self.watcher.now
        conditions = ", ".join(f"{name}={one.status}/{one.reason}" for name, one in now.conditions.items())
        return f"stable {now.stable}, canary {now.canary.id if now.canary else 'none'}, weights {dict(now.weights)}, {conditions}"

"""In the place of controllers and nodes: a Deployment's replicas are Ready a start time after they were asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import httpx

from loadtests.scale.answering import Answering
from loadtests.scale.autoscalers.population import Member, ready
from loadtests.scale.offering import insist
from localcluster.api import MERGE, Api
from localcluster.objects import Object
from serving_io import kinds

START_SECONDS: Final = 20.0
TELL_SECONDS: Final = 1.0
"""How often the exporter is told whose pods have changed."""


@dataclass
class Readiness:
    """Answers all Deployments; `run` it until cancelled."""

    api: Api
    members: dict[str, Member]
    """By name."""
    exporter_url: str
    _starting: dict[str, int] = field(default_factory=dict, init=False)
    """Replicas that wait for their start time, by name."""
    _untold: dict[int, int] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Answer for ever."""
        answering = Answering(self.api)
        async with asyncio.TaskGroup() as group:

            async def answer(deployment: Object) -> None:
                name, wanted = deployment["metadata"]["name"], deployment["spec"]["replicas"]
                had = (deployment.get("status") or {}).get("readyReplicas", 0)
                if name not in self.members or wanted in (had, self._starting.get(name)):
                    return
                if not had or wanted < had:  # the first ones are there when their Deployment is
                    await self._become(name, wanted)
                else:
                    self._starting[name] = wanted
                    group.create_task(self._start(name, wanted))

            group.create_task(self._tell())
            group.create_task(answering.follow(group, kinds.DEPLOYMENT.path(), {}, answer))

    async def _start(self, name: str, wanted: int) -> None:
        await asyncio.sleep(START_SECONDS)
        if self._starting.get(name) == wanted:
            del self._starting[name]
            await insist(partial(self._become, name, wanted))

    async def _become(self, name: str, replicas: int) -> None:
        member = self.members[name]
        path = kinds.DEPLOYMENT.path(member.namespace, name, "status")
        await self.api.call("PATCH", path, ready(replicas), MERGE)
        self._untold[member.number] = replicas

    async def _tell(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            while True:
                await asyncio.sleep(TELL_SECONDS)
                if told := self._untold:
                    self._untold = {}
                    (await client.post(f"{self.exporter_url}/scale", json=told)).raise_for_status()

"""Users, faults, load and whoever looks at them, side by side; then a rest, and a look back."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from autoscaler.loop import first_to_end
from loadtests.demo.commands import Commands
from loadtests.demo.setup import side_by_side
from loadtests.demo.watch import Watcher
from loadtests.generator import LoadGenerator, Request
from loadtests.pods import restarts
from loadtests.scale.audit import read
from loadtests.scale.program import USER
from loadtests.soak.figures import PROGRAMS
from loadtests.soak.history import History, Traffic, outlasting_leases
from loadtests.soak.observer import observe
from loadtests.soak.rules import Rules
from loadtests.soak.services import NAMESPACE, TIMEOUT_SECONDS, Kind, Spec
from loadtests.soak.stories import BETWEEN_FAULTS_SECONDS, next_fault
from loadtests.soak.striking import Striker
from loadtests.soak.user import User
from loadtests.soak.vitals import vital
from localcluster.cluster import Cluster as LocalCluster
from localcluster.progress import Progress
from serving_api.names import SYSTEM_NAMESPACE
from serving_io.cluster import Cluster
from serving_io.kinds import POD

SERVICES: tuple[tuple[str, Kind], ...] = (("east", "judged"), ("north", "judged"), ("west", "manual"))
PROGRAMS_SHARE = 1 / 3
"""Of the time in which programs are killed; what they take is told of those that live from then on."""
SAMPLE_SECONDS = 15.0
CALM_SECONDS = 180.0
"""Before the rest: replicas that nobody needs any more are removed step by step."""
REST_SECONDS = 60.0
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Options:
    """What the command was asked."""

    minutes: float
    seed: int
    run_dir: Path
    out: Path


class World:
    """What runs side by side on a local cluster."""

    def __init__(
        self, options: Options, local: LocalCluster, commands: Commands, history: History, began: float
    ) -> None:
        self._options, self._local, self._commands, self._history = options, local, commands, history
        self._began = began
        self._ends = 60 * options.minutes
        self._striker = Striker(
            options.run_dir,
            [name for name, _ in SERVICES],
            random.Random(f"{options.seed}-faults"),
            self.clock,
        )
        self._chance = random.Random(f"{options.seed}-when")
        self._rules = Rules(history.broken)
        self._users: list[User] = []
        self._loads: dict[str, LoadGenerator] = {}

    def clock(self) -> float:
        """Seconds since the begin."""
        return time.monotonic() - self._began

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[World]:
        """Connect, and give every service its load, its watch and its user."""
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            self._cluster = await enter(await Cluster.connect(field_manager="soak"))
            for name, kind in SERVICES:
                spec = Spec(name, kind)
                request = Request(
                    self._local.gateway_url, headers={"host": spec.host}, timeout_seconds=2 * TIMEOUT_SECONDS
                )
                load = await enter(LoadGenerator(request, seed=self._options.seed))
                watcher = await enter(Watcher(self._cluster, NAMESPACE, name, self.clock))
                traffic = Traffic(load.records, started=self.clock() - load.now_seconds)
                chance = random.Random(f"{self._options.seed}-{name}")
                self._history.traffic[name], self._loads[name] = traffic, load
                self._users.append(
                    User(
                        spec, self._commands, self._cluster, load, watcher, traffic, chance, self._options.out
                    )
                )
            try:
                yield self
            finally:
                for name, load in self._loads.items():
                    await load.stop(grace_seconds=2 * TIMEOUT_SECONDS + 1)
                    self._history.traffic[name].sent = load.sent
                self._history.seconds = self.clock()
                self._history.versions = self._rules.versions

    async def run(self, progress: Progress) -> None:
        """Play until the time is over, rest, and look at what is left. Raises what ends any part of it early."""
        watching = asyncio.create_task(
            side_by_side(
                observe(self._cluster, NAMESPACE, self._rules, self.clock),
                self._sample(),
                self._say(progress),
            )
        )
        try:
            await first_to_end(self._play(progress), watching)
            if watching.done():
                watching.result()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _play(self, progress: Progress) -> None:
        await side_by_side(*(user.begin() for user in self._users))
        progress.say(
            f"{len(self._users)} services answer; {self._options.minutes:g} minutes of stories and faults follow"
        )
        await side_by_side(self._strike(), *(self._live(user, progress) for user in self._users))
        progress.say(f"stories and faults are over; {CALM_SECONDS + REST_SECONDS:.0f} s of rest follow")
        await self._rest()
        await self._look_back()

    async def _live(self, user: User, progress: Progress) -> None:
        while self.clock() < self._ends:
            told = await user.tell()
            self._history.told.append(told)
            if told.problem:
                progress.say(f"{told.service}, {told.story}: {told.problem}")

    async def _strike(self) -> None:
        while self.clock() < self._ends:
            await asyncio.sleep(self._chance.uniform(*BETWEEN_FAULTS_SECONDS))
            fault = next_fault(self._chance, programs=self.clock() < PROGRAMS_SHARE * self._ends)
            if struck := await self._striker.strike(fault):
                self._history.struck.append(struck)

    async def _sample(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            while True:
                await asyncio.sleep(SAMPLE_SECONDS)
                for program in PROGRAMS:
                    for address in self._striker.addresses(program):
                        with contextlib.suppress(httpx.HTTPError):
                            page = (await client.get(f"http://{address}:8080/metrics")).text
                            self._history.vitals.append(vital(program, page, self.clock()))

    async def _say(self, progress: Progress) -> None:
        while True:
            history = self._history
            problems = sum(bool(one.problem) for one in history.told) + len(history.broken)
            progress.update(
                f"{len(history.told)} stories, {len(history.struck)} faults, "
                f"{sum(load.sent for load in self._loads.values())} requests, {problems} problems; "
                f"{max(self._ends - self.clock(), 0) / 60:.0f} min left"
            )
            await asyncio.sleep(5)

    async def _rest(self) -> None:
        for user in self._users:
            user.rest()
        await asyncio.sleep(CALM_SECONDS)
        _, since = read(self._local.audit_log)
        await asyncio.sleep(REST_SECONDS)
        requests, _ = read(self._local.audit_log, since)
        self._history.rest_seconds = REST_SECONDS
        self._history.rest_writes = {
            USER.rpartition(":")[2]: sum(
                one.user == USER and not one.is_read and one.resource != "leases" for one in requests
            )
        }

    async def _look_back(self) -> None:
        for program in PROGRAMS:
            pods = await self._cluster.list(
                POD, SYSTEM_NAMESPACE, label_selector=f"app.kubernetes.io/name={program}"
            )
            started_again = sum(map(restarts, pods.items))
            explained = self._striker.kills[program] + outlasting_leases(self._history.struck)
            self._history.restarts[program] = max(0, started_again - explained)
            logs = (self._options.run_dir / "pods").glob(f"{SYSTEM_NAMESPACE}_{program}-*/*.log")
            self._history.tracebacks[program] = sum(
                log.read_text(encoding="utf-8", errors="replace").count(TRACEBACK) for log in logs
            )

"""The command: users, faults and load side by side for so many minutes, then a rest, then the report."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from loadtests.demo import setup
from loadtests.demo.commands import CommandError, Commands, kubectl_program
from loadtests.demo.watch import Watcher
from loadtests.generator import LoadGenerator, Request
from loadtests.record import write_csv
from loadtests.scale.audit import read
from loadtests.scale.program import USER
from loadtests.soak.figures import PROGRAMS, markdown, shortcomings, summarise
from loadtests.soak.history import History, Traffic
from loadtests.soak.observer import observe
from loadtests.soak.rules import Rules
from loadtests.soak.services import NAMESPACE, TIMEOUT_SECONDS, Kind, Spec
from loadtests.soak.stories import BETWEEN_FAULTS_SECONDS, next_fault
from loadtests.soak.striking import Striker
from loadtests.soak.user import StoryError, User
from loadtests.soak.vitals import vital
from localcluster.cluster import Cluster as LocalCluster
from localcluster.interruption import cancellable, first_only, ignore
from localcluster.paths import this_python
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


def main(arguments: list[str] | None = None) -> int:
    """Run; exit status 0 if all was well, 1 if something was not, 130 after SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m loadtests.soak", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=360.0, help="before the rest at the end (default: %(default)g)")
    add("--seed", type=int, default=1, help="of what happens (default: %(default)s)")
    add(
        "--run-dir",
        type=Path,
        default=Path("out/soak-cluster"),
        help="the cluster's files (default: %(default)s)",
    )
    add("--out", type=Path, default=Path("out/soak"), help="where the report goes (default: %(default)s)")
    given = parser.parse_args(arguments)
    if given.minutes <= 0:
        parser.error("--minutes is more than 0")
    options = Options(given.minutes, given.seed, given.run_dir.resolve(), given.out.resolve())
    options.out.mkdir(parents=True, exist_ok=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    progress, history, interrupted = Progress(), History(), False
    with first_only():
        try:
            asyncio.run(cancellable(_soak(options, progress, history)))
        except (KeyboardInterrupt, asyncio.CancelledError):
            interrupted = True
        except (setup.SetupError, CommandError, StoryError) as error:
            progress.say(f"error: {error}")
            return 1
        finally:
            ignore()
            setup.stop_cluster(options.run_dir)
    summary = summarise(history, options.seed)
    (options.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    (options.out / "report.md").write_text(markdown(summary), encoding="utf-8")
    for name, traffic in history.traffic.items():
        write_csv(traffic.records, options.out / f"requests-{name}.csv")
    progress.say(f"report: {options.out / 'report.md'}")
    if interrupted:
        progress.say("interrupted: the report holds what was seen until then")
        return 130
    missing = shortcomings(summary)
    progress.say("Not well: " + "; ".join(missing) if missing else "All was well.")
    return int(bool(missing))


async def _soak(options: Options, progress: Progress, history: History) -> None:
    setup.stop_cluster(options.run_dir)  # what a killed run has left would be gone on with
    await setup.start_cluster(options.run_dir)
    local = LocalCluster.load(options.run_dir)
    os.environ["KUBECONFIG"] = str(local.kubeconfig)
    with (options.out / "commands.log").open("w", encoding="utf-8", buffering=1) as log:
        commands = Commands(
            lambda line: print(f"{time.strftime('%H:%M:%S')} {line}", file=log),
            kubectl_program(options.run_dir),
            {"KUBECONFIG": str(local.kubeconfig)},
        )
        await setup.install(commands, local.prometheus_url, "base", options.out)
        await commands.kubectl(f"create namespace {NAMESPACE}")
        began = time.monotonic()
        async with _World(options, local, commands, history, began).entered() as world:
            await world.run(progress)


class _World:
    """What runs side by side."""

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
    async def entered(self) -> AsyncIterator[_World]:
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
                traffic = Traffic(kind, load.records, started=self.clock() - load.now_seconds)
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
        """Play until the time is over, rest, and look at what is left."""
        async with asyncio.TaskGroup() as tasks:
            watching = [
                tasks.create_task(observe(self._cluster, NAMESPACE, self._rules, self.clock), name="observe"),
                tasks.create_task(self._sample(), name="sample"),
                tasks.create_task(self._say(progress), name="say"),
            ]
            await asyncio.gather(*(user.begin() for user in self._users))
            progress.say(
                f"{len(self._users)} services answer; {self._options.minutes:g} minutes of stories and faults follow"
            )
            await asyncio.gather(self._strike(), *(self._live(user, progress) for user in self._users))
            progress.say(f"stories and faults are over; {CALM_SECONDS + REST_SECONDS:.0f} s of rest follow")
            await self._rest()
            await self._look_back()
            for task in watching:
                task.cancel()

    async def _live(self, user: User, progress: Progress) -> None:
        while self.clock() < self._ends:
            told = await user.tell(self.clock)
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
            restarts = sum(
                int(one["restartCount"])
                for pod in pods.items
                for one in pod["status"].get("containerStatuses") or ()
            )
            self._history.restarts[program] = restarts - self._striker.kills[program]
            logs = (self._options.run_dir / "pods").glob(f"{SYSTEM_NAMESPACE}_{program}-*/*.log")
            self._history.tracebacks[program] = sum(
                log.read_text(encoding="utf-8", errors="replace").count(TRACEBACK) for log in logs
            )

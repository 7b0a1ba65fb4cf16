"""One run: a plan, the world, the whole operator, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import dataclasses
import functools
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

from serving_io.cluster import Cluster
from serving_io.connection import ConfigurationError
from serving_io.errors import ApiError
from serving_operator import program
from serving_operator.config import Config, parse
from serving_operator.reconciler import Reconciler
from tests.campaign import clock
from tests.campaign.acts import act, hidden
from tests.campaign.api import LATE_SECONDS, Api, Call, Observer, Wire
from tests.campaign.backing import Backings, in_memory
from tests.campaign.clock import Process
from tests.campaign.cluster import MIN_READY_SECONDS, Surroundings
from tests.campaign.end_state import State, state_of
from tests.campaign.gateway import DELAY_SECONDS
from tests.campaign.invariants import BROKEN_SECONDS, Watcher
from tests.campaign.judged import Noting
from tests.campaign.plan import Plan
from tests.campaign.scenarios import SCENARIOS, Scenario
from tests.campaign.switching import SwitchWatcher
from tests.campaign.traffic import Questions
from tests.campaign.user import PATIENCE_SECONDS, User, Waited, manifest
from tests.campaign.watch import Informer
from tests.fakes.kube.store import Change

RESTART_SECONDS = 1.0
QUIET_SECONDS = 20.0
"""How long nothing changes at the end of a run without faults: longer than any wait of the operator's own."""
STAY_SECONDS = 60.0
NOTICED_SECONDS = 10.0
"""How long a rest lasts until it is taken for one, and longer."""
WINDOW_SECONDS = 3.0
HOME_SECONDS = 60.0
"""What a rollout takes that nothing disturbs, from the spec to the commit."""
BREAKS = ("route", "deployment", "service", "pods", "status")
"""What is done while nobody looks, and leaves requests without an answer."""
FLAGS = (
    f"--propagation-delay-seconds={DELAY_SECONDS:g}",
    f"--min-ready-seconds={MIN_READY_SECONDS:.0f}",
    "--drain-seconds=1",
    f"--stable-broken-seconds={BROKEN_SECONDS:g}",
    "--prometheus-url=http://prometheus.test:9090",
    "--workers=2",
)
DEPOSED_SECONDS = 30.0
"""How long a process that was frozen may take until it has noticed that it does not lead any more."""


@dataclass(frozen=True)
class Reference:
    """The run without faults: its end, its requests, its waits, how many writes it took."""

    end: State
    calls: tuple[Call, ...]
    waits: tuple[float, ...]
    rested_at: float
    writes: int
    times: tuple[float, ...]
    events: dict[str, int]
    """Changes of each kind, by its plural."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run. `problems`: broken invariants, waits in vain, a wrong end; none if all is well."""

    plan: Plan
    problems: tuple[str, ...]
    reached: int
    """Faults that happened."""
    writes: int
    seconds: float
    """Virtual ones."""
    lag_seconds: float = 0.0
    """From the last fault, or where that is later from the end of the run without faults, to the end."""

    @property
    def converged(self) -> bool:
        """Whether the end came in time, was right, and stayed."""
        return not any(problem.startswith("L") for problem in self.problems)

    @property
    def broken(self) -> tuple[str, ...]:
        """Broken invariants."""
        return tuple(problem for problem in self.problems if not problem.startswith("L"))


class Rig:
    """Everything of one run but its script."""

    def __init__(self, plan: Plan, scenario: Scenario, usual: list[float] | None, backings: Backings) -> None:
        self.plan = plan
        self.api = Api(plan.faults, scenario.routes_served, backings)
        self.world = Surroundings(self.api, plan.seed)
        watches = [fault for fault in plan.faults if fault.verb == "watch"]
        window = WINDOW_SECONDS + max((fault.seconds for fault in watches), default=0.0)
        if any(fault.action == "kill-late" for fault in plan.faults):
            window += LATE_SECONDS
        dark = scenario.dark or any(what in BREAKS for what, _ in plan.acts)
        self.watcher = Watcher(self.api, self.world, window_seconds=window, dark=dark)
        if not scenario.routes_served:
            SwitchWatcher(self.api, self.world, self.watcher.broken, self.watcher.ready)
        self.user = User(self.api, self.world, self.watcher, usual)
        self.user.restart = self._restart
        self.changed_at = 0.0
        self._away_seconds = RESTART_SECONDS
        self._watches = watches
        self._process: Process | None = None
        self._deposed: list[asyncio.Task[None]] = []
        # What a watch never tells is found by the next resync: it has to come within the patience of a run.
        resync = 45.0 if watches else 600.0
        self._config = dataclasses.replace(_config(), resync_seconds=resync)
        self.api.store.watchers.add(Observer(self._note))  # type: ignore[arg-type]

    @property
    def at_work(self) -> bool:
        """Whether the process of the hour leads and has looked at the world."""
        return self._process is not None and self._process.number in self.api.at_work

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let the operator and the world live while the block lasts."""
        with self._replaced():
            async with self._lived():
                yield

    @contextlib.asynccontextmanager
    async def _lived(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(_factory)
        handler = _Unforeseen(self.watcher)
        logging.getLogger("serving_operator").addHandler(handler)
        tasks = [asyncio.create_task(self._lives()), asyncio.create_task(self._looks())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in self._deposed:
                task.cancel()
            await asyncio.gather(*tasks, *self._deposed, return_exceptions=True)
            if self._process is not None:
                await _kill(self._process)
            logging.getLogger("serving_operator").removeHandler(handler)
            self.api.close()

    def _note(self, change: Change) -> None:
        if change.resource.kind.name not in ("Lease", "Event"):
            self.changed_at = asyncio.get_running_loop().time()

    async def _looks(self) -> None:
        while True:
            self.world.look()
            self.watcher.look()
            await asyncio.sleep(0.5)

    async def _lives(self) -> None:
        """One process after another."""
        number = 0
        while True:
            number += 1
            self._process = process = Process(number)
            context = contextvars.copy_context()
            context.run(clock.OWNER.set, process)
            task = asyncio.create_task(self._live(process), context=context)
            ends = [task, *(asyncio.create_task(one.wait()) for one in (process.died, process.frozen))]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for waiting in ends[1:]:
                waiting.cancel()
            if process.frozen.is_set():
                self._deposed.append(asyncio.create_task(self._lives_on(process, task)))
                continue
            # These the command tells and ends with, to be started anew; nothing else may come out of it.
            told = (ConfigurationError, ApiError, OSError)
            if task.done() and not task.cancelled() and not isinstance(task.exception(), (*told, type(None))):
                self.watcher.broken("X1", f"the process ended: {task.exception()!r}")
            await _kill(process)
            away, self._away_seconds = self._away_seconds, RESTART_SECONDS
            await asyncio.sleep(away)

    async def _lives_on(self, process: Process, task: asyncio.Task[int]) -> None:
        """A frozen process thaws while its successor leads: it has to notice."""
        thawed = self.api.last_fault
        await asyncio.wait({task}, timeout=thawed + DEPOSED_SECONDS - asyncio.get_running_loop().time())
        if not task.done():
            self.watcher.broken("X2", f"process {process.number} leads on although it has lost the Lease")
        await _kill(process)

    async def _live(self, process: Process) -> int:
        config = dataclasses.replace(self._config, identity=f"operator-{process.number}")
        return await program.Operator(config).run()

    @contextlib.contextmanager
    def _replaced(self) -> Iterator[None]:
        """What of the program stands for something in this run, of whichever process."""
        api = self.api

        def owner() -> Process:
            process = clock.OWNER.get()
            assert process is not None
            return process

        class Connection:
            """Stands in for `Cluster.connect`."""

            @staticmethod
            async def connect(*, field_manager: str, instance: str, on_request: Any) -> Cluster:
                wire = Wire(api, owner(), on_request=on_request)
                return Cluster(wire, field_manager=field_manager, instance=instance)  # type: ignore[arg-type]

        def informer(*arguments: Any, **named: Any) -> Informer:
            return Informer(
                *arguments, api=api, process=owner(), faults=self._watches, seed=self.plan.seed, **named
            )

        with mock.patch.multiple(
            program,
            Cluster=Connection,
            Informer=informer,
            Reconciler=functools.partial(Reconciler, now=clock.now),
            Prometheus=lambda _: Questions(self.world.traffic.prometheus),
            EvidenceReader=functools.partial(
                Noting, now=lambda: clock.now().timestamp(), told=self.watcher.judged.read
            ),
            endpoint=_no_endpoint,
        ):
            yield

    def _restart(self, away_seconds: float = RESTART_SECONDS, **settings: Any) -> None:
        """Kill the process; the next one comes after a while, and may have other settings."""
        self._away_seconds = away_seconds
        changed = dataclasses.replace(self._config.settings, **settings)
        self._config = dataclasses.replace(self._config, settings=changed)
        self.kill()

    def kill(self) -> None:
        """End the process where it is."""
        if self._process is not None:
            self._process.is_dead = True
            self._process.died.set()


def reference(name: str, seed: int = 0, backings: Backings = in_memory) -> Reference:
    """Run a scenario without faults."""

    async def scenario() -> Reference:
        rig = Rig(Plan(name, seed), SCENARIOS[name], None, backings)
        times: list[float] = []
        loop = asyncio.get_running_loop()
        checked = rig.api.on_call

        def on_call(call: Call, sender: int) -> None:
            times.append(loop.time())
            checked(call, sender)

        rig.api.on_call = on_call
        async with rig.running():
            await SCENARIOS[name].script(rig.user)
            scripted = loop.time()
            while loop.time() < max(rig.changed_at, scripted) + QUIET_SECONDS:
                await asyncio.sleep(1)
                if loop.time() > scripted + 300:
                    raise Waited(f"{name} does not come to rest")
            end = state_of(rig.api)
            counted = [(c, t) for c, t in zip(rig.api.calls, times, strict=True) if c.is_counted]
            if rig.watcher.violations:
                raise AssertionError(f"{name} without faults: {rig.watcher.violations}")
            return Reference(
                end,
                tuple(c for c, _ in counted),
                tuple(rig.user.waits),
                rig.changed_at,
                rig.watcher.writes,
                tuple(t for _, t in counted),
                Counter(change.resource.kind.plural for change in rig.api.store.history),
            )

    random.seed(seed)
    return clock.run(scenario)


_KNOWN: dict[tuple[str, int, Backings], Reference] = {}


def known_reference(name: str, seed: int = 0, backings: Backings = in_memory) -> Reference:
    """The reference run of a scenario, made once in a process."""
    if (name, seed, backings) not in _KNOWN:
        _KNOWN[name, seed, backings] = reference(name, seed, backings)
    return _KNOWN[name, seed, backings]


def run(plan: Plan, backings: Backings = in_memory) -> Outcome:
    """Run a plan and compare its end with the run without faults on the same kind of backing."""
    free = plan.scenario not in SCENARIOS
    known = known_reference("create" if free else plan.scenario, 0 if free else plan.seed, backings)
    random.seed(plan.seed)
    return clock.run(lambda: _free(plan, known, backings) if free else _run(plan, known, backings))


async def _run(plan: Plan, known: Reference, backings: Backings) -> Outcome:
    rig = Rig(plan, SCENARIOS[plan.scenario], list(known.waits), backings)

    def since() -> float:
        return max(rig.api.last_fault, known.rested_at)

    problems: list[str] = []
    async with rig.running():
        acting = asyncio.create_task(_act_unobserved(rig))
        try:
            await SCENARIOS[plan.scenario].script(rig.user)
            await acting
        except Waited as waited:
            problems.append(f"L1: {waited}")
        else:
            problems += await _ends(rig, known, since)
        finally:
            acting.cancel()
    return _outcome(rig, problems, since(), 2 * known.writes + 40 * (len(plan.faults) + len(plan.acts) + 1))


async def _act_unobserved(rig: Rig) -> None:
    """At its moment, kill the process, and do and undo something before the next one looks."""
    for what, at in rig.plan.acts:
        await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))
        rig.kill()
        await asyncio.sleep(0.2)
        rig.api.reached += hidden(rig.user, what)
        rig.user.world.wake()
        rig.api.last_fault = asyncio.get_running_loop().time()


async def _free(plan: Plan, known: Reference, backings: Backings) -> Outcome:
    """A sequence of acts; then everybody is well, and the first spec asked for again: the end is that of `create`."""
    scenario = Scenario(plan.scenario, SCENARIOS["create"].script, dark=True)
    rig = Rig(plan, scenario, list(known.waits), backings)

    def since() -> float:
        return rig.api.last_fault + HOME_SECONDS

    problems: list[str] = []
    async with rig.running():
        try:
            await scenario.script(rig.user)
            for name, value in plan.acts:
                await act(rig.user, name, value, rig.kill)
            rig.api.last_fault = asyncio.get_running_loop().time()
            await _home(rig)
        except Waited as waited:
            problems.append(f"L1: {waited}")
        else:
            problems += await _ends(rig, known, since, history=False)
    return _outcome(rig, problems, since(), 4000)


async def _home(rig: Rig) -> None:
    """Ask for the first spec, and promote it if somebody else is stable by now."""
    user, world = rig.user, rig.world
    world.broken.clear()
    world.autoscaler_is_alive = world.gateway.is_alive = True
    world.traffic.answers = world.traffic.scrapes = True
    world.demand = 2
    for kind in ("Promote", "Abort", "Retry"):
        if user.service:
            user.label(kind, None)
    if user.service:
        user.replace(manifest())
    user.apply(manifest())
    world.wake()

    def is_home() -> bool:
        status = user.status
        canary, stable = status.get("canary") or {}, status.get("stable") or {}
        wanted = user.revision("a")
        if not canary and stable.get("revision") == wanted:
            return True
        if canary.get("revision") == wanted and canary.get("verdict") in (
            "WaitingForPromotion",
            "RollForward",
        ):
            user.label("Promote", canary["id"])
        rejected = [e for e in status.get("rejected") or () if e["revision"] == wanted]
        if rejected and not canary:
            user.label("Retry", rejected[-1]["id"])
        return False

    await user.until(is_home, "the first spec is committed again", HOME_SECONDS)


def _outcome(rig: Rig, problems: list[str], since: float, budget: int) -> Outcome:
    if rig.watcher.writes > budget:
        rig.watcher.broken("S13", f"{rig.watcher.writes} writes, where {budget} are plenty")
    problems += rig.watcher.violations
    seconds = asyncio.get_running_loop().time()
    lag = max(0.0, rig.changed_at - since)
    return Outcome(rig.plan, tuple(problems), rig.api.reached, rig.watcher.writes, seconds, lag)


async def _ends(rig: Rig, known: Reference, since: Callable[[], float], *, history: bool = True) -> list[str]:
    """Wait for the end, for as long as it may take after `since`, and then for whether it stays."""
    loop = asyncio.get_running_loop()
    checked = -1.0
    differences: list[str] = ["never at rest"]
    while True:
        at_rest = loop.time() >= rig.changed_at + 4 and loop.time() > rig.api.last_fault + 1 and rig.at_work
        if at_rest and checked != rig.changed_at:
            checked = rig.changed_at
            differences = state_of(rig.api, history).differences(known.end)
            if not differences:
                break
        if loop.time() > since() + PATIENCE_SECONDS + NOTICED_SECONDS:
            return [f"L2: {'; '.join(differences[:4])}"]
        await asyncio.sleep(1)
    if rig.changed_at > since() + PATIENCE_SECONDS:
        return [f"L2: at rest {rig.changed_at - since():.0f} s after the last fault"]
    rested, writes = loop.time(), rig.watcher.writes
    await asyncio.sleep(STAY_SECONDS)
    if rig.watcher.writes > writes:
        differences = state_of(rig.api, history).differences(known.end)
        if differences:
            return [f"L3: {'; '.join(differences[:4])}"]
        if rig.watcher.last_write > rested + 2:
            rig.watcher.broken("S13", f"{rig.watcher.writes - writes} writes although all is done")
    if rig.watcher.asked_at > rested + 2:
        rig.watcher.broken("S13", "writes are asked for although all is done")
    return []


class _Unforeseen(logging.Handler):
    """Notes exceptions that a worker met and that no part of the operator raises on purpose."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__(logging.WARNING)
        self._watcher = watcher

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self._watcher.broken("X1", repr(record.exc_info[1])[:300])


@functools.cache
def _config() -> Config:
    return parse(FLAGS, {})


@contextlib.asynccontextmanager
async def _no_endpoint(*_: Any, **__: Any) -> AsyncIterator[int]:
    yield 0


def _factory(loop: asyncio.AbstractEventLoop, coro: Any, **named: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **named)
    context = named.get("context")
    process = context.get(clock.OWNER) if context is not None else clock.OWNER.get()
    if process is not None:
        process.tasks.add(task)
        task.add_done_callback(process.tasks.discard)
    return task


async def _kill(process: Process) -> None:
    """End all that runs of a process; nothing of it reaches the store any more."""
    process.is_dead = True
    process.thaw()
    for _ in range(100):
        left = [task for task in process.tasks if not task.done()]
        if not left:
            return
        for task in left:
            task.cancel()
        await asyncio.sleep(0)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let the operator say nothing: what a run has to say is in its outcome."""
    logger = logging.getLogger("serving_operator")
    before = logger.propagate
    logger.propagate = False
    lease = logging.getLogger("serving_io")
    was, lease.propagate = lease.propagate, False
    null = logging.NullHandler()
    lease.addHandler(null)
    logger.addHandler(null)
    try:
        yield
    finally:
        logger.propagate, lease.propagate = before, was
        logger.removeHandler(null)
        lease.removeHandler(null)

"""Leads a service through rollouts and surges, and loses leaders on the way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from loadtests.demo.commands import REPOSITORY, CommandError, Commands
from loadtests.demo.rates import LOW_RATE, ROLLOUT_RATE
from loadtests.demo.setup import NAMESPACE, SERVICE
from loadtests.demo.watch import Watcher
from loadtests.failover.cases import PROGRAMS, Case
from loadtests.failover.leaders import LeaderError, Leaders
from loadtests.failover.phases import (
    DONE,
    Beginning,
    Course,
    Position,
    advanced,
    is_settled,
)
from loadtests.failover.played import Played, ending
from loadtests.generator import LoadGenerator
from serving_api.names import ABORT_LABEL, PROMOTE_LABEL

STEP_PERCENT = 25
SURGE_WORK = 0.7
"""Work that a surge brings, in parts of what its replicas could do: they answer all of it, too late."""
READY_SECONDS = 5.0
"""For how long a surge stays at its height."""
_ANSWERS = 200
"""So many of the latest answers say how long one takes."""
_LOOK_SECONDS = 0.2
_COURSE_SECONDS = 300.0
_LOSS_SECONDS = 60.0
"""What a course may take, and how much more with each leader that is lost."""
_REST_SECONDS = 90.0


class Player:
    """One service under load, and its programs."""

    def __init__(
        self,
        leaders: Leaders,
        commands: Commands,
        load: LoadGenerator,
        watcher: Watcher,
        say: Callable[[str], None],
        folder: Path,
    ) -> None:
        self._leaders, self._commands, self._load, self._watcher = leaders, commands, load, watcher
        self._say = say
        self._manifest = folder / "service.json"
        self._versions = 0
        self._calm = asyncio.Event()
        self._beginning = Beginning("promoted", "")
        self._position = Position()
        self._passed: list[str] = []
        self._read = 0

    async def serve(self) -> None:
        """Apply the first version."""
        await self._apply()

    async def play(self, course: Course, cases: Sequence[Case]) -> Played:
        """Play a course, with these leaders lost on its way. Raises LeaderError if the programs are not well before it."""
        self._load.set_rate(ROLLOUT_RATE if course == "judged" else LOW_RATE)
        await self._rest(course)
        now = self._watcher.now
        self._beginning = Beginning(
            course, now.stable, frozenset({now.stable, *now.replicas}), now.desired_of_stable
        )
        self._position, self._passed, self._read = Position(), [], len(self._watcher.samples)
        self._calm.set()
        played = Played(course, time.time())
        seconds = _COURSE_SECONDS + _LOSS_SECONDS * len(cases)
        try:
            async with asyncio.timeout(seconds):
                await self._through(played, cases)
        except TimeoutError:
            played.problem = f"not over after {seconds:.0f} s, last in phase {self._position.phase or 'none'}"
        except (LeaderError, CommandError) as error:
            played.problem = f"in phase {self._position.phase or 'none'}: {error}"
        else:
            played.ending = ending(self._beginning, self._position, self._watcher.now)
        played.ended_seconds = time.time()
        return played

    async def serve_anew(self) -> None:
        """Put a new service in the place of one that did not come to its end; meanwhile nothing is asked of it."""
        self._load.set_rate(0)
        await self._commands.kubectl(f"-n {NAMESPACE} delete infsvc {SERVICE} --cascade=foreground")
        await self.serve()

    async def _rest(self, course: Course) -> None:
        """Wait until nothing goes on and both programs are well, and before a surge until one replica runs."""
        await self._leaders.refresh()
        for program in PROGRAMS:
            await self._leaders.whole(program)
        await self._watcher.until(is_settled, _REST_SECONDS)
        if course == "surge":
            await self._watcher.until(
                lambda now: now.ready_of_stable == now.desired_of_stable == 1, _REST_SECONDS
            )

    async def _through(self, played: Played, cases: Sequence[Case]) -> None:
        acting = asyncio.create_task(self._act(played.course))
        try:
            for case in cases:
                leader = await self._leaders.leader(case.program)  # now: in its phase every moment counts
                if not await self._reach(case.phase, acting):
                    self._say(f"  {case.phase}: over before a leader could be lost in it")
                    continue
                self._calm.clear()
                self._say(f"  {case.phase}: the leader of the {case.program} is {case.fault}")
                loss = await self._leaders.lose(case, leader)
                self._say(
                    f"  {case.phase}: another one worked {loss.worked_seconds - loss.at_seconds:.1f} s later"
                )
                played.losses.append(loss)
                self._calm.set()
            await acting
            await self._reach(DONE, acting)
        finally:
            acting.cancel()
            await asyncio.gather(acting, return_exceptions=True)

    async def _act(self, course: Course) -> None:
        """What people do; they wait until nobody is lost."""
        if course == "surge":
            await self._surge()
            return
        await self._apply()
        if course == "judged":
            return
        while not self._carries_step() or not self._calm.is_set():
            await self._look()
        label = PROMOTE_LABEL if course == "promoted" else ABORT_LABEL
        attempt = self._position.attempt
        await self._commands.kubectl(f"-n {NAMESPACE} label infsvc {SERVICE} {label}={attempt} --overwrite")

    def _carries_step(self) -> bool:
        canary = self._watcher.now.canary
        return canary is not None and canary.id == self._position.attempt and canary.weight == STEP_PERCENT

    async def _surge(self) -> None:
        answers = [one.response_seconds for one in self._load.records[-_ANSWERS:] if one.is_success]
        rate = round(SURGE_WORK * self._beginning.replicas / median(answers), 1)
        self._turn(rate, is_high=True)
        while self._position.phase != "ready":
            await self._look()
        await asyncio.sleep(READY_SECONDS)
        while not self._calm.is_set():
            await self._calm.wait()
        self._turn(LOW_RATE, is_high=False)

    def _turn(self, rate: float, *, is_high: bool) -> None:
        self._say(f"  {rate:g} requests a second")
        self._load.set_rate(rate)
        self._see(replace(self._position, is_high=is_high))

    async def _reach(self, phase: str, acting: asyncio.Task[None]) -> bool:
        """Wait until the course is in a phase; return False if it is past it. Raises what people failed at."""
        self._see(self._position)  # what went by while somebody was lost is over
        since = len(self._passed)
        while self._position.phase != phase and phase not in self._passed[since:]:
            if phase != DONE and self._position.is_past(self._beginning.course, phase):
                return False
            if acting.done():
                acting.result()
            await self._look()
        return True

    async def _look(self) -> None:
        """Wait for the next change, and see where the course is."""
        known = len(self._watcher.samples)
        await self._watcher.until(lambda _: len(self._watcher.samples) > known, _LOOK_SECONDS)
        self._see(self._position)

    def _see(self, position: Position) -> None:
        """Go through what was observed since the last time, or look at what is so again."""
        samples = self._watcher.samples
        snapshots = [snapshot for _, snapshot in samples[self._read :]] or [self._watcher.now]
        self._read = len(samples)
        for snapshot in snapshots:
            position = advanced(self._beginning, position, snapshot)
            if position.phase not in self._passed[-1:]:
                self._passed.append(position.phase)
        self._position = position

    async def _apply(self) -> None:
        self._versions += 1
        text = (REPOSITORY / "manifests/demo/service-v1.yaml").read_text(encoding="utf-8")
        self._manifest.write_text(json.dumps(service(yaml.safe_load(text), self._versions)), encoding="utf-8")
        await self._commands.kubectl(f"apply -f {self._manifest}")


def service(manifest: dict[str, Any], version: int) -> dict[str, Any]:
    """Return a version of the demo's service: as good as all the others, with one step."""
    spec = manifest["spec"]
    model = spec["predictor"]["model"] | {"env": [{"name": "VERSION", "value": str(version)}]}
    rollout = spec["rollout"] | {"steps": [{"weight": STEP_PERCENT}]}
    return manifest | {"spec": spec | {"predictor": spec["predictor"] | {"model": model}, "rollout": rollout}}

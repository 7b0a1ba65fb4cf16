"""One service's user: plays story after story, and says how each ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import aiohttp

from loadtests.demo.commands import CommandError, Commands
from loadtests.demo.observation import Snapshot
from loadtests.demo.watch import Watcher
from loadtests.generator import LoadGenerator
from loadtests.soak.history import Told, Traffic
from loadtests.soak.services import NAMESPACE, OBJECTIVE_MILLISECONDS, Build, Spec, manifest
from loadtests.soak.stories import PAUSE_SECONDS, RATES, Story, next_story
from serving_api.names import ABORT_LABEL, PROMOTE_LABEL, SERVICE_LABEL
from serving_io.cluster import Cluster
from serving_io.errors import ApiError
from serving_io.kinds import DEPLOYMENT, INFERENCE_AUTOSCALER, POD_DISRUPTION_BUDGET, Kind

AWAY_SECONDS = 90.0
"""For how long a command is tried again: the API server may be away."""
PATIENCE_SECONDS = 600.0
_LOOK_SECONDS = 0.5
_DRAWN_SECONDS = (0.0, 15.0)
"""When somebody changes their mind."""


class StoryError(Exception):
    """A story did not end as it should; the message says what did not come about, and what status says."""


class User:
    """Whoever owns one service."""

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
        self._spec = spec
        self._stable_version = self._newest_version = spec.version
        self._commands, self._cluster, self._load, self._watcher = commands, cluster, load, watcher
        self._traffic, self._chance = traffic, chance
        self._file = folder / f"{spec.name}.json"
        self._rate = RATES[0]
        self._play: Mapping[Story, Callable[[], Awaitable[None]]] = {
            "promotes-itself": self._promotes_itself,
            "aborts-itself": self._aborts_itself,
            "promoted": self._promoted,
            "aborted": self._aborted,
            "superseded": self._superseded,
            "reverted": self._reverted,
            "never-ready": self._never_ready,
            "bounds": self._bounds,
            "objective": self._objective,
            "load": self._other_load,
            "child-deleted": self._child_deleted,
            "created-anew": self._created_anew,
        }

    async def begin(self) -> None:
        """Make the service, and send it requests when it answers. Raises StoryError."""
        await self._apply(self._spec)
        await self._until(lambda now: bool(now.stable), "the first version is stable")
        await self._answers()
        self._set_rate(self._rate)

    async def tell(self, clock: Callable[[], float]) -> Told:
        """Play one story, drawn by chance. After one that went wrong the service is made anew."""
        await asyncio.sleep(self._chance.uniform(*PAUSE_SECONDS))
        story, began, problem = next_story(self._chance, self._spec.kind), clock(), ""
        try:
            await self._play[story]()
        except (StoryError, CommandError) as error:
            problem = str(error)
            with contextlib.suppress(StoryError, CommandError):
                await self._created_anew()
        return Told(self._spec.name, story, began, clock(), problem)

    def rest(self) -> None:
        """From now on the load is small and even."""
        self._set_rate(RATES[0])

    # Stories

    async def _promotes_itself(self) -> None:
        _, revision = await self._release("good")
        await self._is_stable(revision)

    async def _aborts_itself(self) -> None:
        attempt, _ = await self._release("failing")
        await self._is_rejected(attempt)

    async def _promoted(self) -> None:
        await self._promote(*await self._release("good"))

    async def _aborted(self) -> None:
        attempt, revision = await self._release("good")
        await self._has_traffic(revision)
        await self._label(ABORT_LABEL, attempt)
        await self._is_rejected(attempt)

    async def _superseded(self) -> None:
        await self._release("good")
        await asyncio.sleep(self._chance.uniform(*_DRAWN_SECONDS))
        attempt, revision = await self._release("good")
        if self._spec.kind == "manual":
            await self._promote(attempt, revision)
        else:
            await self._is_stable(revision)

    async def _reverted(self) -> None:
        stable = self._watcher.now.stable
        await self._release("good")
        await asyncio.sleep(self._chance.uniform(*_DRAWN_SECONDS))
        await self._apply(replace(self._spec, version=self._stable_version))
        await self._until(lambda now: now.canary is None, "there is no canary any more")
        self._same(stable)

    async def _never_ready(self) -> None:
        attempt, _ = await self._release("never-ready")
        await self._is_rejected(attempt)

    async def _bounds(self) -> None:
        stable, least = self._watcher.now.stable, 3 - self._spec.least
        await self._apply(replace(self._spec, least=least))
        await self._until(lambda now: now.ready_of_stable >= least, f"{least} replicas are ready")
        self._same(stable)

    async def _objective(self) -> None:
        stable, (low, high) = self._watcher.now.stable, OBJECTIVE_MILLISECONDS
        await self._apply(
            replace(self._spec, objective_milliseconds=low + high - self._spec.objective_milliseconds)
        )
        await asyncio.sleep(5)
        self._same(stable)

    async def _other_load(self) -> None:
        self._set_rate(self._chance.choice(RATES))

    async def _child_deleted(self) -> None:
        kind = self._chance.choice((POD_DISRUPTION_BUDGET, INFERENCE_AUTOSCALER))
        name = f"{self._spec.name}-{self._watcher.now.stable}"
        before = await self._uid(kind, name)
        await self._kubectl(f"-n {NAMESPACE} delete {kind.plural} {name} --ignore-not-found --wait=false")
        await self._comes(f"{kind.name} {name} is there again", lambda: self._is_another(kind, name, before))

    async def _created_anew(self) -> None:
        rate = self._rate
        self._load.set_rate(0)
        await self._comes("all requests are answered", self._is_answered)
        await self._kubectl(
            f"-n {NAMESPACE} delete infsvc {self._spec.name} --ignore-not-found --cascade=foreground"
        )
        await self._comes("nothing of the service is left", self._is_gone)
        await self._apply(self._new("good"))
        await self._until(lambda now: bool(now.stable), "the service made anew is stable")
        self._stable_version = self._spec.version
        await self._answers()
        self._set_rate(rate)

    # Steps of stories

    async def _release(self, build: Build) -> tuple[str, str]:
        """Apply a new version, and return its attempt and revision once there is one."""
        before = self._watcher.now
        known = {before.stable, before.canary.revision if before.canary else "", *before.replicas}
        await self._apply(self._new(build))
        await self._until(
            lambda now: now.canary is not None and now.canary.revision not in known,
            "the new version is the canary",
        )
        canary = self._watcher.now.canary
        assert canary is not None, "just seen"
        if build == "failing":
            self._traffic.failing.add(canary.revision)
        return canary.id, canary.revision

    def _new(self, build: Build) -> Spec:
        """A version that there has never been, also where the last one was taken back."""
        self._newest_version += 1
        return replace(self._spec, version=self._newest_version, build=build)

    async def _promote(self, attempt: str, revision: str) -> None:
        await self._has_traffic(revision)
        if self._watcher.now.stable != revision:
            await self._label(PROMOTE_LABEL, attempt)
        await self._is_stable(revision)

    async def _has_traffic(self, revision: str) -> None:
        await self._until(lambda now: now.weights.get(revision, 0) > 0, f"{revision} gets requests")

    async def _is_stable(self, revision: str) -> None:
        await self._until(lambda now: now.stable == revision and now.canary is None, f"{revision} is stable")
        self._stable_version = self._spec.version

    async def _is_rejected(self, attempt: str) -> None:
        await self._until(
            lambda now: attempt in now.rejected and now.canary is None, f"{attempt} is rejected"
        )

    def _same(self, stable: str) -> None:
        if (now := self._watcher.now.stable) != stable:
            raise StoryError(f"stable became {now} from {stable}: {self._state()}")

    async def _apply(self, spec: Spec) -> None:
        self._spec = spec
        self._file.write_text(json.dumps(manifest(spec), indent=2) + "\n", encoding="utf-8")
        await self._kubectl(f"apply -f {self._file}")

    async def _label(self, label: str, attempt: str) -> None:
        await self._kubectl(f"-n {NAMESPACE} label infsvc {self._spec.name} {label}={attempt} --overwrite")

    async def _kubectl(self, line: str) -> None:
        """Every command may be given twice: one that fails is, for the API server may be away."""
        began = time.monotonic()
        while True:
            try:
                await self._commands.kubectl(line)
                return
            except CommandError:
                if time.monotonic() - began > AWAY_SECONDS:
                    raise
            await asyncio.sleep(1)

    async def _until(self, holds: Callable[[Snapshot], bool], what: str) -> None:
        if not await self._watcher.until(holds, PATIENCE_SECONDS):
            raise StoryError(
                f"waited {PATIENCE_SECONDS:.0f} s, and it did not come about that {what}: {self._state()}"
            )

    async def _comes(self, what: str, look: Callable[[], Awaitable[bool]]) -> None:
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE_SECONDS:
            with contextlib.suppress(ApiError):
                if await look():
                    return
            await asyncio.sleep(_LOOK_SECONDS)
        raise StoryError(
            f"waited {PATIENCE_SECONDS:.0f} s, and it did not come about that {what}: {self._state()}"
        )

    async def _answers(self) -> None:
        await self._comes("the gateway answers 200", self._is_served)

    async def _is_served(self) -> bool:
        request = self._load.request
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(request.url, headers=request.headers) as response,
            ):
                return response.status == 200
        return False

    async def _is_answered(self) -> bool:
        return not self._load.in_flight

    async def _is_gone(self) -> bool:
        selector = f"{SERVICE_LABEL}={self._spec.name}"
        return not (await self._cluster.list(DEPLOYMENT, NAMESPACE, label_selector=selector)).items

    async def _uid(self, kind: Kind, name: str) -> str:
        try:
            return str((await self._cluster.get(kind, name, NAMESPACE))["metadata"]["uid"])
        except ApiError:
            return ""

    async def _is_another(self, kind: Kind, name: str, before: str) -> bool:
        return await self._uid(kind, name) not in ("", before)

    def _set_rate(self, rate: float) -> None:
        self._rate = rate
        self._load.set_rate(rate)

    def _state(self) -> str:
        now = self._watcher.now
        conditions = ", ".join(f"{name}={one.status}/{one.reason}" for name, one in now.conditions.items())
        return f"stable {now.stable}, canary {now.canary.id if now.canary else 'none'}, weights {dict(now.weights)}, {conditions}"

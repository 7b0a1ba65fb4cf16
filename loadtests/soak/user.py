"""One service's user: plays story after story, and says how each ended."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from loadtests.demo.commands import CommandError, Commands
from loadtests.demo.watch import Watcher
from loadtests.generator import LoadGenerator
from loadtests.soak.history import Told, Traffic
from loadtests.soak.services import NAMESPACE, OBJECTIVE_MILLISECONDS, Build, Spec
from loadtests.soak.stage import Stage, StoryError
from loadtests.soak.stories import PAUSE_SECONDS, RATES, Story, next_story
from serving_api.names import ABORT_LABEL, PROMOTE_LABEL
from serving_io.cluster import Cluster
from serving_io.kinds import INFERENCE_AUTOSCALER, POD_DISRUPTION_BUDGET

_DRAWN_SECONDS = (0.0, 15.0)
"""When somebody changes their mind."""


class User(Stage):
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
        super().__init__(spec, commands, cluster, load, watcher, traffic, chance, folder)
        self._stable_version = self._newest_version = spec.version
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
        await self.apply(self.spec)
        await self.until(lambda now: bool(now.stable), "the first version is stable")
        await self.answers()
        self.set_rate(self.rate)

    async def tell(self) -> Told:
        """Play one story, drawn by chance. After one that went wrong the service is made anew."""
        await asyncio.sleep(self.chance.uniform(*PAUSE_SECONDS))
        story, problem = next_story(self.chance, self.spec.kind), ""
        try:
            await self._play[story]()
        except (StoryError, CommandError) as error:
            problem = str(error)
            with contextlib.suppress(StoryError, CommandError):
                await self._created_anew()
        return Told(self.spec.name, story, problem)

    def rest(self) -> None:
        """From now on the load is small and even."""
        self.set_rate(RATES[0])

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
        await self.label(ABORT_LABEL, attempt)
        await self._is_rejected(attempt)

    async def _superseded(self) -> None:
        await self._release("good")
        await asyncio.sleep(self.chance.uniform(*_DRAWN_SECONDS))
        attempt, revision = await self._release("good")
        if self.spec.kind == "manual":
            await self._promote(attempt, revision)
        else:
            await self._is_stable(revision)

    async def _reverted(self) -> None:
        stable = self.watcher.now.stable
        await self._release("good")
        await asyncio.sleep(self.chance.uniform(*_DRAWN_SECONDS))
        await self.apply(replace(self.spec, version=self._stable_version))
        await self.until(lambda now: now.canary is None, "there is no canary any more")
        self._same(stable)

    async def _never_ready(self) -> None:
        attempt, _ = await self._release("never-ready")
        await self._is_rejected(attempt)

    async def _bounds(self) -> None:
        stable, least = self.watcher.now.stable, 3 - self.spec.least
        await self.apply(replace(self.spec, least=least))
        await self.until(lambda now: now.ready_of_stable >= least, f"{least} replicas are ready")
        self._same(stable)

    async def _objective(self) -> None:
        stable, (low, high) = self.watcher.now.stable, OBJECTIVE_MILLISECONDS
        await self.apply(
            replace(self.spec, objective_milliseconds=low + high - self.spec.objective_milliseconds)
        )
        await asyncio.sleep(5)
        self._same(stable)

    async def _other_load(self) -> None:
        self.set_rate(self.chance.choice(RATES))

    async def _child_deleted(self) -> None:
        kind = self.chance.choice((POD_DISRUPTION_BUDGET, INFERENCE_AUTOSCALER))
        name = f"{self.spec.name}-{self.watcher.now.stable}"
        before = await self.uid(kind, name)
        await self.kubectl(f"-n {NAMESPACE} delete {kind.plural} {name} --ignore-not-found --wait=false")
        await self.comes(f"{kind.name} {name} is there again", lambda: self.is_another(kind, name, before))

    async def _created_anew(self) -> None:
        rate = self.rate
        self.load.set_rate(0)
        await self.comes("all requests are answered", self.is_answered)
        await self.kubectl(
            f"-n {NAMESPACE} delete infsvc {self.spec.name} --ignore-not-found --cascade=foreground"
        )
        await self.comes("nothing of the service is left", self.is_gone)
        await self.apply(self._new("good"))
        await self.until(lambda now: bool(now.stable), "the service made anew is stable")
        self._stable_version = self.spec.version
        await self.answers()
        self.set_rate(rate)

    async def _release(self, build: Build) -> tuple[str, str]:
        """Apply a new version, and return its attempt and revision once there is one."""
        before = self.watcher.now
        known = {before.stable, before.canary.revision if before.canary else "", *before.replicas}
        await self.apply(self._new(build))
        await self.until(
            lambda now: now.canary is not None and now.canary.revision not in known,
            "the new version is the canary",
        )
        canary = self.watcher.now.canary
        assert canary is not None, "just seen"
        if build == "failing":
            self.traffic.failing.add(canary.revision)
        return canary.id, canary.revision

    def _new(self, build: Build) -> Spec:
        """A version that there has never been, also where the last one was taken back."""
        self._newest_version += 1
        return replace(self.spec, version=self._newest_version, build=build)

    async def _promote(self, attempt: str, revision: str) -> None:
        await self._has_traffic(revision)
        if self.watcher.now.stable != revision:
            await self.label(PROMOTE_LABEL, attempt)
        await self._is_stable(revision)

    async def _has_traffic(self, revision: str) -> None:
        await self.until(lambda now: now.weights.get(revision, 0) > 0, f"{revision} gets requests")

    async def _is_stable(self, revision: str) -> None:
        await self.until(lambda now: now.stable == revision and now.canary is None, f"{revision} is stable")
        self._stable_version = self.spec.version

    async def _is_rejected(self, attempt: str) -> None:
        await self.until(lambda now: attempt in now.rejected and now.canary is None, f"{attempt} is rejected")

    def _same(self, stable: str) -> None:
        if (now := self.watcher.now.stable) != stable:
            raise StoryError(f"stable became {now} from {stable}: {self.state()}")

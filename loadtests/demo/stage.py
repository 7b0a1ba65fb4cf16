"""What the demo's scenes are played with: kubectl, the load's rate, what the API server shows, and what is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from autoscaler.replay.report.plot import Event
from loadtests.demo.commands import Commands
from loadtests.demo.figures import RUN_SECONDS, By
from loadtests.demo.observation import Snapshot
from loadtests.demo.rates import Rates
from loadtests.demo.setup import NAMESPACE, SERVICE
from loadtests.demo.watch import Watcher
from loadtests.generator import LoadGenerator

SUMMING_UP_SECONDS = 12.0
"""Of a run's time, for what comes after the story."""
START_PATIENCE_SECONDS = 75.0
"""For how long pods are waited for that are to start."""


class SceneError(Exception):
    """What a scene waited for did not come; the message says what that was."""


@dataclass
class Told:
    """What the story leaves behind for summary and report. Times are seconds since the start of the load."""

    events: list[Event] = field(default_factory=list)
    story: list[tuple[float, str]] = field(default_factory=list)
    load_changes: list[float] = field(default_factory=list)
    revisions: list[str] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    """Of version 2 and those after it."""


class Stage:
    """A running service, its load, and what watches both."""

    def __init__(
        self,
        by: By,
        rates: Rates,
        commands: Commands,
        load: LoadGenerator,
        watcher: Watcher,
        say: Callable[[str], None],
    ) -> None:
        self.told = Told()
        self.by = by
        self.rates = rates
        self._ends_seconds = RUN_SECONDS[by] - SUMMING_UP_SECONDS
        self.commands = commands
        self.load = load
        self.watcher = watcher
        self._aloud = say

    async def new_canary(self, version: str) -> str:
        """Wait for a new canary; return its attempt."""
        known = set(self.told.revisions)
        await self.wait(
            lambda now: now.canary is not None and now.canary.revision not in known,
            f"{version} is a canary",
            20,
        )
        canary = self.watcher.now.canary
        assert canary is not None, "just observed"
        self.told.revisions.append(canary.revision)
        self.told.attempts.append(canary.id)
        return canary.id

    async def share_of_canary(self, version: str) -> float:
        """Wait until the latest canary has its share of the traffic; return it in percent."""
        revision = self.told.revisions[-1]
        await self.wait(
            lambda now: (
                now.weights.get(revision, 0) > 0
                and now.acknowledged
                and now.canary is not None
                and bool(now.canary.weight)
            ),
            f"{version} gets its share of the traffic",
            START_PATIENCE_SECONDS,
        )
        return self.watcher.now.weights.get(revision, 0)

    async def label(self, label: str, attempt_id: str) -> None:
        """Give the service a command label for an attempt."""
        await self.commands.kubectl(f"-n {NAMESPACE} label infsvc {SERVICE} {label}={attempt_id} --overwrite")

    async def wait(self, holds: Callable[[Snapshot], bool], what: str, timeout_seconds: float) -> None:
        """Wait until something holds. Raises SceneError, also where the story's own time is up."""
        left = min(timeout_seconds, self._ends_seconds - self.load.now_seconds)
        if not await self.watcher.until(holds, left):
            raise SceneError(f"waited {max(left, 0):.0f} s, and it did not come about that {what}")

    def check_time(self, what: str) -> None:
        """Raise SceneError if the story's time is up."""
        if self.load.now_seconds > self._ends_seconds:
            raise SceneError(f"the time was up before {what}")

    def rate(self, rate_per_second: float) -> None:
        """Change the load from now on."""
        self.load.set_rate(rate_per_second)
        self.told.load_changes.append(self.load.now_seconds)
        self.event(f"load {rate_per_second:g}/s")

    def event(self, label: str) -> None:
        """Mark this moment in the plots."""
        self.told.events.append(Event(self.load.now_seconds, label))

    def say(self, sentence: str, event: str = "") -> None:
        """Tell what happens, on the terminal and in the report, with a mark in the plots if `event` is given."""
        self.told.story.append((self.load.now_seconds, sentence))
        if event:
            self.event(event)
        self._aloud(sentence)

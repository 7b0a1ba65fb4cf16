"""The script of the demo: each scene ends when the API server shows what it was for, or its time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from loadtests.demo.commands import Commands
from loadtests.demo.figures import PEAK_REPLICAS
from loadtests.demo.history import seconds_while
from loadtests.demo.observation import Snapshot
from loadtests.demo.rates import LOW_RATE, ROLLOUT_RATE, peak_rate
from loadtests.demo.setup import NAMESPACE, SERVICE
from loadtests.demo.watch import Watcher
from loadtests.generator import LoadGenerator
from loadtests.plot import Event
from serving_api.names import PROMOTE_LABEL

RISE_FRACTIONS = (0.25, 0.42, 0.6, 0.8)
"""Of the peak's rate: the steps on the way up."""
RISE_STEP_SECONDS = 9.0
RUN_SECONDS = 468.0
"""When the story ends, wherever it is: the run with its summary takes at most 480 s."""
EVIDENCE_SECONDS = 180.0
"""For how long a verdict is waited for: windows of ten seconds, read twenty after their end."""
WARM_SECONDS = 8.0
SETTLE_SECONDS = 12.0
PEAK_SECONDS = 63.0
STEP_SECONDS = 10.0


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


class Story:
    """Plays the scenes on a running service, under one open-loop load."""

    def __init__(
        self, commands: Commands, load: LoadGenerator, watcher: Watcher, say: Callable[[str], None]
    ) -> None:
        self.told = Told()
        self._commands = commands
        self._load = load
        self._watcher = watcher
        self._say_aloud = say

    async def play(self) -> None:
        """Play all scenes. Raises SceneError where one does not come to its end."""
        await self._warm_up()
        await self._rise()
        await self._fall()
        await self._promote_version_2()
        await self._abort_version_3()
        await self._promote_version_4()

    async def _warm_up(self) -> None:
        self._rate(LOW_RATE)
        await self._wait(lambda now: bool(now.stable), "version 1 is committed as stable", 60)
        self.told.revisions.append(self._watcher.now.stable)
        self._say(
            f"Version 1 serves. {LOW_RATE:g} requests a second arrive, on a schedule that waits for no answer. "
            "Hold, soak and the windows of evidence are short in the demo's manifests; leave them out in earnest."
        )
        await asyncio.sleep(WARM_SECONDS)

    async def _rise(self) -> None:
        answers = [record.response_seconds for record in self._load.records if record.is_success]
        if not answers:
            raise SceneError("version 1 answered nothing")
        peak = peak_rate(answers)
        self._say(
            f"An answer takes {1000 * median(answers):.0f} ms here. The load rises from {LOW_RATE:g} to {peak:g} a "
            "second, step by step. The autoscaler must see it coming: a pod takes its time to start."
        )
        for fraction in RISE_FRACTIONS:
            self._rate(max(LOW_RATE, round(fraction * peak)))
            await asyncio.sleep(RISE_STEP_SECONDS)
        self._rate(peak)
        await self._wait(
            lambda now: now.ready_of_stable >= PEAK_REPLICAS, f"{PEAK_REPLICAS} replicas are ready", 60
        )
        self._say(f"{PEAK_REPLICAS} replicas are ready; the peak goes on for a minute.", "3 replicas ready")
        peak_began = self.told.load_changes[-1]
        while (left := PEAK_SECONDS - self._seconds_at_peak_since(peak_began)) > 0:
            self._check_time("the peak is held")
            await asyncio.sleep(min(left, 2))

    async def _fall(self) -> None:
        peak = self._watcher.now.desired_of_stable
        self._rate(LOW_RATE)
        self._say(
            f"The load falls back to {LOW_RATE:g}. After the hold the replicas that nobody needs are removed."
        )
        await self._wait(lambda now: now.desired_of_stable < peak, "the autoscaler removes replicas", 75)
        self._say("The autoscaler scales down.", "scaled down")
        await self._watcher.until(lambda now: now.desired_of_stable <= 1, SETTLE_SECONDS)

    async def _promote_version_2(self) -> None:
        self._rate(ROLLOUT_RATE)
        self._event("apply v2")
        await self._commands.kubectl("apply -f manifests/demo/service-v2.yaml")
        self._say(
            f"Version 2 is applied, under {ROLLOUT_RATE:g} requests a second: only its storageUri differs. It starts as "
            "a canary, with capacity first."
        )
        canary_id = await self._canary_with_weight("version 2")
        revision = self.told.revisions[-1]
        first = self._watcher.now.weights.get(revision, 0)
        self._say(
            f"The canary gets {first:.0f}% of the requests. They are counted in windows of ten seconds, each read twenty "
            "seconds after its end, so that no scrape is missed. Nobody gives a label.",
            f"v2 {first:.0f}%",
        )
        await self._wait(
            lambda now: now.weights.get(revision, 0) > first,
            f"version 2 is good enough at {first:.0f}%",
            EVIDENCE_SECONDS,
        )
        second = self._watcher.now.weights.get(revision, 0)
        self._say(
            f"Good enough at {first:.0f}%: the canary gets {second:.0f}%, and is counted anew.",
            f"v2 {second:.0f}%",
        )
        await self._wait(
            lambda now: now.canary is not None and now.canary.id == canary_id and bool(now.canary.promotion),
            f"version 2 is good enough at {second:.0f}%",
            EVIDENCE_SECONDS,
        )
        self._say("Good enough at every step: version 2 promotes itself, capacity first.", "v2 good enough")
        await self._is_committed("Version 2", revision)

    async def _abort_version_3(self) -> None:
        self._event("apply v3")
        await self._commands.kubectl("apply -f manifests/demo/service-v3.yaml")
        self._say(
            "Version 3 is applied. Its pods become ready, for readiness does not ask whether answers are right."
        )
        canary_id = await self._canary_with_weight("version 3")
        revision = self.told.revisions[-1]
        self._say(
            "Version 3 gets its share, and refuses every request. Nobody gives a label. No single window aborts: two must "
            "say the same.",
            "v3 gets traffic",
        )
        await self._wait(
            lambda now: now.weights.get(revision, 0) == 0,
            "version 3 is found worse than stable",
            EVIDENCE_SECONDS,
        )
        self._say("The judge aborts version 3 as worse than stable: the first write is the route's.", "v3 0%")
        await self._wait(lambda now: now.acknowledged, "version 3 has no traffic", 20)
        self._say("The gateway has confirmed it: version 3 gets nothing.")
        await self._wait(lambda now: canary_id in now.rejected, "version 3 is rejected", 30)
        self._say("Version 3 is rejected. Nothing tries it again until somebody says so.", "v3 rejected")

    async def _promote_version_4(self) -> None:
        self._event("apply v4")
        await self._commands.kubectl("apply -f manifests/demo/service-v4.yaml")
        self._say("Version 4 is applied, as good as version 2. Somebody is in a hurry.")
        canary_id = await self._canary_with_weight("version 4")
        revision = self.told.revisions[-1]
        weight = self._watcher.now.weights.get(revision, 0)
        self._say(f"The canary gets {weight:.0f}%. It will not be asked for evidence.", f"v4 {weight:.0f}%")
        await asyncio.sleep(STEP_SECONDS)
        self._event("promote v4")
        await self._label(PROMOTE_LABEL, canary_id)
        self._say("Promoted by label, before any verdict: steps and evidence are skipped, capacity is not.")
        await self._is_committed("Version 4", revision)
        await asyncio.sleep(3)

    async def _is_committed(self, version: str, revision: str) -> None:
        name = f"v{len(self.told.revisions)}"
        await self._wait(lambda now: now.weights.get(revision, 0) == 100, f"{version} gets all requests", 60)
        self._say(f"{version} gets all requests, and soaks.", f"{name} 100%")
        await self._wait(lambda now: now.stable == revision, f"{version} is committed", 60)
        self._say(f"{version} is stable. What was before it is drained and removed.", f"{name} stable")

    async def _canary_with_weight(self, version: str) -> str:
        known = set(self.told.revisions)
        await self._wait(
            lambda now: now.canary is not None and now.canary.revision not in known,
            f"{version} is a canary",
            20,
        )
        canary = self._watcher.now.canary
        assert canary is not None, "just observed"
        self.told.revisions.append(canary.revision)
        self.told.attempts.append(canary.id)
        await self._wait(
            lambda now: (
                now.weights.get(canary.revision, 0) > 0
                and now.acknowledged
                and now.canary is not None
                and bool(now.canary.weight)
            ),
            f"{version} gets its share of the traffic",
            75,
        )
        return canary.id

    async def _label(self, label: str, attempt_id: str) -> None:
        await self._commands.kubectl(
            f"-n {NAMESPACE} label infsvc {SERVICE} {label}={attempt_id} --overwrite"
        )

    async def _wait(self, holds: Callable[[Snapshot], bool], what: str, timeout_seconds: float) -> None:
        left = min(timeout_seconds, RUN_SECONDS - self._load.now_seconds)
        if not await self._watcher.until(holds, left):
            raise SceneError(f"waited {max(left, 0):.0f} s, and it did not come about that {what}")

    def _check_time(self, what: str) -> None:
        if self._load.now_seconds > RUN_SECONDS:
            raise SceneError(f"the time was up before {what}")

    def _seconds_at_peak_since(self, begin_seconds: float) -> float:
        def has_enough(snapshot: Snapshot) -> bool:
            return snapshot.ready_of_stable >= PEAK_REPLICAS

        samples, now = self._watcher.samples, self._load.now_seconds
        return seconds_while(samples, now, has_enough) - seconds_while(samples, begin_seconds, has_enough)

    def _rate(self, rate_per_second: float) -> None:
        self._load.set_rate(rate_per_second)
        self.told.load_changes.append(self._load.now_seconds)
        self._event(f"load {rate_per_second:g}/s")

    def _event(self, label: str) -> None:
        self.told.events.append(Event(self._load.now_seconds, label))

    def _say(self, sentence: str, event: str = "") -> None:
        self.told.story.append((self._load.now_seconds, sentence))
        if event:
            self._event(event)
        self._say_aloud(sentence)

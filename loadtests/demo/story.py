"""The script of the demo: each scene ends when the API server shows what it was for, or its time is up."""

from __future__ import annotations

import asyncio

from loadtests.demo.figures import PEAK_REPLICAS
from loadtests.demo.history import seconds_while
from loadtests.demo.observation import Snapshot
from loadtests.demo.rates import peak_rate, rise_step_seconds
from loadtests.demo.stage import START_PATIENCE_SECONDS, Stage
from serving_api.names import ABORT_LABEL, PROMOTE_LABEL

RISE_FRACTIONS = (0.25, 0.42, 0.6, 0.8)
"""Of the peak's rate: the steps on the way up."""
EVIDENCE_SECONDS = 180.0
"""For how long a verdict is waited for: windows of ten seconds, read twenty after their end."""
WARM_SECONDS = 5.0
SETTLE_SECONDS = 5.0
PEAK_SECONDS = 63.0
STEP_SECONDS = 5.0


class Story(Stage):
    """Plays the scenes on a running service, under one open-loop load."""

    async def play(self) -> None:
        """Play all scenes. Raises SceneError where one does not come to its end."""
        await self._warm_up()
        await self._rise()
        await self._fall()
        self.rate(self.rates.rollout)
        if self.by == "evidence":
            await self._promote_version_2()
            await self._abort_version_3()
            await self._promote_version_4()
        else:
            await self._promote_version_2_early()
            await self._abort_version_3_early()

    async def _warm_up(self) -> None:
        self.rate(self.rates.low)
        await self.wait(lambda now: bool(now.stable), "version 1 is committed as stable", 60)
        self.told.revisions.append(self.watcher.now.stable)
        self.say(
            f"Version 1 serves. {self.rates.low:g} requests a second arrive, on a schedule that waits for no answer. "
            "Hold, soak and the evidence that is asked for are short in the demo's manifests; leave them out in earnest."
        )
        await asyncio.sleep(WARM_SECONDS)

    async def _rise(self) -> None:
        low, peak = self.rates.low, self.rates.peak
        start_seconds = self.watcher.now.start_time_seconds
        step_seconds = rise_step_seconds(start_seconds)
        self.say(
            f"The load rises from {low:g} to {peak:g} a second, in steps of {step_seconds:.0f} s. The autoscaler must see it "
            f"coming: a pod takes {f'{start_seconds} s' if start_seconds else 'its time'} to start."
        )
        for fraction in RISE_FRACTIONS:
            self.rate(max(low, round(fraction * peak)))
            await asyncio.sleep(step_seconds)
        self.rate(peak_rate(peak, self.watcher.now.work_seconds))
        await self.wait(
            lambda now: now.ready_of_stable >= PEAK_REPLICAS, f"{PEAK_REPLICAS} replicas are ready", 60
        )
        self.say(f"{PEAK_REPLICAS} replicas are ready; the peak goes on for a minute.", "3 replicas ready")
        peak_began = self.told.load_changes[-1]
        while (left := PEAK_SECONDS - self._seconds_at_peak_since(peak_began)) > 0:
            self.check_time("the peak is held")
            await asyncio.sleep(min(left, 2))

    async def _fall(self) -> None:
        peak = self.watcher.now.desired_of_stable
        self.rate(self.rates.low)
        self.say(
            f"The load falls back to {self.rates.low:g}. After the hold the replicas that nobody needs are removed."
        )
        await self.wait(lambda now: now.desired_of_stable < peak, "the autoscaler removes replicas", 75)
        self.say("The autoscaler scales down.", "scaled down")
        await self.watcher.until(lambda now: now.desired_of_stable <= 1, SETTLE_SECONDS)

    async def _promote_version_2(self) -> None:
        canary_id = await self._applied(
            2,
            f"under {self.rates.rollout:g} requests a second: only its storageUri differs. It starts as a canary, with capacity "
            "first.",
        )
        revision, first = self.told.revisions[-1], await self.share_of_canary("version 2")
        self.say(
            f"The canary gets {first:.0f}% of the requests. They are counted in windows of ten seconds, each read twenty "
            "seconds after its end, so that no scrape is missed. Nobody gives a label.",
            f"v2 {first:.0f}%",
        )
        await self.wait(
            lambda now: now.weights.get(revision, 0) > first,
            f"version 2 is good enough at {first:.0f}%",
            EVIDENCE_SECONDS,
        )
        second = self.watcher.now.weights.get(revision, 0)
        self.say(
            f"Good enough at {first:.0f}%: the canary gets {second:.0f}%, and is counted anew.",
            f"v2 {second:.0f}%",
        )
        await self.wait(
            lambda now: now.canary is not None and now.canary.id == canary_id and bool(now.canary.promotion),
            f"version 2 is good enough at {second:.0f}%",
            EVIDENCE_SECONDS,
        )
        self.say("Good enough at every step: version 2 promotes itself, capacity first.", "v2 good enough")
        await self._is_committed("Version 2", revision)

    async def _abort_version_3(self) -> None:
        canary_id = await self._applied(
            3, "whose pods become ready: readiness does not ask whether answers are right."
        )
        await self.share_of_canary("version 3")
        revision = self.told.revisions[-1]
        self.say(
            "Version 3 gets its share, and refuses every request. Nobody gives a label. No single window aborts: two must "
            "say the same.",
            "v3 gets traffic",
        )
        await self.wait(
            lambda now: now.weights.get(revision, 0) == 0,
            "version 3 is found worse than stable",
            EVIDENCE_SECONDS,
        )
        self.say("The judge aborts version 3 as worse than stable: the first write is the route's.")
        await self._is_rejected("Version 3", revision, canary_id)

    async def _promote_version_2_early(self) -> None:
        canary_id = await self._shown(2, "a larger forest than version 1. Somebody is in a hurry.")
        await self._promote(2, canary_id)

    async def _promote_version_4(self) -> None:
        canary_id = await self._applied(
            4, "as good as version 2. Somebody is in a hurry, and does not even wait for its first pod."
        )
        await self._promote(4, canary_id)

    async def _promote(self, number: int, canary_id: str) -> None:
        self.event(f"promote v{number}")
        await self.label(PROMOTE_LABEL, canary_id)
        self.say("Promoted by label, before any verdict: steps and evidence are skipped, capacity is not.")
        await self._is_committed(f"Version {number}", self.told.revisions[-1])
        await asyncio.sleep(3)

    async def _abort_version_3_early(self) -> None:
        canary_id = await self._shown(3, "and has a mistake in it. Somebody looks at it.")
        self.event("abort v3")
        await self.label(ABORT_LABEL, canary_id)
        self.say("Aborted by label, before any verdict: the first write is the route's.")
        await self._is_rejected("Version 3", self.told.revisions[-1], canary_id)

    async def _shown(self, number: int, remark: str) -> str:
        """Apply a version that somebody will decide on, and return its attempt when it has had its share for a while."""
        canary_id = await self._applied(number, remark)
        weight = await self.share_of_canary(f"version {number}")
        self.say(
            f"The canary gets {weight:.0f}%. It will not be asked for evidence.",
            f"v{number} {weight:.0f}%",
        )
        await asyncio.sleep(STEP_SECONDS)
        return canary_id

    async def _applied(self, number: int, remark: str) -> str:
        """Apply a version, and return its attempt."""
        self.event(f"apply v{number}")
        await self.commands.kubectl(f"apply -f manifests/demo/service-v{number}.yaml")
        self.say(f"Version {number} is applied, {remark}")
        return await self.new_canary(f"version {number}")

    async def _is_rejected(self, version: str, revision: str, canary_id: str) -> None:
        name = f"v{len(self.told.revisions)}"
        await self.wait(lambda now: now.weights.get(revision, 0) == 0, f"{version} loses its weight", 20)
        self.event(f"{name} 0%")
        await self.wait(lambda now: now.acknowledged, f"{version} has no traffic", 20)
        self.say(f"The gateway has confirmed it: {version} gets nothing.")
        await self.wait(lambda now: canary_id in now.rejected, f"{version} is rejected", 30)
        self.say(f"{version} is rejected. Nothing tries it again until somebody says so.", f"{name} rejected")

    async def _is_committed(self, version: str, revision: str) -> None:
        name = f"v{len(self.told.revisions)}"
        await self.wait(
            lambda now: now.weights.get(revision, 0) == 100,
            f"{version} gets all requests",
            START_PATIENCE_SECONDS,
        )
        self.say(f"{version} gets all requests, and soaks.", f"{name} 100%")
        await self.wait(lambda now: now.stable == revision, f"{version} is committed", 60)
        self.say(f"{version} is stable. What was before it is drained and removed.", f"{name} stable")

    def _seconds_at_peak_since(self, begin_seconds: float) -> float:
        def has_enough(snapshot: Snapshot) -> bool:
            return snapshot.ready_of_stable >= PEAK_REPLICAS

        samples, now = self.watcher.samples, self.load.now_seconds
        return seconds_while(samples, now, has_enough) - seconds_while(samples, begin_seconds, has_enough)

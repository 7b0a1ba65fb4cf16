"""What is done to a stage, and what is read off it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from autoscaler.history.rebuild import CHUNK_POINTS, CHUNK_STEPS, HISTORY_SECONDS, STEP_SECONDS
from autoscaler.signals.queries import Windows
from loadtests.scale.answering import AT_ONCE
from loadtests.scale.autoscalers import statuses, ticks
from loadtests.scale.autoscalers.population import Member, autoscaler, deployment
from loadtests.scale.autoscalers.stage import OURS, SCRAPE_SECONDS, Stage
from loadtests.scale.autoscalers.ticks import Tick, ticks_in
from loadtests.scale.offering import insist
from loadtests.scale.program import total
from loadtests.scale.usage import shares
from localcluster.progress import Progress
from serving_io import kinds

Figures = dict[str, Any]
SETTLING_SECONDS: Final = 420.0
"""From the first tick until the windows of the rates are full and what follows from that is written."""
TICKS: Final = 20
CHANGING_SHARE: Final = 0.01
CHANGING_FACTOR: Final = 2.5
DRIFT_RATIO: Final = 0.15
DRIFT_EVERY_SECONDS: Final = 60.0
DRIFT_SECONDS: Final = 600.0
"""In which no status may be refreshed twice for its numbers alone."""
HISTORY_WAIT_SECONDS: Final = 300.0
"""So long the reading of history is watched; if it takes longer, its end is worked out from its pace."""
LOOK_SECONDS: Final = 0.5
LONGEST_TICK_SECONDS: Final = 600.0
REQUESTS: Final = "prometheus_http_request_duration_seconds"
OF_QUERIES, OF_RANGES = 'handler="/api/v1/query"', 'handler="/api/v1/query_range"'


class NotReachedError(Exception):
    """What was waited for has not come; the message says what, and how far it was."""


@dataclass(frozen=True)
class Measure:
    """Works on one stage and says what it does."""

    stage: Stage
    progress: Progress

    async def populate(self) -> None:
        """Create every Deployment and InferenceAutoscaler."""
        done, all_of_them = 0, len(self.stage.members)
        slots = asyncio.Semaphore(AT_ONCE)

        async def create(member: Member) -> None:
            nonlocal done
            async with slots:
                for work in self._creations(member):
                    await insist(work)
                done += 1
                self.progress.update(f"{done} of {all_of_them} are created")

        await asyncio.gather(*(create(member) for member in self.stage.members))

    def _creations(self, member: Member) -> Iterator[Callable[[], Awaitable[object]]]:
        call, namespace = self.stage.api.call, member.namespace
        yield lambda: call("POST", kinds.DEPLOYMENT.path(namespace), deployment(member))
        yield lambda: call("POST", kinds.INFERENCE_AUTOSCALER.path(namespace), autoscaler(member))

    async def begin(self) -> Figures:
        """Start the autoscaler on objects that it has never seen, and let everything settle."""
        stage, clock = self.stage, asyncio.get_running_loop().time
        stage.autoscaler.start()
        began = clock()
        (first,) = await self._ticks(1, "the first tick")
        seconds = clock() - began
        while clock() - began < seconds + SETTLING_SECONDS:
            self.progress.update(f"settling for {SETTLING_SECONDS:.0f} s")
            await asyncio.sleep(LOOK_SECONDS)
        stage.news()
        return {
            "first_tick_seconds": round(seconds, 1),
            "first_tick_scalings": first.scalings,
            "first_tick_statuses": first.statuses,
        }

    async def ticks(self, tick_seconds: float) -> Figures:
        """Tick with a hundredth of all loads changed in each interval."""
        stage, clock = self.stage, asyncio.get_running_loop().time
        page, before, began = await stage.prometheus_page(), stage.usages(), clock()
        changing = asyncio.create_task(self._change(tick_seconds))
        try:
            seen = await self._ticks(TICKS, "a hundredth changes in each tick")
        finally:
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)
        seconds, after, then = clock() - began, stage.usages(), await stage.prometheus_page()

        def grown(metric: str, label: str = "") -> float:
            return total(then, metric, label) - total(page, metric, label)

        asked = grown(f"{REQUESTS}_count", OF_QUERIES)
        took = grown(f"{REQUESTS}_sum", OF_QUERIES)
        ingested = grown("prometheus_tsdb_head_samples_appended_total")
        return ticks.figures(seen) | {
            "tick_seconds": tick_seconds,
            "queries_per_tick": round(asked / len(seen), 1),
            "prometheus_query_seconds": round(took / len(seen), 2),
            "prometheus_series": round(total(then, "prometheus_tsdb_head_series")),
            "prometheus_samples_per_second": round(ingested / seconds),
            "cores": {name: round(share, 3) for name, share in shares(before, after, seconds).items()},
            "resident_mebibytes": round(after[OURS].resident_mebibytes),
            "resident_mebibytes_most": round(after[OURS].peak_mebibytes),
            "prometheus_mebibytes": round(after["prometheus"].resident_mebibytes),
        }

    async def _change(self, tick_seconds: float) -> None:
        while True:
            await self.stage.tell("change", share=CHANGING_SHARE, factor=CHANGING_FACTOR)
            await asyncio.sleep(tick_seconds)

    async def page(self) -> Figures:
        """Ask for the autoscaler's own metrics, as Prometheus does every few seconds."""
        clock = asyncio.get_running_loop().time
        began = clock()
        text = await self.stage.autoscaler.page()
        count = len(self.stage.members)
        return {
            "seconds": round(clock() - began, 2),
            "mebibytes": round(len(text) / 2**20, 1),
            "history_bytes_of_one": round(total(text, "serving_autoscaler_history_bytes") / count),
        }

    async def statuses(self) -> Figures:
        """Let all loads drift, and see how often status is written."""
        stage, clock = self.stage, asyncio.get_running_loop().time
        before, began = stage.status_writes(), clock()
        for minute in range(round(DRIFT_SECONDS / DRIFT_EVERY_SECONDS)):
            await stage.tell("drift", ratio=DRIFT_RATIO)
            while clock() < began + (minute + 1) * DRIFT_EVERY_SECONDS:
                self.progress.update(f"all loads drift for {DRIFT_SECONDS:.0f} s")
                await asyncio.sleep(LOOK_SECONDS)
            stage.autoscaler.check()
        return statuses.figures(before, stage.status_writes(), clock() - began, len(stage.members))

    async def restart(self) -> Figures:
        """Stop the autoscaler, start it, and see when it decides and when it remembers."""
        stage, clock = self.stage, asyncio.get_running_loop().time
        await asyncio.to_thread(stage.autoscaler.stop)
        began = clock()
        stage.autoscaler.start()
        stage.news()  # what was logged before
        (first,) = await self._ticks(1, "the first tick after a restart")
        found: Figures = {
            "first_tick_seconds": round(clock() - began, 1),
            "first_tick_scalings": first.scalings,
        }
        chunks = await self._chunks()
        whole, watched = False, clock()
        seen: list[Tick] = []
        while not whole and clock() - watched < HISTORY_WAIT_SECONDS:
            lines = stage.news()
            whole = any("history is read for" in line for line in lines)
            seen += ticks_in(lines)
            self.progress.update(f"history is read: {len(seen)} ticks")
            await asyncio.sleep(LOOK_SECONDS)
        if whole:
            return found | {"whole_seconds": round(clock() - began), "whole_is_measured": True}
        pace = (await self._chunks() - chunks) / (clock() - watched)
        found["history_cpu_seconds"] = round(median(tick.cpu[ticks.HISTORY] for tick in seen), 3)
        left = chunks_of_history(len(stage.members)) / pace if pace else math.inf
        return found | {"whole_seconds": round(left) if pace else None, "whole_is_measured": False}

    async def _chunks(self) -> float:
        page = await self.stage.prometheus_page()
        return total(page, f"{REQUESTS}_count", OF_RANGES)

    async def _ticks(self, count: int, what: str) -> list[Tick]:
        """Wait for so many ticks of all. Raises NotReachedError if one takes too long."""
        seen: list[Tick] = []
        clock = asyncio.get_running_loop().time
        last = clock()
        while len(seen) < count:
            await asyncio.sleep(LOOK_SECONDS)
            if more := ticks_in(self.stage.news()):
                seen += more
                last = clock()
            elif clock() - last > LONGEST_TICK_SECONDS:
                raise NotReachedError(f"{what}: no tick has ended for {LONGEST_TICK_SECONDS:.0f} s")
            self.progress.update(f"{what}: {len(seen)} of {count} ticks")
        return seen[:count]


def chunks_of_history(autoscalers: int) -> int:
    """Return how many queries the reading of history takes."""
    step = max(STEP_SECONDS, float(Windows.of(SCRAPE_SECONDS).fast))
    steps = min(max(CHUNK_POINTS // autoscalers, 1), CHUNK_STEPS)
    return math.ceil(HISTORY_SECONDS / step / steps)

"""What is done to a stage, and what is read off it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

from loadtests.scale.audit import Request
from loadtests.scale.figures import (
    Place,
    answers,
    completed,
    delays,
    note_settled,
    offered,
    reads_per_second,
    spread,
    tally,
    written,
)
from loadtests.scale.offering import at_rate, changes, creations
from loadtests.scale.stage import OURS, Stage
from loadtests.scale.usage import shares
from localcluster.progress import Progress

Figures = dict[str, Any]
QUIET_SECONDS = 60.0
CALM_SECONDS = 15.0
"""From the end of a restart until nothing of it is left: Kopf's worker of each object ends after five seconds idle."""
SCRAPE_SECONDS = 15.0
CHANGING_SECONDS = 60.0
STORM_PER_SECOND = 50.0
ARRIVALS_PER_SECOND = 10.0
QUIET_CHANGES_PER_SECOND = 5.0
_LOOK_SECONDS = 1.0


class NotReachedError(Exception):
    """What was waited for has not come; the message says what, and how far it was."""


@dataclass(frozen=True)
class Measure:
    """Works on one stage and says what it does."""

    stage: Stage
    progress: Progress

    async def offer(self, namespace: str, services: int, rate_per_second: float) -> Figures:
        """Create services at a rate, and wait until all are settled. Raises NotReachedError."""
        stage = self.stage
        await stage.namespace(namespace)
        stage.requests()
        clock, before = asyncio.get_running_loop().time, stage.usages()
        began = clock()
        offering = asyncio.create_task(
            at_rate(rate_per_second, creations(stage.api, namespace, services)), name="offering"
        )
        try:
            recorded = await self._settled(namespace, services)
            await offering
            await stage.operator.at_rest(services)  # what follows from the last status is written too
        finally:
            offering.cancel()
            await asyncio.gather(offering, return_exceptions=True)
        seconds, after = clock() - began, stage.usages()
        return storm(recorded + stage.requests()) | {
            "services": services,
            "rate_per_second": rate_per_second,
            "operator_cpu_milliseconds_per_service": round(
                1000 * (after[OURS].cpu_seconds - before[OURS].cpu_seconds) / services, 1
            ),
            "cores": rounded(shares(before, after, seconds)),
            "operator_peak_mebibytes": round(after[OURS].peak_mebibytes),
        }

    async def _settled(self, namespace: str, services: int) -> list[Request]:
        """Wait until so many services are settled; return all that was asked meanwhile."""
        limit_seconds = 180 + services
        found: dict[Place, float] = {}
        recorded: list[Request] = []
        try:
            async with asyncio.timeout(limit_seconds):
                while len(found) < services:
                    await asyncio.sleep(_LOOK_SECONDS)
                    self.stage.operator.check()
                    news = self.stage.requests()
                    recorded += news
                    note_settled(found, news)
                    self.progress.update(f"{namespace}: {len(found)} of {services} services are settled")
        except TimeoutError:
            message = f"{namespace}: {len(found)} of {services} services are settled after {limit_seconds} s"
            raise NotReachedError(message) from None
        return recorded

    async def restart(self, services: int) -> Figures:
        """Stop the operator, start it, and wait until it has looked at everything. Raises NotReachedError."""
        stage, clock = self.stage, asyncio.get_running_loop().time
        self.progress.update("the operator starts anew")
        await asyncio.to_thread(stage.operator.stop)
        stage.requests()
        began = clock()
        stage.operator.start()
        try:
            async with asyncio.timeout(180 + services):
                await stage.operator.at_rest(services)
        except TimeoutError:
            raise NotReachedError(f"restart: not at rest after {180 + services} s") from None
        seconds = clock() - began
        writes = written(stage.requests())
        return {
            "services": services,
            "converged_seconds": round(seconds, 1),
            "cpu_seconds": round(stage.usages()[OURS].cpu_seconds, 1),
            "writes": len(writes),
            "written": tally(writes),
        }

    async def quiet(self, services: int) -> Figures:
        """Change nothing, scrape the operator as Prometheus does, and see what it does."""
        stage = self.stage
        stage.requests()
        await asyncio.sleep(CALM_SECONDS)
        before, began = stage.usages(), asyncio.get_running_loop().time()
        earlier = stage.requests()
        for _ in range(round(QUIET_SECONDS / SCRAPE_SECONDS)):
            self.progress.update(f"nothing changes for {QUIET_SECONDS:.0f} s")
            await asyncio.sleep(SCRAPE_SECONDS)
            await stage.operator.page()
        seconds, after = asyncio.get_running_loop().time() - began, stage.usages()
        recorded = stage.requests()
        writes = written([*earlier, *recorded])
        return {
            "services": services,
            "seconds": round(seconds, 1),
            "writes": len(writes),
            "written": tally(writes),
            "reads_per_second": round(reads_per_second(recorded, seconds), 2),
            "cores": rounded(shares(before, after, seconds)),
            "operator_mebibytes": round(after[OURS].resident_mebibytes),
            "operator_peak_mebibytes": round(after[OURS].peak_mebibytes),
        }

    async def changed(self, rates_per_second: dict[str, tuple[int, float]]) -> list[Request]:
        """Change the services of namespaces, given as services and changes a second, and return what was asked."""
        self.stage.requests()
        async with asyncio.TaskGroup() as group:
            for namespace, (services, rate) in rates_per_second.items():
                count = round(rate * CHANGING_SECONDS)
                group.create_task(at_rate(rate, changes(self.stage.api, namespace, services, count)))
            self.progress.update(f"{' and '.join(rates_per_second)} change for {CHANGING_SECONDS:.0f} s")
        await asyncio.sleep(10 * _LOOK_SECONDS)  # the last ones are answered
        self.stage.operator.check()
        return self.stage.requests()


def storm(requests: list[Request]) -> Figures:
    """Return the figures of services that were offered: seconds from the first one on, and of each one's children."""
    begun, whole = offered(requests), completed(requests)
    found: dict[Place, float] = {}
    note_settled(found, requests)
    first = min(begun.values())
    children = delays(begun, whole)
    writes = written(requests)
    return {
        "offered_seconds": round(max(begun.values()) - first, 1),
        "children_seconds": round(max(whole.values(), default=first) - first, 1),
        "settled_seconds": round(max(found.values(), default=first) - first, 1),
        "complete": len(children),
        "children": spread(children),
        "writes_per_service": round(len(writes) / len(begun), 1),
        "written": tally(writes),
        "refused_writes": dict(Counter(str(one.code) for one in writes if one.code >= 400)),
    }


def neighbours(alone: list[Request], beside: list[Request], namespace: str) -> Figures:
    """Return how long changes of a namespace's services took alone and beside another namespace."""
    (first, unanswered), (second, unanswered_beside) = answers(alone, namespace), answers(beside, namespace)
    was, became = spread(first), spread(second)
    return {
        "alone": was | {"changes": len(first), "unanswered": unanswered},
        "beside": became | {"changes": len(second), "unanswered": unanswered_beside},
        "p99_ratio": round(became["p99_seconds"] / was["p99_seconds"], 2) if was["p99_seconds"] else None,
    }


def rounded(cores: dict[str, float]) -> dict[str, float]:
    """Return shares of a core to a thousandth."""
    return {name: round(share, 3) for name, share in cores.items()}

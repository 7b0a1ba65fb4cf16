"""Requests through the proxies, what the pods make of them, and what a Prometheus scrapes of that, on the virtual clock.

Traffic is even: of each pod's requests every so-manieth is late. How often the judge errs by chance is measured
elsewhere (`make judge-study`); here a good version is always good. The seed draws when scrapes come and how late they
can be seen. What was scraped is kept a second time, in plain numbers, for those who check what the operator counts.
"""

from __future__ import annotations

import asyncio
import bisect
import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from serving_io.prometheus import Answer, RangeAnswer
from tests.campaign import clock
from tests.fakes.envoy import ENVOY_TARGET, Backend
from tests.fakes.prometheus import FakePrometheus

REQUESTS_PER_SECOND = 100
SCRAPE_SECONDS = 5.0
LAG_SECONDS = 4.0
"""A scrape can be seen at most so long after its timestamp."""
LATENCY_SECONDS = 0.05
LATE_SHARE = {"bad": 0.4}
"""Share of the requests that a version answers late, by image."""
USUAL_SHARE = 0.003
EPOCH = clock.START.timestamp()
Key = tuple[str, str]
Pods = Callable[[str, str], str | None]
"""Image of the ready pods behind a Service, by namespace and name; None without any."""


class Numbers(NamedTuple):
    """Requests that have ended, and those of them that were late or failed."""

    requests: int = 0
    bad: int = 0


class Traffic:
    """Clients, one Envoy, and one Prometheus. What is set to False is away."""

    def __init__(self, seed: int, pods: Pods) -> None:
        chance = random.Random(f"traffic {seed}")
        self.late_share = dict(LATE_SHARE)
        self.requests_per_second = float(REQUESTS_PER_SECOND)
        self.answers = True
        """Prometheus can be asked."""
        self.scrapes = True
        """Prometheus takes samples."""
        self.finds_envoy = True
        """Its configuration has the Envoy among what it scrapes."""
        self.prometheus = FakePrometheus()
        self._pods = pods
        self._backends: dict[Key, Backend] = {}
        self._credit: dict[tuple[Key, str], float] = {}
        self._looked_at = 0.0
        self._scrape_at = chance.uniform(0, SCRAPE_SECONDS)
        self._chance = chance
        self._pending: list[tuple[float, Callable[[], None]]] = []
        self._times: list[float] = []
        self._scraped: list[dict[Key, Numbers]] = []
        self._lost: list[list[float]] = []

    def look(self, at: float, views: Mapping[Key, Mapping[str, int]]) -> None:
        """Let the requests since the last look end; scrape if it is time. `views`: percent by backend of each route."""
        seconds, self._looked_at = at - self._looked_at, at
        for (namespace, _), view in views.items():
            for name, weight in view.items():
                self._requests((namespace, name), seconds * self.requests_per_second * weight / 100)
        if at >= self._scrape_at:
            self._scrape_at += SCRAPE_SECONDS
            self._scrape(at)
        while self._pending and self._pending[0][0] <= at:
            self._pending.pop(0)[1]()
        self.prometheus.down = "" if self.answers else "Unreachable"
        self._note_loss(at)

    # What is so, for those who check

    def counted(self, key: Key, start: float, end: float) -> Numbers:
        """What a backend's counters grew by in (start, end], by the last scrapes; loop's seconds."""
        was, is_ = self._at(key, start), self._at(key, end)
        return Numbers(is_.requests - was.requests, is_.bad - was.bad)

    def lost_seconds(self, start: float, end: float) -> float:
        """For how much of a time nothing was counted. What Prometheus has and cannot tell now is not lost."""
        return sum(max(0.0, min(end, until) - max(start, since)) for since, until in self._lost)

    def _at(self, key: Key, at: float) -> Numbers:
        index = bisect.bisect_right(self._times, at)
        return self._scraped[index - 1].get(key, Numbers()) if index else Numbers()

    def _note_loss(self, at: float) -> None:
        if self.scrapes and self.finds_envoy:
            return
        if not self._lost or self._lost[-1][1] < at - 1:
            self._lost.append([at, at])
        self._lost[-1][1] = at

    # What happens

    def _requests(self, key: Key, number: float) -> None:
        backend = self._backends.setdefault(
            key, Backend(key[1].rpartition("-")[2], prefix=f"httproute/{key[0]}/digits/rule/0/backend/")
        )
        whole = self._whole(key, "all", number)
        image = self._pods(*key)
        if image is None:
            backend.failed += whole
            return
        late = min(whole, self._whole(key, "late", whole * self.late_share.get(image, USUAL_SHARE)))
        backend.late += late
        backend.good += whole - late

    def _whole(self, key: Key, what: str, number: float) -> int:
        credit = self._credit.get((key, what), 0.0) + number
        self._credit[key, what] = credit - int(credit)
        return int(credit)

    def _scrape(self, at: float) -> None:
        if not self.scrapes:
            return
        stamp, seen_at = EPOCH + at, at + self._chance.uniform(0, LAG_SECONDS)
        self._pending.append((seen_at, lambda: self.prometheus.scrape(stamp, {}, {"job": "other"})))
        if not self.finds_envoy:
            return
        exposed = {
            labels: value for backend in self._backends.values() for labels, value in backend.exposed.items()
        }
        self._pending.append((seen_at, lambda: self.prometheus.scrape(stamp, exposed, ENVOY_TARGET)))
        self._times.append(at)
        self._scraped.append(
            {key: Numbers(b.good + b.late + b.failed, b.late + b.failed) for key, b in self._backends.items()}
        )


class Questions:
    """Stands in for `serving_io.prometheus.Prometheus`: the same questions, answered a little later."""

    def __init__(self, prometheus: FakePrometheus) -> None:
        self._prometheus = prometheus

    async def query(self, promql: str, at: float | None = None) -> Answer:
        """Instant query. Raises `SignalUnavailable`."""
        await asyncio.sleep(LATENCY_SECONDS)
        return await self._prometheus.query(promql, at)

    async def query_range(self, promql: str, *range_: Any) -> RangeAnswer:
        """Range query. Raises `SignalUnavailable`."""
        await asyncio.sleep(LATENCY_SECONDS)
        return await self._prometheus.query_range(promql, *range_)

    def close(self) -> None:
        """Nothing is open."""

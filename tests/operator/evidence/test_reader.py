"""The reading task in virtual time: when it asks, whom it tells, what it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from serving_api.names import ServiceKey
from serving_operator.evidence.reader import EvidenceReader
from serving_operator.judge.windows import Window
from serving_operator.metrics import Metrics
from tests.fakes.envoy import ENVOY_TARGET, Backend
from tests.fakes.prometheus import FakePrometheus
from tests.operator.evidence.worlds import CANARY, KEY, QUESTION, STABLE, T0, after

pytestmark = pytest.mark.looptime


class Scene:
    """A reader that runs, and an Envoy that is scraped every five seconds with one more request of each side."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._begun = loop.time()
        self.scraping = True
        self.prometheus = FakePrometheus()
        self.changed: list[tuple[float, ServiceKey]] = []
        self.reader = EvidenceReader(
            self.prometheus, changed=lambda key: self.changed.append((self.now(), key)), now=self.now
        )

    def now(self) -> float:
        """Seconds since 1970, by the loop's clock."""
        return T0 + asyncio.get_running_loop().time() - self._begun

    async def scrapes(self) -> None:
        """Scrape until cancelled."""
        count = 0
        while True:
            count += 1
            exposed = Backend(STABLE, good=4 * count).exposed | Backend(CANARY, good=count).exposed
            if self.scraping:
                self.prometheus.scrape(self.now(), exposed, ENVOY_TARGET)
            await asyncio.sleep(5)


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    """A scene that plays."""
    made = Scene()
    tasks = [asyncio.create_task(made.scrapes()), asyncio.create_task(made.reader.run())]
    try:
        yield made
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_it_asks_when_a_window_has_ended() -> None:
    """Nothing is asked before the first window is due; each window is told to the work queue once."""
    async with scene() as play:
        play.reader.track(KEY, QUESTION)
        await asyncio.sleep(79)
        assert play.prometheus.asked == []
        await asyncio.sleep(170)

        assert [round(at - T0) for at, _ in play.changed] == [80, 140, 200]
        evidence = play.reader.evidence(KEY)
        assert evidence is not None
        assert evidence.windows == (Window(12, 0, 48, 0),) * 3


async def test_the_next_step_begins_anew() -> None:
    """Another question of the same service drops what was counted; none ends it."""
    async with scene() as play:
        play.reader.track(KEY, QUESTION)
        await asyncio.sleep(100)
        later = replace(QUESTION, started_at=QUESTION.started_at + timedelta(seconds=100))
        play.reader.track(KEY, later)
        fresh = play.reader.evidence(KEY)
        assert fresh is not None
        assert (fresh.windows, fresh.started_at) == ((), later.started_at)
        await asyncio.sleep(90)
        counted = play.reader.evidence(KEY)
        assert counted is not None
        assert len(counted.windows) == 1

        play.reader.track(KEY, None)
        assert play.reader.evidence(KEY) is None


async def test_it_ends_when_it_is_told_to_while_something_is_asked() -> None:
    """What a last reconcile asks does not keep an operator that is stopped from ending."""
    reader = EvidenceReader(FakePrometheus(), now=lambda: T0)
    reader.track(KEY, QUESTION)
    task = asyncio.create_task(reader.run())
    await asyncio.sleep(10)
    reader.track(KEY, replace(QUESTION, started_at=QUESTION.started_at + timedelta(seconds=10)))
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=100)
    assert done


async def test_it_survives_what_it_cannot_understand() -> None:
    """An answer of another shape is missing evidence, not the end of the task."""
    async with scene() as play:
        play.reader.track(KEY, QUESTION)
        kept, play.prometheus.query = play.prometheus.query, None  # type: ignore[method-assign,assignment]
        await asyncio.sleep(85)
        evidence = play.reader.evidence(KEY)
        assert evidence is not None
        assert evidence.missing is not None
        assert evidence.missing.reason == "Unreadable"

        play.prometheus.query = kept  # type: ignore[method-assign]
        await asyncio.sleep(15)
        evidence = play.reader.evidence(KEY)
        assert evidence is not None
        assert (len(evidence.windows), evidence.missing) == (1, None)


async def test_without_prometheus_it_says_so() -> None:
    """An operator that was not told of a Prometheus has no evidence, and names the setting."""
    reader = EvidenceReader(None)
    reader.track(KEY, QUESTION)
    task = asyncio.create_task(reader.run())
    await asyncio.sleep(100)
    evidence = reader.evidence(KEY)
    task.cancel()

    assert evidence is not None
    assert evidence.missing is not None
    assert evidence.missing.reason == "PrometheusNotConfigured"
    assert "prometheus.url" in evidence.missing.message


async def test_windows_without_a_scrape_are_told_apart() -> None:
    """Of four minutes two had no scrape: their windows are blind, and the next one has what they missed."""
    async with scene() as play:
        play.reader.track(KEY, QUESTION)
        await asyncio.sleep(61)
        play.scraping = False
        await asyncio.sleep(121)
        play.scraping = True
        await asyncio.sleep(after(4) - T0 - 182 + 6)
        evidence = play.reader.evidence(KEY)

    assert evidence is not None
    assert (len(evidence.windows), evidence.blind_windows) == (4, 2)
    assert [window.requests for window in evidence.windows][1:] == [0, 0, 36]


async def test_metrics_grow_with_the_windows() -> None:
    """What was counted is shown by side, and ends with the step."""
    metrics = Metrics()
    step = {"namespace": "demo", "service": "digits", "attempt": QUESTION.attempt}

    def shown(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, step | labels)

    async with scene() as play:
        play.reader.track(KEY, QUESTION)
        await asyncio.sleep(after(2) - T0 + 6)
        metrics.service_seen(KEY, {}, {}, play.reader.evidence(KEY))

    assert shown("serving_canary_windows", source="envoy-gateway") == 2
    assert shown("serving_canary_requests", side="canary") == 24
    assert shown("serving_canary_bad_requests", side="stable") == 0
    worse, good = shown("serving_canary_worse_than_stable"), shown("serving_canary_good_enough")
    assert worse is not None
    assert good is not None
    assert 0 < worse <= 1 < good
    metrics.service_seen(KEY, {}, {}, None)
    assert shown("serving_canary_windows", source="envoy-gateway") is None

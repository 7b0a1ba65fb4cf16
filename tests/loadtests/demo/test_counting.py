"""The demo's reader of the operator's metrics, on a Prometheus of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from loadtests.demo.counting import Counter
from loadtests.demo.evidence import Counted


class Answers:
    """What the Prometheus answers: series, or None for an error."""

    def __init__(self) -> None:
        self.series: list[dict[str, Any]] | None = []
        self.asked: set[str] = set()

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.add(request.query["query"])
        if self.series is None:
            return web.Response(status=503)
        return web.json_response({"data": {"result": self.series}})


@pytest.fixture
async def prometheus() -> AsyncIterator[tuple[str, Answers]]:
    """Its address, and what it answers."""
    answers = Answers()
    app = web.Application()
    app.router.add_get("/api/v1/query", answers.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}", answers
    await runner.cleanup()


def windows(number: int) -> list[dict[str, Any]]:
    return [{"metric": {"__name__": "serving_canary_windows", "attempt": "b-2"}, "value": [0, str(number)]}]


async def test_the_history_grows_when_the_answer_changes(prometheus: tuple[str, Answers]) -> None:
    """No step, windows that grow and the step's end are noted once each; an error is no answer."""
    url, answers = prometheus
    counter = Counter(url, "demo", "digits", lambda: 7.0)
    async with aiohttp.ClientSession() as session:
        for series in ([], windows(1), windows(1), None, windows(2), []):
            answers.series = series
            await counter.look(session)
            await counter.look(session)
    assert counter.counts == [
        (7.0, None),
        (7.0, Counted("b-2", 1, 0, 0, 0, 0)),
        (7.0, Counted("b-2", 2, 0, 0, 0, 0)),
        (7.0, None),
    ]
    assert answers.asked == {'{__name__=~"serving_canary_.+", namespace="demo", service="digits"}'}

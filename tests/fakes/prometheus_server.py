"""A Prometheus over real HTTP that holds series and answers the three forms that `servingctl check` asks:
a selector, `timestamp(selector)` and `topk(n, timestamp(selector))`.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from typing import Any, Self

from aiohttp import web

_QUESTION = re.compile(r"(?:topk\((?P<limit>\d+), )?timestamp\((?P<name>[\w:]+)\{(?P<matchers>.*)\}\)\)?")
_MATCHER = re.compile(r'(\w+)(=~|!=|=)"((?:[^"\\]|\\.)*)"')


class PrometheusServer:
    """A context manager. `add` series first; `token` is what a request must carry; `page` is answered instead of JSON."""

    def __init__(self, *, token: str = "", page: str = "") -> None:
        self.series: list[tuple[dict[str, str], float]] = []
        self.asked: list[str] = []
        self.url = ""
        self._token = token
        self._page = page
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake Prometheus", daemon=True)
        self._runner: web.AppRunner | None = None

    def add(self, name: str, *, age_seconds: float, **labels: str) -> None:
        """Add a series that was sampled so long ago."""
        self.series.append(({"__name__": name, **labels}, time.time() - age_seconds))

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._runner is not None
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        application = web.Application()
        application.router.add_route("*", "/api/v1/query", self._query)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _query(self, request: web.Request) -> web.Response:
        if self._page:
            return web.Response(text=self._page, content_type="text/html")
        if self._token and request.headers.get("Authorization") != f"Bearer {self._token}":
            return web.Response(status=401, text="Unauthorized")
        promql = str((await request.post())["query"])
        self.asked.append(promql)
        found = _QUESTION.fullmatch(promql)
        if found is None:
            return web.json_response({"status": "error", "error": f"unknown form: {promql}"}, status=400)
        result = self._matching(found["name"], _MATCHER.findall(found["matchers"]))
        if found["limit"]:
            result = sorted(result, key=lambda one: -float(one["value"][1]))[: int(found["limit"])]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})

    def _matching(self, name: str, matchers: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
        found = []
        for labels, sampled_at in self.series:
            if labels["__name__"] == name and all(_matches(labels, *matcher) for matcher in matchers):
                shown = {key: value for key, value in labels.items() if key != "__name__"}
                found.append({"metric": shown, "value": [time.time(), str(sampled_at)]})
        return found


def _matches(labels: dict[str, str], label: str, operator: str, text: str) -> bool:
    value, text = labels.get(label, ""), re.sub(r"\\(.)", r"\1", text)
    if operator == "=~":
        return bool(re.fullmatch(text, value))
    return (value == text) == (operator == "=")

"""Follows the operator's metrics of a canary through Prometheus, as anyone's dashboard would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from loadtests.demo.evidence import Counted, counted

_POLL_SECONDS = 2.0
_ANSWER_SECONDS = 5.0


class Counter:
    """Asks every two seconds while it is entered; `counts` grows by one whenever the answer changes."""

    def __init__(self, prometheus_url: str, namespace: str, service: str, clock: Callable[[], float]) -> None:
        self.counts: list[tuple[float, Counted | None]] = []
        """Seconds by the clock given, and what the metrics said from then on."""
        self._url = f"{prometheus_url}/api/v1/query"
        self._query = f'{{__name__=~"serving_canary_.+", namespace="{namespace}", service="{service}"}}'
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Counter:
        self._task = asyncio.create_task(self._follow(), name="counter")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self, session: aiohttp.ClientSession) -> None:
        """Ask once. Without an answer nothing is noted: what is not known now is known two seconds later."""
        try:
            async with session.get(self._url, params={"query": self._query}) as answer:
                answer.raise_for_status()
                now = counted((await answer.json())["data"]["result"])
        except (aiohttp.ClientError, TimeoutError):
            return
        if not self.counts or self.counts[-1][1] != now:
            self.counts.append((self._clock(), now))

    async def _follow(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS)) as session:
            while True:
                await self.look(session)
                await asyncio.sleep(_POLL_SECONDS)

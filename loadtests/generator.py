"""Sends requests when they are due, whatever became of those before, and counts what becomes of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import aiohttp

from loadtests.arrivals import Arrivals, Spacing
from loadtests.profile import Profile
from loadtests.record import Failure, Record

REVISION_HEADER = "x-serving-revision"

_Outcome = tuple[int, Failure, str]


@dataclass(frozen=True)
class Request:
    """What is sent, every time the same."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout_seconds: float = 30.0


class LoadGenerator:
    """An open-loop load on one URL, on an event loop of the caller's.

    Use as an async context manager; set the rate as often as wanted; read `records` at any time.
    Nothing is retried, redirects are answers, and there is no limit to the connections in use.
    """

    def __init__(self, request: Request, *, spacing: Spacing = "poisson", seed: int = 0) -> None:
        self.request = request
        self.records: list[Record] = []
        """Requests that have ended, in the order of their end."""
        self.sent = 0
        """Requests that were sent, ended or not."""
        self._arrivals = Arrivals(spacing, seed)
        self._changed = asyncio.Event()
        self._in_flight: dict[asyncio.Task[None], float] = {}
        self._session: aiohttp.ClientSession | None = None
        self._dispatcher: asyncio.Task[None] | None = None
        self._started = 0.0
        self.started_unix_seconds = 0.0
        """Wall-clock time of second 0 of all records."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=False),
            timeout=aiohttp.ClientTimeout(total=self.request.timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        # aiohttp sends a GET again when a kept connection breaks; a load generator must report the break.
        self._session._retry_connection = False
        self._started = time.monotonic()
        self.started_unix_seconds = time.time()
        self._dispatcher = asyncio.create_task(self._dispatch(), name="load-dispatcher")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        if self._session:
            await self._session.close()

    @property
    def now_seconds(self) -> float:
        """Seconds since the start of the load: the clock of all records."""
        return time.monotonic() - self._started

    @property
    def rate_per_second(self) -> float:
        """The rate in force."""
        return self._arrivals.rate_per_second

    @property
    def in_flight(self) -> int:
        """Requests that were sent and have not ended."""
        return len(self._in_flight)

    def set_rate(self, rate_per_second: float) -> None:
        """Change the rate from now on."""
        self._arrivals.change(self.now_seconds, rate_per_second)
        self._changed.set()

    async def play(self, profile: Profile) -> None:
        """Follow a profile from now on and return at its end, with requests possibly still in flight."""
        begin = self.now_seconds
        for change in profile.changes:
            self._arrivals.change(begin + change.at_seconds, change.rate_per_second)
        self._arrivals.change(begin + profile.duration_seconds, 0.0)
        self._changed.set()
        await asyncio.sleep(begin + profile.duration_seconds - self.now_seconds)

    async def stop(self, *, grace_seconds: float | None = None) -> None:
        """Send nothing more and wait for what is in flight; what then still is, is recorded as aborted."""
        if self._dispatcher:
            self._dispatcher.cancel()
            await asyncio.gather(self._dispatcher, return_exceptions=True)
            self._dispatcher = None
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=grace_seconds)
        left = list(self._in_flight)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _dispatch(self) -> None:
        while True:
            self._changed.clear()
            for due_seconds in self._arrivals.due(self.now_seconds):
                self._send(due_seconds)
            delay = self._arrivals.next_event() - self.now_seconds
            try:
                async with asyncio.timeout(None if delay == float("inf") else max(0.0, delay)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _send(self, scheduled_seconds: float) -> None:
        self.sent += 1
        task = asyncio.create_task(self._follow(self.sent, scheduled_seconds))
        self._in_flight[task] = scheduled_seconds
        task.add_done_callback(self._in_flight.pop)

    async def _follow(self, number: int, scheduled_seconds: float) -> None:
        sent_seconds = self.now_seconds
        outcome: _Outcome = (0, "aborted", "")
        try:
            outcome = await self._exchange()
        finally:
            self.records.append(Record(number, scheduled_seconds, sent_seconds, self.now_seconds, *outcome))

    async def _exchange(self) -> _Outcome:
        assert self._session is not None, "LoadGenerator is used as `async with LoadGenerator(…)`"
        revision = ""
        try:
            async with self._session.request(
                self.request.method,
                self.request.url,
                headers=self.request.headers,
                data=self.request.body,
                allow_redirects=False,
            ) as response:
                revision = response.headers.get(REVISION_HEADER, "")
                await response.read()
                return response.status, "", revision
        except TimeoutError:
            return 0, "timeout", revision
        except aiohttp.ClientConnectorError:
            return 0, "refused", revision
        except (aiohttp.ClientResponseError, aiohttp.InvalidURL):
            return 0, "invalid", revision
        except (aiohttp.ClientError, OSError):
            return 0, "reset", revision

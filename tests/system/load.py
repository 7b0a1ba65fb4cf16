"""What clients and Prometheus see of the services that system tests make."""

from __future__ import annotations

import asyncio
import threading

import httpx

from loadtests.generator import LoadGenerator, Request
from loadtests.record import Record
from localcluster.cluster import Cluster
from tests.system.kube import Manifest, until


class Load:
    """An open-loop load through the gateway, on a thread of its own; every response is counted."""

    def __init__(
        self,
        cluster: Cluster,
        host: str,
        rate: float,
        path: str = "/",
        timeout_seconds: float = 15,
        body: bytes | None = None,
    ) -> None:
        self._request = Request(
            f"{cluster.gateway_url}{path}",
            method="GET" if body is None else "POST",
            headers={"Host": host} | ({} if body is None else {"Content-Type": "application/json"}),
            body=body,
            timeout_seconds=timeout_seconds,
        )
        self._rate = rate
        self._loop = asyncio.new_event_loop()
        self._stop: asyncio.Event | None = None
        self._generator: LoadGenerator | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._run(),), daemon=True
        )

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        async with LoadGenerator(self._request) as generator:
            self._generator = generator
            generator.set_rate(self._rate)
            self._ready.set()
            await self._stop.wait()
            await generator.stop()

    def __enter__(self) -> Load:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def set_rate(self, rate: float) -> None:
        """Change the arrivals per second."""
        assert self._generator is not None
        self._loop.call_soon_threadsafe(self._generator.set_rate, rate)

    @property
    def started_unix_seconds(self) -> float:
        """Wall-clock time of second 0 of all records."""
        assert self._generator is not None
        return self._generator.started_unix_seconds

    @property
    def records(self) -> list[Record]:
        """Requests that have ended so far."""
        assert self._generator is not None
        return list(self._generator.records)

    def go_on(self, requests: int = 20) -> None:
        """Wait until so many more requests have ended."""
        target = len(self.records) + requests
        until("the load goes on", lambda: len(self.records) >= target)

    def bad(self) -> list[Record]:
        """Responses other than 2xx, time-outs and resets."""
        return [record for record in self.records if not record.is_success]

    def ended(self, revision: str, start: float, end: float) -> list[Record]:
        """Answers of a revision that have ended between two moments, in seconds since 1970."""
        begun = self.started_unix_seconds
        return [
            record
            for record in self.records
            if record.revision == revision and start < begun + record.ended_seconds <= end
        ]


def answers(cluster: Cluster, host: str, path: str = "/") -> httpx.Response:
    """One request through the gateway."""
    return httpx.get(f"{cluster.gateway_url}{path}", headers={"Host": host}, timeout=15)


def measured(cluster: Cluster, promql: str) -> list[Manifest]:
    """What Prometheus answers to an instant query: its series with a number."""
    answer = httpx.get(f"{cluster.prometheus_url}/api/v1/query", params={"query": promql})
    answer.raise_for_status()
    series: list[Manifest] = answer.json()["data"]["result"]
    return [found for found in series if found["value"][1] != "NaN"]

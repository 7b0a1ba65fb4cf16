"""The queue's rules, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator

import pytest

from serving_api.names import ServiceKey
from serving_io.errors import TooManyRequests, Unavailable
from serving_operator.workqueue import BACKOFF_CAP_SECONDS, Reconcile, WorkQueue

A, B, C = (ServiceKey("one", name) for name in "abc")
FAR = ServiceKey("two", "z")

pytestmark = pytest.mark.looptime


class Recorder:
    """Notes when each key ran; may fail or ask to run again."""

    def __init__(self, takes_seconds: float = 0.0) -> None:
        self.runs: list[tuple[float, ServiceKey]] = []
        self.active = 0
        self.most_active: dict[ServiceKey, int] = {}
        self.takes_seconds = takes_seconds
        self.failures = 0
        self.error: Exception = Unavailable(503, "", "away")
        self.again: float | None = None
        self._running: list[ServiceKey] = []

    async def __call__(self, key: ServiceKey) -> float | None:
        self.runs.append((asyncio.get_running_loop().time(), key))
        self._running.append(key)
        self.most_active[key] = max(self.most_active.get(key, 0), self._running.count(key))
        try:
            await asyncio.sleep(self.takes_seconds)
        finally:
            self._running.remove(key)
        if self.failures:
            self.failures -= 1
            raise self.error
        again, self.again = self.again, None
        return again

    def times(self, key: ServiceKey) -> list[float]:
        """When a key ran, to a tenth of a second."""
        return [round(at, 1) for at, ran in self.runs if ran == key]


@contextlib.asynccontextmanager
async def working(queue: WorkQueue, reconcile: Reconcile, workers: int = 1) -> AsyncIterator[None]:
    """Run the queue while the block lasts."""
    task = asyncio.create_task(queue.run(reconcile, workers=workers))
    try:
        yield
    finally:
        queue.close()
        await task


async def test_a_key_waits_once() -> None:
    """However often a key is added while it waits, it runs once."""
    queue, seen = WorkQueue(), Recorder()
    for _ in range(5):
        queue.add(A)
    assert queue.depth == 1

    async with working(queue, seen):
        await asyncio.sleep(10)

    assert [key for _, key in seen.runs] == [A]


async def test_a_key_runs_once_at_a_time() -> None:
    """A key added while it runs runs again afterwards, once, and never beside itself."""
    queue, seen = WorkQueue(), Recorder(takes_seconds=2)

    async with working(queue, seen, workers=4):
        queue.add(A)
        await asyncio.sleep(1)
        queue.add(A)
        queue.add(A)
        await asyncio.sleep(10)

    assert seen.times(A) == [0.0, 2.0]
    assert seen.most_active == {A: 1}


async def test_different_keys_run_together() -> None:
    """Workers work on different keys at the same time."""
    queue, seen = WorkQueue(), Recorder(takes_seconds=5)

    async with working(queue, seen, workers=2):
        queue.add(A)
        queue.add(B)
        await asyncio.sleep(1)
        assert queue.running == 2
        assert queue.longest_running_seconds() == pytest.approx(1)


async def test_failures_back_off_exponentially(caplog: pytest.LogCaptureFixture) -> None:
    """Each failure doubles the wait; a success forgets them; an expected error is one line without a traceback."""
    caplog.set_level(logging.WARNING)
    queue, seen = WorkQueue(), Recorder()
    seen.failures = 4

    async with working(queue, seen):
        queue.add(A)
        await asyncio.sleep(100)
        seen.failures = 1
        queue.add(A)
        await asyncio.sleep(100)

    assert seen.times(A) == [0.0, 0.2, 0.6, 1.4, 3.0, 100.0, 100.2]
    assert all(record.exc_info in (None, False) for record in caplog.records)
    assert "503" in caplog.text


async def test_the_wait_is_bounded() -> None:
    """A key that keeps failing is tried for ever, at a bounded distance."""
    queue, seen = WorkQueue(), Recorder()
    seen.failures = 30

    async with working(queue, seen):
        queue.add(A)
        await asyncio.sleep(5000)

    times = [at for at, _ in seen.runs]
    assert len(times) == 31
    longest = max(after - before for before, after in itertools.pairwise(times))
    assert longest == pytest.approx(BACKOFF_CAP_SECONDS)


async def test_a_server_that_asks_for_patience_gets_it() -> None:
    """Retry-After is a lower bound of the wait."""
    queue, seen = WorkQueue(), Recorder()
    seen.failures, seen.error = 1, TooManyRequests(429, "", "slow down", retry_after=7)

    async with working(queue, seen):
        queue.add(A)
        await asyncio.sleep(20)

    assert seen.times(A) == [0.0, 7.0]


async def test_unexpected_errors_show_where_they_come_from(caplog: pytest.LogCaptureFixture) -> None:
    """A mistake of ours ends neither the worker nor the process, and its traceback is in the log."""
    queue, seen = WorkQueue(), Recorder()
    seen.failures, seen.error = 1, KeyError("spec")

    async with working(queue, seen):
        queue.add(A)
        await asyncio.sleep(5)

    assert seen.times(A) == [0.0, 0.2]
    assert caplog.records[0].exc_info


async def test_a_key_runs_again_when_it_asked_to() -> None:
    """A run that returns seconds is followed by another after them, or earlier if an event comes."""
    queue, seen = WorkQueue(), Recorder()

    async with working(queue, seen):
        seen.again = 30.0
        queue.add(A)
        await asyncio.sleep(40)
        seen.again = 30.0
        queue.add(A)
        await asyncio.sleep(5)
        queue.add(A)
        await asyncio.sleep(60)

    assert seen.times(A) == [0.0, 30.0, 40.0, 45.0]


async def test_the_earlier_of_two_wishes_holds() -> None:
    """A later wish does not put off an earlier one, and an earlier one replaces a later one."""
    queue, seen = WorkQueue(), Recorder()

    async with working(queue, seen):
        queue.add_after(A, 10)
        queue.add_after(A, 20)
        queue.add_after(B, 20)
        queue.add_after(B, 10)
        await asyncio.sleep(60)

    assert (seen.times(A), seen.times(B)) == ([10.0], [10.0])


async def test_namespaces_take_turns() -> None:
    """One service of a quiet namespace does not wait for all of a busy one."""
    queue, seen = WorkQueue(), Recorder()
    for key in (A, B, C, FAR):
        queue.add(key)

    async with working(queue, seen):
        await asyncio.sleep(1)

    assert [key for _, key in seen.runs] == [A, FAR, B, C]


async def test_closing_finishes_what_runs() -> None:
    """After closing, running keys finish and waiting ones are left."""
    queue, seen = WorkQueue(), Recorder(takes_seconds=5)
    task = asyncio.create_task(queue.run(seen, workers=1))
    queue.add(A)
    queue.add(B)
    queue.add_after(C, 2)
    await asyncio.sleep(1)

    queue.close()
    await task

    assert asyncio.get_running_loop().time() == pytest.approx(5)
    assert [key for _, key in seen.runs] == [A]


async def test_forgetting_drops_the_plan() -> None:
    """A service that is gone is not looked at again."""
    queue, seen = WorkQueue(), Recorder()

    async with working(queue, seen):
        queue.add_after(A, 10)
        queue.forget(A)
        await asyncio.sleep(60)

    assert seen.runs == []


async def test_a_standstill_is_seen() -> None:
    """Keys that wait while nothing finishes are noticed; an empty queue is no standstill."""
    queue, seen = WorkQueue(), Recorder(takes_seconds=400)
    assert queue.idle_while_waiting_seconds() == 0

    async with working(queue, seen):
        queue.add(A)
        await asyncio.sleep(1)
        queue.add(B)
        await asyncio.sleep(300)
        assert queue.idle_while_waiting_seconds() == pytest.approx(300)
        await asyncio.sleep(200)
        assert queue.idle_while_waiting_seconds() == 0

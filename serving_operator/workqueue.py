"""A queue of keys: each is there at most once, runs at most once at a time, and comes back when it failed."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Protocol

from serving_api.names import ServiceKey
from serving_io.errors import ServingIOError

BACKOFF_BASE_SECONDS = 0.2
BACKOFF_CAP_SECONDS = 60.0

Reconcile = Callable[[ServiceKey], Awaitable[float | None]]
"""Works on one key; returns the seconds after which it wants to run again, if it does. Raises to back off."""

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Is told what happens in the queue. Durations in seconds."""

    def added(self) -> None:
        """A key has entered."""

    def taken(self, waited_seconds: float) -> None:
        """A worker has taken a key that waited so long."""

    def finished(self, result: str, worked_seconds: float) -> None:
        """A run has ended; `result` is success, requeue_after or error."""

    def retried(self) -> None:
        """A key will run again because its run failed."""


class WorkQueue:
    """Keys to work on. Namespaces take turns, so that one with many services does not hold up the others."""

    def __init__(self, observer: Observer | None = None) -> None:
        self._observer = observer
        self._waiting: OrderedDict[str, OrderedDict[ServiceKey, float]] = OrderedDict()
        self._running: dict[ServiceKey, float] = {}
        self._dirty: set[ServiceKey] = set()
        self._later: dict[ServiceKey, asyncio.TimerHandle] = {}
        self._failures: dict[ServiceKey, int] = {}
        self._available = asyncio.Event()
        self._closed = False
        self._finished_at: float | None = None

    def add(self, key: ServiceKey) -> None:
        """Run the key soon. If it runs now, it runs again afterwards."""
        self._forget_timer(key)
        if key in self._running:
            self._dirty.add(key)
            return
        keys = self._waiting.setdefault(key.namespace, OrderedDict())
        if key in keys:
            return
        keys[key] = _now()
        self._available.set()
        if self._observer:
            self._observer.added()

    def add_after(self, key: ServiceKey, seconds: float) -> None:
        """Run the key in so many seconds, or earlier if it is already to run earlier."""
        if key in self._waiting.get(key.namespace, ()) or key in self._dirty:
            return
        due, timer = _now() + seconds, self._later.get(key)
        if timer is not None and timer.when() <= due:
            return
        self._forget_timer(key)
        self._later[key] = asyncio.get_running_loop().call_at(due, self.add, key)

    def forget(self, key: ServiceKey) -> None:
        """Drop what is planned for a key whose service is gone."""
        self._forget_timer(key)
        self._failures.pop(key, None)

    def close(self) -> None:
        """Give out no more keys; running ones finish."""
        self._closed = True
        for key in list(self._later):
            self._forget_timer(key)
        self._available.set()

    async def run(self, reconcile: Reconcile, *, workers: int) -> None:
        """Work until the queue is closed. Cancel to stop at once."""
        async with asyncio.TaskGroup() as group:
            for index in range(workers):
                group.create_task(self._work(reconcile), name=f"worker-{index}")

    @property
    def depth(self) -> int:
        """How many keys wait."""
        return sum(len(keys) for keys in self._waiting.values())

    @property
    def running(self) -> int:
        """How many keys are being worked on."""
        return len(self._running)

    def longest_running_seconds(self) -> float:
        """How long the oldest run has been going on."""
        return _now() - min(self._running.values()) if self._running else 0.0

    def unfinished_seconds(self) -> float:
        """How long all runs that are going on have taken together."""
        return sum(_now() - started for started in self._running.values())

    def idle_while_waiting_seconds(self) -> float:
        """How long nothing has finished although keys wait."""
        oldest = min((at for keys in self._waiting.values() for at in keys.values()), default=None)
        if oldest is None:
            return 0.0
        return _now() - max(oldest, self._finished_at or oldest)

    async def _work(self, reconcile: Reconcile) -> None:
        while True:
            taken = await self._take()
            if taken is None:
                return
            key, waited_seconds = taken
            if self._observer:
                self._observer.taken(waited_seconds)
            started = _now()
            result, again = "success", None
            try:
                again = await reconcile(key)
                self._failures.pop(key, None)
            except Exception as error:
                # Whatever it is, the next run may find it gone; the process must not end for one service.
                again, result = max(self._backoff(key), getattr(error, "retry_after", None) or 0.0), "error"
                log.warning(
                    "%s: %s; again in %.1f s",
                    key,
                    f"{type(error).__name__}: {error}",
                    again,
                    exc_info=log.isEnabledFor(logging.DEBUG) or not isinstance(error, ServingIOError),
                )
            finally:
                self._running.pop(key, None)
                self._finished_at = _now()
            if self._observer:
                named = "requeue_after" if result == "success" and again is not None else result
                self._observer.finished(named, _now() - started)
            if self._closed:
                return
            if key in self._dirty:
                self._dirty.discard(key)
                if result == "error":
                    self.add_after(key, again or 0.0)
                else:
                    self.add(key)
            elif again is not None:
                self.add_after(key, again)

    async def _take(self) -> tuple[ServiceKey, float] | None:
        while not self._closed:
            if self._waiting:
                namespace, keys = next(iter(self._waiting.items()))
                key, since = keys.popitem(last=False)
                if keys:
                    self._waiting.move_to_end(namespace)
                else:
                    del self._waiting[namespace]
                now = _now()
                self._running[key] = now
                return key, now - since
            self._available.clear()
            await self._available.wait()
        return None

    def _backoff(self, key: ServiceKey) -> float:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        if self._observer:
            self._observer.retried()
        return float(min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2 ** min(failures, 16)))

    def _forget_timer(self, key: ServiceKey) -> None:
        timer = self._later.pop(key, None)
        if timer is not None:
            timer.cancel()


def _now() -> float:
    return asyncio.get_running_loop().time()

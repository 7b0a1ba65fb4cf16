"""Virtual time: an event loop that never waits; when nothing is left to do it jumps to its next timer.

Nothing in a run touches a socket or a thread, so the selector is never asked either.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
START = datetime(2026, 1, 1, tzinfo=UTC)


class Deadlock(Exception):  # noqa: N818
    """Nothing is left to do, and no timer is set."""


class _Jump(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Deadlock
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Counts seconds from 0."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jump.now


def now() -> datetime:
    """The virtual wall clock."""
    return START + timedelta(seconds=asyncio.get_running_loop().time())


def text(moment: datetime) -> str:
    """A moment as the API spells it."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def second() -> str:
    """This moment to the second, as the API server and kubelets tell it."""
    return text(now().replace(microsecond=0))


def run(scenario: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario())

"""Virtual time: an event loop that never waits; when nothing is left to do it jumps to its next timer.

Nothing in a run touches a socket or a thread, so the selector is never asked either. A process of a run can be frozen, as
by SIGSTOP: what it would do is done when it thaws, and its clock goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(eq=False)
class Process:
    """One life of the operator: whatever runs in a context of its own, by `OWNER`."""

    number: int
    is_dead: bool = False
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    died: asyncio.Event = field(default_factory=asyncio.Event)
    frozen: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it was."""
    _held: list[tuple[Callable[[], object], contextvars.Context]] | None = None

    def freeze(self, seconds: float) -> None:
        """Let nothing of it happen for so long."""
        self._held = []
        self.frozen.set()
        # By nobody's context: its own would be held as well.
        asyncio.get_running_loop().call_later(seconds, self.thaw, context=contextvars.Context())

    def thaw(self) -> None:
        """Let happen what was held, in its order."""
        held, self._held = self._held or [], None
        for callback, context in held:
            asyncio.get_running_loop().call_soon(callback, context=context)

    def happens(self, callback: Callable[..., object], context: contextvars.Context, *arguments: Any) -> None:
        """Call back, or hold it."""
        if self._held is None:
            callback(*arguments)
        else:
            self._held.append((functools.partial(callback, *arguments), context))


OWNER: contextvars.ContextVar[Process | None] = contextvars.ContextVar("owner", default=None)
"""The process whose code runs."""


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

    def call_soon(
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Held back while its process is frozen."""
        context = contextvars.copy_context() if context is None else context
        return super().call_soon(*_owned(callback, args, context), context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Likewise."""
        context = contextvars.copy_context() if context is None else context
        return super().call_at(when, *_owned(callback, args, context), context=context)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jump.now


def _owned(callback: Any, arguments: tuple[Any, ...], context: contextvars.Context) -> tuple[Any, ...]:
    owner = context.get(OWNER)
    return (callback, *arguments) if owner is None else (owner.happens, callback, context, *arguments)


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

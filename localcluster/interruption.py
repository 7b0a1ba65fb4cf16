"""SIGINT and SIGTERM, for commands that must tidy up before they end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_T = TypeVar("_T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _raise() -> None:
    raise KeyboardInterrupt


@contextmanager
def first_only(interrupt: Callable[[], object] = _raise) -> Iterator[None]:
    """Call `interrupt` at the first SIGINT or SIGTERM, and ignore all later ones, also after the block.

    One wish to end arrives more than once: people press Ctrl-C again, `timeout` signals a whole process group,
    and `make` passes on what it gets. What comes second must not cut short the tidying up that the first began.
    Without a signal, the handlers of before are in force again after the block.
    """
    interrupted = False

    def handle(*_: object) -> None:
        nonlocal interrupted
        interrupted = True
        ignore()
        interrupt()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        if not interrupted:
            for number, handler in before.items():
                signal.signal(number, handler)


async def cancellable(work: Coroutine[Any, Any, _T]) -> _T:
    """Do the work; SIGINT and SIGTERM cancel it, so that nothing is torn out of the middle of a step."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    with first_only(lambda: loop.call_soon_threadsafe(task.cancel)):
        return await task


def ignore() -> None:
    """Ignore SIGINT and SIGTERM from now on."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)

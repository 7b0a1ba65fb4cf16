"""Waiting for what happens in another thread or task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], bool], seconds: float = 120.0) -> None:
    """Return as soon as `holds()`; TimeoutError if it never does."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  (what is awaited runs elsewhere)
            await asyncio.sleep(0.01)

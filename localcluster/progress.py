"""Lines that say what takes long: rewritten in place on a terminal, every few seconds elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from typing import TextIO

_QUIET_SECONDS = 15.0


def clock(seconds: float) -> str:
    """`75.2` as `1:15`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress:
    """Prints events with the time since the start; safe to use from several threads."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._started_at = time.monotonic()
        self._spoke_at = float("-inf")
        self._transient = False
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            self._write(text, keep=True)

    def update(self, text: str) -> None:
        """A line that the next one replaces."""
        with self._lock:
            if self._stream.isatty() or time.monotonic() - self._spoke_at > _QUIET_SECONDS:
                self._write(text, keep=not self._stream.isatty())

    def _write(self, text: str, keep: bool) -> None:
        start = "\r\x1b[K" if self._transient else ""
        stamp = clock(time.monotonic() - self._started_at)
        self._stream.write(f"{start}{stamp:>6}  {text}" + ("\n" if keep else ""))
        self._stream.flush()
        self._transient = not keep
        self._spoke_at = time.monotonic()

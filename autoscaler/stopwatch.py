"""What the parts of a tick take."""

from __future__ import annotations

import time


class Stopwatch:
    """CPU seconds of this process, all its threads, and seconds that passed, since the part before."""

    def __init__(self) -> None:
        self.parts: dict[str, tuple[float, float]] = {}
        self._last = time.process_time(), time.monotonic()

    def spent(self, part: str) -> None:
        """A part has ended, and the next one begins."""
        now = time.process_time(), time.monotonic()
        self.parts[part] = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now

    def __str__(self) -> str:
        return ", ".join(
            f"{part} {cpu:.3f} s of CPU in {wall:.3f} s" for part, (cpu, wall) in self.parts.items()
        )

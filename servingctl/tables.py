"""Tables for people, as kubectl prints them: columns padded with blanks, the last one wrapped."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime

GAP = "   "
LEAST_WIDTH = 30


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, width: int = 0) -> str:
    """Return a table. With a `width` of the terminal, in columns, the last column is wrapped to fit; 0 is no limit."""
    cells = [list(header)] + [["-" if cell in (None, "") else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(header))]
    indent = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
    room = max(width - indent, LEAST_WIDTH) if width else 0
    lines = []
    for row in cells:
        start = "".join(cell.ljust(size) + GAP for cell, size in zip(row[:-1], widths[:-1], strict=True))
        last = (
            textwrap.wrap(row[-1], room, break_on_hyphens=False, break_long_words=False)
            if room
            else [row[-1]]
        )
        lines += [start + last[0]] + [" " * indent + more for more in last[1:]]
    return "\n".join(line.rstrip() for line in lines)


def age(since: str | None, now: datetime) -> str:
    """Spell how long ago a moment of the API was, in one unit: 42s, 5m, 3h, 12d; `-` if it is not known."""
    try:
        seconds = int((now - datetime.fromisoformat(str(since).replace("Z", "+00:00"))).total_seconds())
    except ValueError:
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"

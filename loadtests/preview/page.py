"""The page of all dashboards: panels in the order and at the widths that Grafana gives them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from autoscaler.replay.report.page import document
from autoscaler.replay.report.plot import Axis, Event
from loadtests.preview.answers import Answered, Range
from loadtests.preview.panels import drawn

COLUMNS = 24
PIXELS = 1380
"""Width of all columns, at which text has its size."""


def page(title: str, subtitle: str, answers: Sequence[Answered], over: Range) -> str:
    """Return the whole page; nothing of it is loaded from elsewhere."""
    links = " · ".join(f"<a href='#{escape(one.board.uid)}'>{escape(one.board.title)}</a>" for one in answers)
    return document(
        title,
        f"<h1>{escape(title)}</h1><p class='subtitle'>{escape(subtitle)} {links}</p>"
        f"{''.join(_board(one, over) for one in answers)}",
        GRID,
    )


def _board(answers: Answered, over: Range) -> str:
    board = answers.board
    events = tuple(Event(seconds, marker.name) for seconds, marker in answers.marks)
    panels = []
    for panel in board.panels:
        width = PIXELS * panel.width // COLUMNS - 40
        axis = Axis(0.0, over.end - over.begin, events, width=width)
        panels.append(drawn(panel, answers.lines[panel.title], axis, over))
    return (
        f"<section id='{escape(board.uid)}'><h1>{escape(board.title)}</h1>"
        f"<p class='subtitle'>{escape(board.description)}</p><div class='grid24'>{''.join(panels)}</div></section>"
    )


GRID = """
main{max-width:1420px}
section{margin-bottom:36px}
.grid24{display:grid;grid-template-columns:repeat(24,1fr);gap:10px}
.grid24 figure{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:10px 14px;margin:0;min-width:0}
.grid24 .note{margin:0 0 6px}
.nothing{color:var(--soft);text-align:center;padding:28px 0;margin:0}
.facts{margin:0}
table{font-size:13px;border:0}
th{text-align:left;font-weight:600;padding:6px 14px}
td:first-child{width:auto}
svg .on{fill:var(--s1);opacity:.75}
svg .off{fill:var(--s0);opacity:.35}
svg text.state{fill:var(--ink)}
@media (max-width:900px){.grid24 figure{grid-column:span 24 !important}}
"""

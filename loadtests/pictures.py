"""Plots under one another as one SVG file that needs no page around it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from autoscaler.replay.report.page import STYLE
from autoscaler.replay.report.plot import CHARACTER_WIDTH, COLOURS, WIDTH, Axis, Plot, elements

_HEADING = 30
_LEGEND = 20


def stacked(plots: Sequence[tuple[Plot, Axis]], label: str) -> str:
    """Return the picture; a plot of several series has their names above it."""
    parts, top = [], 0
    for plot, axis in plots:
        parts.append(
            f'<text class="title" x="16" y="{top + 20}">{escape(plot.title)}'
            f'<tspan class="unit" dx="8">{escape(plot.unit)}</tspan></text>'
        )
        top += _HEADING
        if len(plot.series) > 1:
            parts.append(_legend(plot, top))
            top += _LEGEND
        parts.append(f'<g transform="translate(0 {top})">{elements(plot, axis)}</g>')
        top += plot.height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img" '
        f'aria-label="{escape(label)}"><style>{STYLE}{_ALONE}</style>'
        f'<rect width="{WIDTH}" height="{top}" class="page"/>{"".join(parts)}</svg>\n'
    )


def _legend(plot: Plot, top: int) -> str:
    parts, x = [], 16.0
    for series in plot.series:
        colour = f"var(--s{series.colour % COLOURS})"
        parts.append(f'<rect x="{x:.0f}" y="{top + 4}" width="10" height="10" style="fill:{colour}"/>')
        parts.append(f'<text x="{x + 14:.0f}" y="{top + 13}">{escape(series.label)}</text>')
        x += 14 + len(series.label) * CHARACTER_WIDTH + 16
    return "".join(parts)


_ALONE = """
text{font:11.5px system-ui,"Segoe UI",Roboto,sans-serif}
text.title{font-size:15px;font-weight:600;fill:var(--ink)}
.unit{font-size:13px;font-weight:400;fill:var(--soft)}
.page{fill:var(--card)}
"""

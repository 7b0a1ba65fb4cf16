"""One panel as HTML: lines, states over time, single numbers or a table, from what was answered."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from math import log10

from autoscaler.replay.report.page import Fact, legend, tile
from autoscaler.replay.report.plot import BOTTOM, LEFT, RIGHT, Axis, Plot, Point, Series, draw
from loadtests.preview.answers import Line, Range
from manifests.dashboards.parts import Panel, Query

ROW = 20
ALL, MOST_OF_IT = 100.0, 60.0
"""Percent; an axis that shows most of it ends at all of it."""
LEAST = 1e-3
"""The lowest value of a logarithmic axis."""

_UNITS: Mapping[str, tuple[float, str]] = {
    "percentunit": (100.0, "%"),
    "percent": (1.0, "%"),
    "s": (1.0, "s"),
    "reqps": (1.0, "requests/s"),
    "ops": (1.0, "per second"),
    "none": (1.0, ""),
}

Lines = Sequence[Sequence[Line]]


def drawn(panel: Panel, lines: Lines, axis: Axis, over: Range) -> str:
    """Return a panel with its title and what it is for."""
    shapes: Mapping[str, Callable[[], str]] = {
        "states": lambda: _states(panel, lines, axis, over.step),
        "numbers": lambda: _numbers(panel, lines),
        "table": lambda: _table(panel, lines),
    }
    is_empty = not any(line.points for found in lines for line in found)
    if is_empty:
        body = f"<p class='nothing'>{escape(panel.nothing or 'No data')}</p>"
    else:
        body = shapes.get(panel.kind, lambda: _plot(panel, lines, axis, over.step))()
    unit = _UNITS.get(panel.unit, (1.0, panel.unit))[1] if panel.kind in ("lines", "steps") else ""
    if panel.logarithmic:
        unit = "powers of ten"
    return (
        f"<figure style='grid-column:span {panel.width}'><figcaption><h2>{escape(panel.title)}"
        f"<i>{escape(unit)}</i></h2></figcaption><p class='note'>{escape(panel.description)}</p>{body}</figure>"
    )


def named(legend: str, labels: Mapping[str, str]) -> str:
    """Return a legend with the labels that it names."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: labels.get(match[1], ""), legend).strip() or "value"


def in_words(value: float, unit: str | None) -> str:
    """Return a number as a person reads it."""
    if unit == "bool_yes_no":
        return "Yes" if value else "No"
    factor, sign = _UNITS.get(unit or "none", (1.0, unit or ""))
    scaled = value * factor
    digits = f"{scaled:.0f}" if float(scaled).is_integer() or abs(scaled) >= 100 else f"{scaled:.3g}"
    return f"{digits} {sign}".strip()


def _plot(panel: Panel, lines: Lines, axis: Axis, step: float) -> str:
    factor, _ = _UNITS.get(panel.unit, (1.0, ""))

    def value(number: float) -> float:
        return max(0.0, log10(max(number, LEAST))) if panel.logarithmic else number * factor

    told = [(query, line) for query, found in zip(panel.queries, lines, strict=True) for line in found]
    series = [
        Series(
            named(query.legend, line.labels),
            _with_gaps([(seconds, value(number)) for seconds, number in line.points], step),
            colour,
            "step" if panel.kind == "steps" else "line",
        )
        for colour, (query, line) in enumerate(told)
    ]
    least = 0.1 if panel.unit == "s" else 5.0 if panel.unit == "percentunit" else 1.0
    highest = max(number for one in series for _, number in one.points if number is not None)
    is_share = panel.unit.startswith("percent") and MOST_OF_IT < highest <= ALL
    plot = Plot(panel.title, "", series, minimum_top=least, top=ALL if is_share else None, height=190)
    return draw(plot, axis) + legend(series)


def _with_gaps(points: Sequence[tuple[float, float]], step: float) -> list[Point]:
    """Break the line where nothing was known for longer than a step."""
    made: list[Point] = []
    for seconds, value in points:
        if made and seconds - made[-1][0] > 1.5 * step:
            made.append((made[-1][0] + step, None))
        made.append((seconds, value))
    return made


def _states(panel: Panel, lines: Lines, axis: Axis, step: float) -> str:
    """A row for each series, with a bar for as long as it was there: orange for 1, blue for 0."""
    rows = [
        (named(query.legend, line.labels), line)
        for query, found in zip(panel.queries, lines, strict=True)
        for line in found
        if line.points
    ]
    height = ROW * len(rows) + BOTTOM
    parts = []
    for number, (name, line) in enumerate(rows):
        top = number * ROW
        for begin, end, value in _bars(line.points, step):
            x, width = axis.x(begin), max(1.5, axis.x(end) - axis.x(begin))
            tone = "on" if value else "off"
            parts.append(
                f'<rect class="{tone}" x="{x:.1f}" y="{top + 3}" width="{width:.1f}" height="{ROW - 5}" rx="2"/>'
            )
        parts.append(f'<text class="state" x="{LEFT + 6}" y="{top + ROW - 6}">{escape(name)}</text>')
    edge = f'<line class="grid" x1="{LEFT}" x2="{axis.width - RIGHT}" y1="{height - BOTTOM}" y2="{height - BOTTOM}"/>'
    return f'<svg viewBox="0 0 {axis.width} {height}" role="img" aria-label="{escape(panel.title)}">{"".join(parts)}{edge}</svg>'


def _bars(points: Sequence[tuple[float, float]], step: float) -> list[tuple[float, float, float]]:
    bars: list[tuple[float, float, float]] = []
    for seconds, value in points:
        if bars and bars[-1][2] == value and seconds - bars[-1][1] <= 0.5 * step:
            bars[-1] = (bars[-1][0], seconds + step, value)
        else:
            bars.append((seconds, seconds + step, value))
    return bars


def _numbers(panel: Panel, lines: Lines) -> str:
    tiles = []
    for query, found in zip(panel.queries, lines, strict=True):
        for line in found:
            value = line.points[-1][1]
            is_alarm = query.alarm is not None and value >= query.alarm
            text = in_words(value, query.unit or panel.unit)
            tiles.append(tile(Fact(named(query.legend, line.labels), text, False if is_alarm else None)))
    return f"<div class='facts'>{''.join(tiles)}</div>"


def _table(panel: Panel, lines: Lines) -> str:
    """A row for each set of labels, the values of all queries beside each other."""
    rows: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for query, found in zip(panel.queries, lines, strict=True):
        for line in found:
            rows.setdefault(tuple(sorted(line.labels.items())), {})[query.legend] = line.points[-1][1]
    names = list(dict.fromkeys(name for labels in rows for name, _ in labels))
    order = sorted(rows.items(), key=lambda row: -row[1].get(panel.first or "", 0.0))
    head = _row("th", [*names, *(query.legend for query in panel.queries)])
    body = "".join(
        _row(
            "td",
            [*(dict(labels).get(name, "") for name in names), *(_cell(one, values) for one in panel.queries)],
        )
        for labels, values in order
    )
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _cell(query: Query, values: Mapping[str, float]) -> str:
    return in_words(values[query.legend], query.unit) if query.legend in values else ""

"""Draws plots on one time axis as SVG. Colours are CSS variables of the page, so that it can be dark or light."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from math import floor, log10
from typing import Literal

WIDTH = 1040
LEFT, RIGHT = 64, 16
TOP, BOTTOM = 12, 22
CHARACTER_WIDTH = 6.3
LANE_HEIGHT = 17
HOURS_FROM_MINUTES = 120
COLOURS = 8
"""Number of series colours that the page defines, `--s0` to `--s7`."""

Point = tuple[float, float | None]
"""Seconds and value; None where nothing is known, which breaks the line."""


@dataclass(frozen=True)
class Series:
    """One line. `step` holds each value until the next; `colour` is an index, `dashed` for what was only wanted."""

    label: str
    points: Sequence[Point]
    colour: int = 0
    style: Literal["line", "step", "area"] = "line"
    dashed: bool = False


@dataclass(frozen=True)
class Threshold:
    """A horizontal line with a name, such as an objective."""

    label: str
    value: float


@dataclass(frozen=True)
class Plot:
    """One picture of the stack.

    `minimum_top` keeps an axis from blowing up noise around zero; `top` fixes its end, as 100 percent does.
    """

    title: str
    unit: str
    series: Sequence[Series]
    thresholds: Sequence[Threshold] = ()
    minimum_top: float = 1.0
    top: float | None = None
    height: int = 150
    note: str = ""


@dataclass(frozen=True)
class Event:
    """Something that happened, drawn through all plots."""

    at_seconds: float
    label: str


@dataclass(frozen=True)
class Axis:
    """The time axis that all plots share, in seconds; with `marks` an axis of numbers, which stand at these."""

    begin_seconds: float
    end_seconds: float
    events: Sequence[Event] = field(default_factory=tuple)
    marks: Sequence[float] = ()
    width: int = WIDTH
    """Of the pictures, in pixels at which text has its size."""

    def x(self, seconds: float) -> float:
        """Return the horizontal position of a time."""
        span = max(self.end_seconds - self.begin_seconds, 1e-9)
        clipped = min(max(seconds, self.begin_seconds), self.end_seconds)
        return LEFT + (self.width - LEFT - RIGHT) * (clipped - self.begin_seconds) / span


def tick_step(span: float, wanted: int) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that divides `span` into about `wanted` parts."""
    rough = max(span, 1e-9) / wanted
    magnitude = 10.0 ** floor(log10(rough))
    return next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough * 0.999)


def ticks(low: float, high: float, step: float) -> list[float]:
    """Return the multiples of `step` within [low, high]."""
    first = -(-low // step)
    count = int((high - first * step) / step + 1e-9) + 1
    return [round((first + index) * step, 10) for index in range(max(0, count))]


def event_lanes(axis: Axis) -> list[int]:
    """Return for each event the lowest row in which its label runs into none before it."""
    ends: list[float] = []
    lanes = []
    for event in axis.events:
        begin, end = _label_span(axis, event)
        lane = next((index for index, taken in enumerate(ends) if taken < begin), len(ends))
        ends[lane : lane + 1] = [end]
        lanes.append(lane)
    return lanes


def draw_events(axis: Axis) -> str:
    """Return the strip that names the events, as SVG."""
    lanes = event_lanes(axis)
    height = (max(lanes, default=0) + 1) * LANE_HEIGHT + 6
    parts = []
    for event, lane in zip(axis.events, lanes, strict=True):
        x, (begin, end) = axis.x(event.at_seconds), _label_span(axis, event)
        anchor = "start" if begin >= x else "end"
        y = (lane + 1) * LANE_HEIGHT - 3
        parts.append(f'<line class="event" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 10}" y2="{height}"/>')
        parts.append(
            f'<text class="event-label" x="{begin if anchor == "start" else end - 4:.1f}" y="{y}" '
            f'text-anchor="{anchor}">{escape(event.label)}</text>'
        )
    return f'<svg viewBox="0 0 {axis.width} {height}" role="img" aria-label="events">{"".join(parts)}</svg>'


def draw(plot: Plot, axis: Axis) -> str:
    """Return one plot as SVG."""
    box = f'viewBox="0 0 {axis.width} {plot.height}" role="img" aria-label="{escape(plot.title)}"'
    return f"<svg {box}>{elements(plot, axis)}</svg>"


def elements(plot: Plot, axis: Axis) -> str:
    """Return the elements of one plot, to be put into an SVG image."""
    top_value, step = _scale(plot)
    bottom, right = plot.height - BOTTOM, axis.width - RIGHT

    def y(value: float) -> float:
        return bottom - (bottom - TOP) * value / top_value

    parts = []
    for value in ticks(0, top_value, step):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for seconds in axis.marks or ticks(axis.begin_seconds, axis.end_seconds, _time_step(axis)):
        x, label = axis.x(seconds), f"{seconds:g}" if axis.marks else clock(seconds)
        parts.append(f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{label}</text>')
    for event in axis.events:
        x = axis.x(event.at_seconds)
        parts.append(f'<line class="event" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom}"/>')
    for line in plot.thresholds:
        parts.append(
            f'<line class="threshold" x1="{LEFT}" x2="{right}" y1="{y(line.value):.1f}" y2="{y(line.value):.1f}"/>'
            f'<text class="threshold-label" x="{right - 4}" y="{y(line.value) - 4:.1f}" '
            f'text-anchor="end">{escape(line.label)}</text>'
        )
    parts.extend(_path(series, axis, y, bottom) for series in plot.series)
    return "".join(parts)


def clock(seconds: float) -> str:
    """Return a time of the axis as people read it: 45 s, 2:05, 3 h 20."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= HOURS_FROM_MINUTES:
        return f"{minutes // 60} h {minutes % 60:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"


def _scale(plot: Plot) -> tuple[float, float]:
    if plot.top is not None:
        return plot.top, tick_step(plot.top, 4)
    known = [value for series in plot.series for _, value in series.points if value is not None]
    wanted = 1.04 * max([plot.minimum_top, *known, *(line.value for line in plot.thresholds)])
    step = tick_step(wanted, 4)
    return step * -(-wanted // step), step


def _path(series: Series, axis: Axis, y: Callable[[float], float], bottom: float) -> str:
    commands: list[str] = []
    runs: list[str] = []
    last_x = 0.0
    is_drawing = False
    for seconds, value in series.points:
        x = axis.x(seconds)
        if is_drawing and (value is None or series.style == "step"):
            commands.append(f"H{x:.1f}")
            last_x = x
        if value is None:
            is_drawing = False
            continue
        if not is_drawing:
            runs.append(f"{x:.1f}")
        commands.append(f"{'L' if is_drawing else 'M'}{x:.1f} {y(value):.1f}")
        last_x = x
        is_drawing = True
    if series.style == "step" and is_drawing:
        last_x = axis.x(axis.end_seconds)
        commands.append(f"H{last_x:.1f}")
    if not commands:
        return ""
    line = "".join(commands)
    drawn = f'<path class="line{" dashed" if series.dashed else ""}" style="stroke:var(--s{series.colour % COLOURS})" d="{line}"/>'
    if series.style == "area" and len(runs) == 1:
        drawn = (
            f'<path class="area" style="fill:var(--s{series.colour % COLOURS})" '
            f'd="{line}L{last_x:.1f} {bottom}L{runs[0]} {bottom}Z"/>' + drawn
        )
    return drawn


def _label_span(axis: Axis, event: Event) -> tuple[float, float]:
    width = len(event.label) * CHARACTER_WIDTH + 8
    begin = axis.x(event.at_seconds) + 4
    if begin + width <= axis.width:
        return begin, begin + width
    return begin - 8 - width, begin - 4


def _time_step(axis: Axis) -> float:
    span = axis.end_seconds - axis.begin_seconds
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
    most = 14 * axis.width / WIDTH
    return next((step for step in steps if span / step <= most), tick_step(span, 10))

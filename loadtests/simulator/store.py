"""What was scraped: the last samples of every target, and the labels of every series.

All series of a target are sampled together, so times are kept by target. Rows are given out once and used again, as
pods come and go; in between they are empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = Mapping[str, str]

LOOKBACK_SECONDS = 300.0
"""For which a series is taken to have its last value, unless it is known to have ended."""
WINDOW_START_SHARE = 1.1
"""Of the mean interval: a counter whose first sample is farther from the window's begin did not exist there."""


class Targets:
    """Targets of one kind, that expose the same metrics: `slots` of them, each with the last `depth` scrapes."""

    def __init__(self, series: Mapping[str, Sequence[Labels]], slots: int, depth: int) -> None:
        """`series`: by metric, the labels of each target's series; several of one target follow one another."""
        self.slots, self.depth = slots, depth
        self.labels = {name: tuple(dict(one) for one in labels) for name, labels in series.items()}
        self.each = {name: len(labels) // slots for name, labels in series.items()}
        self.times = np.full((slots, depth), -np.inf)
        self.values = {name: np.zeros((len(labels), depth)) for name, labels in series.items()}
        self.ended = np.ones(slots, dtype=bool)
        """Targets that are known to be gone."""
        self._windows: dict[tuple[float, float], Window] = {}

    def scrape(self, slots: NDArray[np.int64], now: float, values: Mapping[str, Floats]) -> None:
        """Add a sample to all series of these targets; `values` by metric, in the order of the slots."""
        self._windows.clear()
        self.ended[slots] = False
        _shift(self.times, slots)
        self.times[slots, -1] = now
        for name, new in values.items():
            rows = (slots[:, None] * self.each[name] + np.arange(self.each[name])).ravel()
            _shift(self.values[name], rows)
            self.values[name][rows, -1] = new

    def end(self, slots: NDArray[np.int64]) -> None:
        """These targets are gone: their series have no value from now on."""
        self.ended[slots] = True

    def clear(self, slots: NDArray[np.int64]) -> None:
        """Forget what a target's row held, for one that begins anew."""
        self._windows.clear()
        self.times[slots] = -np.inf

    def newest(self, now: float) -> Floats:
        """Time of each target's last sample; NaN where there is none in force."""
        last = self.times[:, -1]
        return np.where((last > now - LOOKBACK_SECONDS) & ~self.ended, last, np.nan)

    def window(self, now: float, seconds: float) -> Window:
        """Where each target's samples of the last `seconds` lie."""
        key = (now, seconds)
        if key not in self._windows:
            inside = (self.times > now - seconds) & (self.times <= now)
            count = inside.sum(axis=1, dtype=np.int64)
            first = np.argmax(inside, axis=1)
            self._windows[key] = Window(self.times, inside, count, first, now, seconds)
        return self._windows[key]


@dataclass
class Window:
    """The samples of a range, of all targets of a kind."""

    times: Floats
    inside: NDArray[np.bool_]
    count: NDArray[np.int64]
    first: NDArray[np.int64]
    now: float
    seconds: float

    def last(self) -> NDArray[np.int64]:
        """Index of the last sample; of no use where there is none."""
        found: NDArray[np.int64] = np.maximum(self.first + self.count - 1, 0)
        return found

    def spans(self) -> tuple[Floats, Floats, Floats]:
        """(seconds between first and last sample, seconds before the first, seconds after the last)."""
        rows, some = np.arange(len(self.times)), self.count > 0
        begin = np.where(some, self.times[rows, self.first], self.now)
        end = np.where(some, self.times[rows, self.last()], self.now)
        return end - begin, begin - (self.now - self.seconds), self.now - end


def rates(values: Floats, window: Window, each: int) -> Floats:
    """Per-second increase of each series, as Prometheus extrapolates it; NaN with fewer than two samples.

    Source: `extrapolatedRate` of Prometheus: to the window's bounds where the samples come near them, else by half an
    interval, and never below zero. A value below the one before it is a restart from zero.
    """
    repeat = np.repeat(np.arange(len(window.times)), each)
    inside, count, first = (part[repeat] for part in (window.inside, window.count, window.first))
    rows = np.arange(len(values))
    steps = np.diff(values, axis=1)
    both = inside[:, 1:] & inside[:, :-1]
    increase = np.where(both, np.where(steps < 0, values[:, 1:], steps), 0.0).sum(axis=1)
    sampled, before, after = (part[repeat] for part in window.spans())
    found = extrapolated(increase, values[rows, first], count, (sampled, before, after), window.seconds)
    return np.where(count >= 2, found, np.nan)


def extrapolated(
    increase: Floats,
    first: Floats,
    count: NDArray[Any],
    spans: tuple[Floats | float, Floats | float, Floats | float],
    seconds: float,
) -> Floats:
    """The rate over a window of counters that grew so much since their `first` value in it; of no use below two samples.

    `count` samples; `spans` as `Window.spans` has them.
    """
    sampled, before, after = spans
    with np.errstate(divide="ignore", invalid="ignore"):
        interval = sampled / (count - 1)
        limit = interval * WINDOW_START_SHARE
        start = np.where(before >= limit, interval / 2, before)
        to_zero = sampled * first / increase
        start = np.where((increase > 0) & (first >= 0), np.minimum(start, to_zero), start)
        end = np.where(after >= limit, interval / 2, after)
        return np.asarray(increase * (sampled + start + end) / sampled / seconds)


def averages(values: Floats, window: Window, each: int) -> Floats:
    """Mean of the samples of each series; NaN without any."""
    repeat = np.repeat(np.arange(len(window.times)), each)
    inside, count = window.inside[repeat], window.count[repeat]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count > 0, np.where(inside, values, 0.0).sum(axis=1) / count, np.nan)


def _shift(array: Floats, rows: NDArray[np.int64]) -> None:
    array[rows, :-1] = array[rows, 1:]

"""Public traces that say how many requests there were, not when each came: a file in, traces out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from loadtests.traces.table import read_csv, read_words, stem, wrong
from loadtests.traces.trace import MINUTE_SECONDS, Trace

DIGITISED_COLUMNS: Final = ("minute", "req_per_min_mid_rescaled")
FUNCTIONS_COLUMNS: Final = ("func", "day", *(str(minute) for minute in range(1440)))
SERVEGEN_COLUMNS: Final = ("t_s", "rate_rps")

_FUNCTION_LETTERS = 12
"""So much of a function's hash tells it from others."""
_GAP = 1.5
"""Points further apart than this many times the usual distance have a hole between them."""


def read_digitised(path: Path) -> list[Trace]:
    """Azure LLM inference 2024, digitised from figures: points every few minutes, joined by lines.

    Steps are minutes, so that a day has a whole number of them. Raises TraceError.
    """
    table = read_csv(path, DIGITISED_COLUMNS)
    minutes, a_minute = (table.numbers(name) for name in DIGITISED_COLUMNS)
    if len(minutes) < 2:
        raise wrong(path, table.lines[0], "at least two points", "one")
    distances = np.diff(minutes)
    usual = float(np.quantile(distances, 0.5, method="lower"))
    for bad, expected in (
        (distances <= 0, "a later minute than"),
        (distances > _GAP * usual, f"a point about {usual:g} min after minute"),
    ):
        if bad.any():
            row = int(np.argmax(bad)) + 1
            raise wrong(path, table.lines[row], f"{expected} {minutes[row - 1]:g}", float(minutes[row]))
    middles = np.arange(np.floor(minutes[-1] + usual - minutes[0])) + 0.5
    rates = np.interp(minutes[0] + middles, minutes, a_minute) / MINUTE_SECONDS
    return [Trace(stem(path), MINUTE_SECONDS, rates)]


def read_functions(path: Path) -> list[Trace]:
    """Azure Functions 2019: a row per function and day, a column per minute. A trace per function.

    Raises TraceError, also if a function lacks a day between its first and its last.
    """
    table = read_csv(path, FUNCTIONS_COLUMNS)
    names = np.array(table.texts("func"))
    days = table.wholes("day")
    counts = np.stack([table.numbers(minute) for minute in FUNCTIONS_COLUMNS[2:]], axis=1)
    traces = []
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == name)
        rows = rows[np.argsort(days[rows], kind="stable")]
        astray = np.diff(days[rows]) != 1
        if astray.any():
            at = int(np.argmax(astray))
            expected = f"day {days[rows[at]] + 1} of {name} next"
            raise wrong(path, table.lines[rows[at + 1]], expected, f"day {days[rows[at + 1]]}")
        rates = counts[rows].ravel() / MINUTE_SECONDS
        traces.append(Trace(f"{stem(path)}/{name[:_FUNCTION_LETTERS]}", MINUTE_SECONDS, rates))
    return traces


def read_servegen(path: Path) -> list[Trace]:
    """ServeGen, summed over clients: requests per second, a row per step of equal length. Raises TraceError."""
    table = read_csv(path, SERVEGEN_COLUMNS)
    times, rates = (table.numbers(name) for name in SERVEGEN_COLUMNS)
    if len(times) < 2:
        raise wrong(path, table.lines[0], "at least two rows, whose distance is the step", "one")
    step = float(times[1] - times[0])
    regular = np.isclose(times, times[0] + step * np.arange(len(times)), rtol=0, atol=step / 1000)
    if step <= 0 or not regular.all():
        row = int(np.argmin(regular)) if step > 0 else 1
        raise wrong(path, table.lines[row], "rows in equal distances of time", f"t_s {times[row]:g}")
    return [Trace(stem(path), step, rates)]


def read_counts(path: Path) -> list[Trace]:
    """Requests of each second, separated by white space. Raises TraceError."""
    return [Trace(stem(path), 1.0, read_words(path, "requests a second").numbers("requests a second"))]

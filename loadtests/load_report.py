"""The report of a plain load: what `.venv/bin/python -m loadtests` writes as report.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autoscaler.replay.report.page import Fact, Report
from autoscaler.replay.report.plot import Axis, Plot, Point, Series, Threshold, tick_step
from loadtests.figures import Interval, intervals
from loadtests.record import Record


def rate_plot(rows: Sequence[Interval]) -> Plot:
    """Requests per second over time, all and bad."""
    return Plot(
        "Requests",
        "per second",
        (
            Series("sent", _middles(rows, [row.rate_per_second for row in rows]), 0, "area"),
            Series("not 2xx", _middles(rows, [_rate_of(row.not_2xx, row) for row in rows]), 4),
        ),
    )


def latency_plot(rows: Sequence[Interval], threshold_seconds: float) -> Plot:
    """Latency percentiles over time with the objective; gaps where no answer came."""
    answered = [row.requests > 0 for row in rows]
    return Plot(
        "Latency",
        "milliseconds, from when each request was due",
        (
            Series("p50", _middles(rows, [row.p50_seconds * 1000 for row in rows], answered), 0),
            Series("p99", _middles(rows, [row.p99_seconds * 1000 for row in rows], answered), 1),
        ),
        (Threshold(f"objective {threshold_seconds * 1000:g} ms", threshold_seconds * 1000),),
    )


def late_plot(rows: Sequence[Interval]) -> Plot:
    """Share of requests that were late or failed, over time."""
    answered = [row.requests > 0 for row in rows]
    points = _middles(rows, [row.late_fraction * 100 for row in rows], answered)
    worst = max((row.late_fraction for row in rows), default=0.0)
    return Plot(
        "Late or failed",
        "percent of requests",
        (Series("late", points, 4, "area"),),
        minimum_top=5,
        top=100 if worst > 0.5 else None,
        height=110,
    )


def load_report(records: Sequence[Record], figures: Mapping[str, object], url: str, seconds: float) -> Report:
    """Return the report of one load; `figures` are those of `loadtests.figures.summary`."""
    threshold_seconds = float(str(figures["objective_milliseconds"])) / 1000
    rows = intervals(records, tick_step(seconds, 120), seconds, threshold_seconds)
    latency = figures["latency_milliseconds"]
    assert isinstance(latency, Mapping)
    facts = [
        Fact("Requests", f"{figures['requests']:,}", explanation=f"{figures['rate_per_second']} per second"),
        Fact("Not 2xx", str(figures["not_2xx"]), figures["not_2xx"] == 0),
        Fact("Late or failed", f"{figures['late_fraction']:.2%}"),
        *(Fact(f"Latency {name}", f"{latency[name]:.0f} ms") for name in ("p50", "p95", "p99", "max")),
    ]
    return Report(
        "Load test",
        f"Open-loop load on {url}, {seconds:.0f} s. Nothing was retried.",
        facts,
        Axis(0.0, max(seconds, 1.0)),
        (rate_plot(rows), latency_plot(rows, threshold_seconds), late_plot(rows)),
    )


def _middles(rows: Sequence[Interval], values: Sequence[float], shown: Sequence[bool] = ()) -> list[Point]:
    return [
        ((row.begin_seconds + row.end_seconds) / 2, value if not shown or shown[index] else None)
        for index, (row, value) in enumerate(zip(rows, values, strict=True))
    ]


def _rate_of(count: int, row: Interval) -> float:
    return count / (row.end_seconds - row.begin_seconds)

"""Integers from counters: what each series has grown by in a window, and what that says of a revision.

Everything is computed from points of the grid alone, within a fixed time before the window: whoever asks again,
in whatever range, counts the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from serving_operator.evidence import queries
from serving_operator.evidence.sources import Source
from serving_operator.judge.windows import GRID_SECONDS

HISTORY_SECONDS: Final = 300
"""How long before a window a series must have been absent to count as new in it; also how far a gap is bridged."""

Backend = tuple[str, str]
Exporter = tuple[str, ...]
Replica = tuple[str, ...]
Points = Sequence[tuple[float, float]]


class SeriesLike(Protocol):
    """One series of a range query: points of the grid, oldest first."""

    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def points(self) -> Points: ...


class Counts(NamedTuple):
    """Requests that have ended in a window, and those of them that were late or failed."""

    requests: int = 0
    bad: int = 0


@dataclass
class Tally:
    """All answers of one source for a range of time, found by backend."""

    source: Source
    pulse: Mapping[float, float] | None = None
    """Newest sample of anything, by point of the grid; None if that was not asked."""
    failing: Mapping[Exporter, Sequence[float]] = field(default_factory=dict)
    """Points of the grid at which scrapes of an exporter were failing."""
    _series: dict[Backend, dict[Exporter, dict[Replica, dict[tuple[str, str], Points]]]] = field(
        default_factory=dict
    )
    routes: set[tuple[str, str]] = field(default_factory=set)
    """Routes whose backends are counted together."""
    not_finite: int = 0
    """Values that were NaN, infinite or a native histogram."""

    def add(self, signal: str, series: Iterable[SeriesLike]) -> None:
        """Take in the answer to one question."""
        for one in series:
            backend = self.source.naming.backend(one.labels)
            if backend is None:
                if (route := self.source.naming.route(one.labels)) is not None:
                    self.routes.add(route)
                continue
            exporters = self._series.setdefault(backend, {})
            replicas = exporters.setdefault(queries.exporter_of(one.labels), {})
            replicas.setdefault(queries.replica_of(one.labels), {})[signal, one.labels.get("le", "")] = (
                one.points
            )

    def was_scraped(self, start: float, end: float) -> bool:
        """Whether Prometheus took any sample of what is counted in a window, as far as can be known.

        That is from the last point of the grid before the window to the last one in it.
        """
        if self.pulse is None:
            return True
        newest = self.pulse.get(_point(end))
        return newest is not None and newest > _point(start)

    def has_series(self, backend: Backend, start: float, end: float) -> bool:
        """Whether anything is known of a backend in a window."""
        return any(
            start <= at <= end
            for replicas in self._series.get(backend, {}).values()
            for signals in replicas.values()
            for points in signals.values()
            for at, _ in points
        )

    def lacks_bound(self, backend: Backend, bound: str | None, start: float, end: float) -> bool:
        """Whether a histogram of the backend counted in a window and has no bucket at the bound."""
        for replicas in self._series.get(backend, {}).values():
            for signals in replicas.values():
                everything = signals.get((queries.ALL, queries.INFINITE), ())
                if not any(start < at <= end for at, _ in everything):
                    continue
                if bound is None or (queries.ALL, bound) not in signals:
                    return True
        return False

    def counts(self, backend: Backend, bound: str | None, start: float, end: float) -> Counts:
        """Requests and bad ones of a backend in (start, end]; of several copies of a series the fullest counts."""
        requests = bad = 0
        for exporter, replicas in self._series.get(backend, {}).items():
            from_zero = self._known_absent(exporter, start)
            chosen = max(self._of_one(signals, bound, start, end, from_zero) for signals in replicas.values())
            requests, bad = requests + chosen.requests, bad + chosen.bad
        return Counts(requests, bad)

    def _of_one(
        self,
        signals: Mapping[tuple[str, str], Points],
        bound: str | None,
        start: float,
        end: float,
        from_zero: bool,
    ) -> Counts:
        def grew(signal: str, le: str = "") -> int:
            return grown(signals.get((signal, le), ()), start, end, from_zero=from_zero)

        return judged(self.source, grew, bound)

    def _known_absent(self, exporter: Exporter, start: float) -> bool:
        """Whether a series of the exporter that was not there before `start` did not exist, as far as can be known."""
        begin = start - HISTORY_SECONDS
        if any(begin <= at <= start for at in self.failing.get(exporter, ())):
            return False
        if self.pulse:
            return any(begin <= at <= start for at in self.pulse)
        return any(
            begin <= at <= start
            for exporters in self._series.values()
            for replicas in exporters.values()
            for signals in replicas.values()
            for points in signals.values()
            for at, _ in points[:1]
        )


def _point(at: float) -> float:
    """The last point of the grid at or before a moment."""
    return at // GRID_SECONDS * GRID_SECONDS


def judged(source: Source, grew: Callable[..., int], bound: str | None) -> Counts:
    """Requests and bad ones, from what each signal has grown by; see `Source` for the formulas."""
    everything = grew(queries.ALL, queries.INFINITE)
    if source.good:
        good = grew(queries.GOOD, bound) if bound is not None else 0
        return Counts(everything, max(0, everything - good))
    late = max(0, everything - grew(queries.ALL, bound)) if bound is not None else 0
    aborted = max(0, sum(sign * grew(metric.name) for metric, sign in source.aborted.items()))
    failed = grew(queries.FAILED) if source.failed else 0
    requests = (grew(queries.ANSWERED) if source.answered else everything + failed) + aborted
    return Counts(requests, min(requests, late + failed + aborted))


def grown(points: Points, start: float, end: float, *, from_zero: bool) -> int:
    """How much a counter grew in (start, end].

    It starts at its last value of at most `HISTORY_SECONDS` before; at 0 if it has none and `from_zero`, else at the
    first value seen. A value that falls is a counter that began anew at 0. What was counted after the last point is
    lost.
    """
    before: float | None = None
    total = 0.0
    for at, value in points:
        if at < start - HISTORY_SECONDS:
            continue
        if at > end:
            break
        if at > start:
            since = before if before is not None else (0.0 if from_zero else value)
            total += value if value < since else value - since
        before = value
    return round(total)

"""Integers from counters: resets, gaps, series that come and go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_operator.evidence.counting import HISTORY_SECONDS, Counts, Points, Tally, grown, judged
from serving_operator.evidence.queries import ALL, ANSWERED, FAILED, GOOD, INFINITE, exporter_of, replica_of
from serving_operator.evidence.sources import ENVOY, MLSERVER, Source

START, END = 1000, 1060
GRID = st.integers(0, 12).map(lambda index: START + 5 * index)


@pytest.mark.parametrize(
    ("points", "from_zero", "expected"),
    [
        ([(1000, 7), (1030, 9), (1060, 12)], True, 5),
        ([(1000, 7), (1030, 2), (1060, 3)], True, 3),
        ([(990, 7), (1060, 12)], True, 5),
        ([(1020, 4), (1060, 6)], True, 6),
        ([(1020, 4), (1060, 6)], False, 2),
        ([(1000, 7), (1020, 9)], True, 2),
        ([(1000 - HISTORY_SECONDS - 5, 7), (1020, 9)], True, 9),
        ([(1000, 7), (1065, 90)], True, 0),
        ([], True, 0),
    ],
    ids=[
        "plain",
        "reset",
        "gap-at-start",
        "new",
        "not-known-new",
        "vanishes",
        "old-history",
        "after-the-end",
        "none",
    ],
)
def test_growth(points: list[tuple[float, float]], from_zero: bool, expected: int) -> None:
    """What one series grew by in a window."""
    assert grown(points, START, END, from_zero=from_zero) == expected


@given(st.dictionaries(GRID, st.integers(0, 50), min_size=1), st.sets(GRID))
def test_growth_is_what_happened(steps: dict[int, int], restarts: set[int]) -> None:
    """Whatever was counted up to the last point is found, through restarts, if each is seen as a fall."""
    value, total, points = 0, 0, [(START - 5, 0.0)]
    for at in sorted(steps):
        if at in restarts and value > steps[at]:
            value = 0
        value += steps[at]
        total += steps[at] if at > START else 0
        points.append((at, float(value)))

    assert grown(points, START, END, from_zero=True) == total


@given(st.lists(st.tuples(GRID, st.integers(0, 99)), max_size=12), st.integers(1, 11))
def test_windows_add_up(raw: list[tuple[int, int]], cut: int) -> None:
    """Two windows that touch count together what one over both does: nothing is lost or counted twice between."""
    points = [(float(at), float(value)) for at, value in sorted(dict(raw).items())]
    points.insert(0, (START - 5, 3.0))
    middle = START + 5 * cut

    parts = grown(points, START, middle, from_zero=True) + grown(points, middle, END, from_zero=True)

    assert parts == grown(points, START, END, from_zero=True)


SIGNALS = {
    (ALL, INFINITE): 100,
    (ALL, "300"): 90,
    (GOOD, "300"): 80,
    (ANSWERED, ""): 110,
    (FAILED, ""): 7,
    ("envoy_cluster_upstream_cx_destroy_local_with_active_rq", ""): 1,
    ("envoy_cluster_upstream_rq_tx_reset", ""): 2,
    ("envoy_cluster_upstream_rq_cancelled", ""): 5,
    ("envoy_cluster_upstream_rq_timeout", ""): 1,
    ("envoy_cluster_upstream_rq_per_try_timeout", ""): 3,
}


@pytest.mark.parametrize(
    ("source", "bound", "expected"),
    [
        (MLSERVER, "300", (100, 20)),
        (MLSERVER, None, (100, 100)),
        (ENVOY, "300", (114, 10 + 7 + 4)),
        (ENVOY, None, (114, 7 + 4)),
        (replace(ENVOY, answered=None), "300", (100 + 7 + 4, 10 + 7 + 4)),
        (replace(ENVOY, answered=None, failed=None), "300", (104, 10 + 4)),
    ],
)
def test_bad_is_late_or_failed_or_aborted(source: Source, bound: str | None, expected: Counts) -> None:
    """Each kind of source by its formula; nothing is asked that it has not."""
    assert judged(source, lambda signal, le="": SIGNALS[signal, le], bound) == expected


def test_nothing_bad_is_zero() -> None:
    """Where all are good, no request is bad; and a histogram that lags behind makes no negative ones."""
    assert judged(MLSERVER, lambda signal, le="": 100, "300") == (100, 0)
    assert judged(MLSERVER, lambda signal, le="": 100 + 5 * (signal == GOOD), "300") == (100, 0)


def test_who_exports_is_the_pod_or_else_the_address() -> None:
    """Two addresses of one pod are one exporter and two copies."""
    assert exporter_of({"namespace": "demo", "pod": "a", "instance": "i"}) == ("demo", "a")
    assert exporter_of({"pod": "a"}) == ("", "a")
    assert exporter_of({"namespace": "demo", "instance": "i"}) == ("", "i")
    assert exporter_of({}) == ("", "")
    labels = {"job": "j", "prometheus": "p", "prometheus_replica": "q", "replica": "r", "instance": "i"}
    assert replica_of(labels | {"pod": "a"}) == ("j", "p", "q", "r", "i")
    assert replica_of({}) == ("",) * 5


@dataclass(frozen=True)
class Series:
    """An answer's series."""

    labels: Mapping[str, str]
    points: Points


BACKEND = ("demo", "digits-aaaa1111")


def tally(*points: tuple[float, float], others: Points = (), **known: object) -> Tally:
    """What Envoy's counter of answers said of a backend, and of another one."""
    found = Tally(ENVOY, **known)  # type: ignore[arg-type]
    for name, seen in ((BACKEND[1], points), ("digits-bbbb2222", others)):
        labels = {"envoy_cluster_name": f"httproute/demo/digits/rule/0/backend/{name}", "instance": name}
        found.add(ANSWERED, [Series(labels, seen)])
    return found


@pytest.mark.parametrize(("at", "known"), [(995, False), (1000, True), (1060, True), (1065, False)])
def test_a_series_is_there_from_the_start_of_a_window_to_its_end(at: int, known: bool) -> None:
    """Both ends belong to it."""
    assert tally((at, 1)).has_series(BACKEND, START, END) == known


@pytest.mark.parametrize(("at", "expected"), [(695, 2), (700, 6), (1000, 6), (1005, 2)])
def test_a_series_is_new_if_prometheus_would_have_seen_it_before(at: int, expected: int) -> None:
    """If it saw anything within the five minutes before, a series without a point then began at 0."""
    points = ((1020.0, 4.0), (1060.0, 6.0))
    assert tally(*points, pulse={at: at}).counts(BACKEND, None, START, END) == (expected, 0)
    assert tally(*points, others=[(at, 1)]).counts(BACKEND, None, START, END) == (expected, 0)


def test_only_what_began_then_tells_that_others_were_seen() -> None:
    """Without a pulse, a series counts by its first point alone: the others say nothing of scrapes before."""
    seen = tally((1020, 4), (1060, 6), others=[(695, 1), (900, 2)])
    assert seen.counts(BACKEND, None, START, END) == (2, 0)


@pytest.mark.parametrize(("at", "expected"), [(695, 6), (700, 2), (1000, 2), (1005, 6)])
def test_a_series_is_not_new_where_its_scrapes_failed_before(at: int, expected: int) -> None:
    """A failing scrape within the five minutes before leaves open what was counted meanwhile."""
    seen = tally((1020, 4), (1060, 6), pulse={1000: 1000}, failing={("", BACKEND[1]): [at]})
    assert seen.counts(BACKEND, None, START, END) == (expected, 0)


@pytest.mark.parametrize(("at", "lacking"), [(1000, False), (1005, True), (1060, True), (1065, False)])
def test_a_bound_is_lacked_by_a_histogram_that_counted_in_the_window(at: int, lacking: bool) -> None:
    """A histogram that was there before or after only says nothing, and neither does a copy of it that was away."""
    labels = {"envoy_cluster_name": f"httproute/demo/digits/rule/0/backend/{BACKEND[1]}", "le": INFINITE}
    away = Series(labels | {"replica": "a"}, [(START - 60, 1)])
    found = Tally(ENVOY)
    found.add(ALL, [away, Series(labels | {"replica": "b"}, [(at, 1)])])
    assert found.lacks_bound(BACKEND, "300", START, END) == lacking


def test_who_was_not_asked_for_scrapes_takes_them_for_granted() -> None:
    """Without a pulse no window is blind; with one, those in which nothing was scraped are."""
    assert Tally(ENVOY).was_scraped(START, END)
    assert Tally(ENVOY, pulse={END: START + 1}).was_scraped(START, END)
    assert not Tally(ENVOY, pulse={END: START}).was_scraped(START, END)

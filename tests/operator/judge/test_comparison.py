"""The e-process "worse than stable": valid, monotone, indifferent where it should be."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_operator.judge import comparison
from serving_operator.judge.comparison import Counts, Floats, averaged, columns, log_e_values, temper
from serving_operator.judge.windows import Window

counts = st.integers(0, 400)


@st.composite
def windows(draw: st.DrawFn, least: int = 1) -> Window:
    """A window whose bad requests are no more than its requests."""
    requests, stable = draw(st.integers(least, 400)), draw(st.integers(least, 400))
    return Window(requests, draw(st.integers(0, requests)), stable, draw(st.integers(0, stable)))


def path(seen: list[Window]) -> Floats:
    return log_e_values(columns(seen))[:, 0]


def expectation(sizes: list[tuple[int, int]], ratios: list[float]) -> float:
    """Exact mean of the e-value after all windows, where both have `ratios[i]` bad requests in window i."""
    outcomes = [list(product(range(n + 1), range(m + 1))) for n, m in sizes]
    runs = list(product(*outcomes))
    table = np.array(
        [[(n, y, m, z) for (n, m), (y, z) in zip(sizes, run, strict=True)] for run in runs], dtype=float
    )
    e_values = np.exp(log_e_values(Counts(*(table[:, :, i].T for i in range(4))))[-1])
    chances = [
        math.prod(
            math.comb(n, y) * math.comb(m, z) * ratio ** (y + z) * (1 - ratio) ** (n + m - y - z)
            for (n, m), (y, z), ratio in zip(sizes, run, ratios, strict=True)
        )
        for run in runs
    ]
    assert sum(chances) == pytest.approx(1)
    return float(e_values @ np.array(chances))


@given(
    st.tuples(st.integers(0, 6), st.integers(0, 9)),
    st.tuples(st.integers(0, 4), st.integers(0, 4)),
    st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)),
)
def test_a_good_canary_gains_nothing_on_average(
    first: tuple[int, int], second: tuple[int, int], ratios: tuple[float, float]
) -> None:
    """Over all outcomes of two small windows the mean e-value is at most 1, also if both revisions drift together."""
    assert expectation([first, second], list(ratios)) <= 1 + 1e-9


def by_hand(seen: list[Window]) -> float:
    """The e-value in plain numbers, as docs/decisions/005 has it."""
    products = {3: 1 / 3, 10: 2 / 3}
    bad, requests, looks = 1, 51, 0
    for n, y, m, z in seen:
        p = bad / requests
        for ratio in products:
            q = ratio * p / (1 - p + ratio * p)
            r = (n * q + m * p) / (n + m)
            gain = y * math.log(q / r) + (n - y) * math.log((1 - q) / (1 - r))
            gain += z * math.log(p / r) + (m - z) * math.log((1 - p) / (1 - r))
            products[ratio] *= math.exp(min(gain / (1 + 0.04 * max(n * m / (n + m) - 8, 0)), 2.5))
        bad, requests, looks = bad + z, requests + m, looks + (n > 0 and m > 0)
    return sum(products.values()) / (1 + looks / 27)


@given(st.lists(windows(), min_size=1, max_size=4))
def test_the_columns_are_the_formula(seen: list[Window]) -> None:
    """What is computed for arrays is what the formula gives window by window."""
    assert path(seen)[-1] == pytest.approx(math.log(by_hand(seen)))


@pytest.mark.parametrize("ratio", [0.0, 0.001, 0.02, 0.3, 1.0])
def test_a_good_canary_gains_nothing_on_average_in_a_tempered_window(ratio: float) -> None:
    """The mean stays at most 1 where tempering and cap are at work."""
    assert expectation([(25, 60)], [ratio]) <= 1 + 1e-9


def test_without_deflation_one_request_each_is_a_fair_bet() -> None:
    """At the share of bad requests that is expected, untempered and uncapped, the mean is nearly 1: nothing is wasted."""
    expected = comparison.PRIOR_BAD / (comparison.PRIOR_BAD + comparison.PRIOR_REQUESTS)
    looks = 1 + 1 / comparison.LOOKS
    assert expectation([(1, 9)], [expected]) * looks == pytest.approx(1, abs=0.01)


@given(st.lists(windows(), max_size=5), windows())
def test_more_bad_requests_of_the_canary_are_more_evidence(before: list[Window], last: Window) -> None:
    """In the last window one more bad request of the canary never lowers the e-value."""
    if last.bad < last.requests:
        more = last._replace(bad=last.bad + 1)
        assert path([*before, more])[-1] >= path([*before, last])[-1] - 1e-9


@given(st.lists(windows(), max_size=5), windows())
def test_more_bad_requests_of_stable_are_less_evidence(before: list[Window], last: Window) -> None:
    """In the last window one more bad request of stable never raises the e-value."""
    if last.stable_bad < last.stable_requests:
        more = last._replace(stable_bad=last.stable_bad + 1)
        assert path([*before, more])[-1] <= path([*before, last])[-1] + 1e-9


@given(st.lists(windows(), max_size=6), st.integers(0, 6))
def test_an_empty_window_says_nothing(seen: list[Window], place: int) -> None:
    """A window without requests changes no e-value, wherever it stands."""
    place = min(place, len(seen))
    with_empty = [*seen[:place], Window(0, 0, 0, 0), *seen[place:]]
    final = path(seen)[-1] if seen else 0.0
    assert path(with_empty)[-1] == pytest.approx(final)


@given(windows())
def test_a_window_with_one_revision_alone_says_nothing(window: Window) -> None:
    """Requests of the canary alone, or of stable alone, compare nothing."""
    assert path([window._replace(requests=0, bad=0)])[-1] == pytest.approx(0)
    assert path([window._replace(stable_requests=0, stable_bad=0)])[-1] == pytest.approx(0)


@given(st.lists(windows(), min_size=1, max_size=6))
def test_what_is_said_of_a_window_does_not_change_later(seen: list[Window]) -> None:
    """The path of the first windows is the beginning of the path of all: each bet rests on the past only."""
    assert path(seen)[:-1] == pytest.approx(path(seen[:-1]) if len(seen) > 1 else [])


@given(st.lists(st.lists(windows(), min_size=3, max_size=3), min_size=1, max_size=4))
def test_runs_do_not_touch_each_other(runs: list[list[Window]]) -> None:
    """Many runs at once give what each gives alone."""
    together = Counts(*(np.hstack(column) for column in zip(*map(columns, runs), strict=True)))
    assert log_e_values(together) == pytest.approx(np.stack([path(run) for run in runs], axis=1))


@given(st.lists(windows(0), max_size=3))
def test_one_window_never_aborts(before: list[Window]) -> None:
    """However bad one window is, it alone does not reach the bound after windows that spoke for the canary or not at all."""
    calm = [window._replace(bad=0) for window in before]
    disaster = Window(1_000_000, 1_000_000, 1_000_000, 0)
    assert path([*calm, disaster]).max() < math.log(comparison.BOUND)


def test_two_disastrous_windows_abort() -> None:
    """Two windows in which everything fails, and nothing at stable, are enough."""
    assert path([Window(60, 60, 540, 0)] * 2)[-1] >= math.log(comparison.BOUND)


@pytest.mark.parametrize(
    "window", [Window(10**12, 10**9, 10**13, 10**9), Window(1, 1, 1, 1), Window(10**12, 0, 1, 1)]
)
def test_extreme_counts_stay_finite(window: Window) -> None:
    """Huge and tiny counts give finite e-values."""
    assert np.isfinite(path([window] * 50)).all()


def test_contradictory_counters_count_as_all_bad() -> None:
    """More bad requests than requests, or negative ones, are cut to what is possible."""
    seen = columns([Window(3, 5, 2, -1)])
    assert [column.item() for column in seen] == [3, 3, 2, 0]
    assert {column.dtype for column in seen} == {np.dtype(np.float64)}


@given(st.floats(0, 1e12))
def test_tempering_spares_few_and_never_strengthens(effective: float) -> None:
    """The power is 1 up to what is spared, falls with the number of requests, and stays positive."""
    few, many = temper(np.array([effective]), 8.0), temper(np.array([2 * effective]), 8.0)
    assert 0 < many[0] <= few[0] <= 1
    assert few[0] == 1 or effective > 8


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=4))
def test_averaged_e_values_lie_between(logarithms: list[float]) -> None:
    """The mean of e-values is between the least and the largest, and of one it is that one."""
    mean = averaged([np.array([[value]]) for value in logarithms])[0, 0]
    assert min(logarithms) - 1e-9 <= mean <= max(logarithms) + 1e-9

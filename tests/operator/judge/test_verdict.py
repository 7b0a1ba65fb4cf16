"""Verdicts: what makes a step Good, Bad or Inconclusive."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_operator.judge import comparison, objective
from serving_operator.judge.verdict import LARGEST, judge, limits_of
from serving_operator.judge.windows import Limits, Window
from tests.operator.judge.test_comparison import windows

NINETY_NINE = limits_of(99)
FINE = Window(60, 0, 540, 1)
WRONG = Window(60, 20, 540, 1)


def test_the_limits_follow_from_the_objective() -> None:
    """Acceptable is what the objective allows; unacceptable five times that, at most half-way to everything."""
    assert limits_of(99) == Limits(pytest.approx(0.01), pytest.approx(0.05))
    assert limits_of(50) == Limits(0.5, 0.75)
    assert limits_of(99, 2, minimum_requests=7) == Limits(pytest.approx(0.01), 0.02, 7)


@pytest.mark.parametrize(
    ("percent", "unacceptable"), [(100, None), (100, 5), (0, None), (99, 1), (99, 0.5), (99, 100)]
)
def test_impossible_limits_are_refused(percent: float, unacceptable: float | None) -> None:
    """An objective that allows nothing or everything, or more than what is unacceptable, is an error."""
    with pytest.raises(ValueError, match="is needed"):
        limits_of(percent, unacceptable)


def test_nothing_seen_is_inconclusive() -> None:
    """Without windows, and with empty ones, nothing is found."""
    for seen in ([], [Window(0, 0, 0, 0)] * 100):
        finding = judge(seen, NINETY_NINE)
        assert finding.verdict == "Inconclusive"
        assert (finding.worse, finding.good_enough) == pytest.approx((1, 1))
        assert finding.windows == len(seen)
        assert (finding.requests, finding.bad, finding.stable_requests, finding.stable_bad) == (0, 0, 0, 0)


def test_few_good_requests_are_inconclusive_and_enough_are_good() -> None:
    """A faultless canary becomes Good once there is evidence, and keeps being so."""
    verdicts = [judge([FINE] * n, NINETY_NINE).verdict for n in range(8)]
    assert verdicts == ["Inconclusive"] * 3 + ["Good"] * 5


def test_the_finding_tells_the_sums() -> None:
    """The sums of all windows stand beside the verdict."""
    finding = judge([FINE, WRONG], NINETY_NINE)
    assert (finding.windows, finding.requests, finding.bad) == (2, 120, 20)
    assert (finding.stable_requests, finding.stable_bad) == (1080, 2)


def test_a_canary_that_fails_is_bad_and_stays_so() -> None:
    """Once Bad, good windows do not make it anything else."""
    assert judge([WRONG], NINETY_NINE).verdict == "Inconclusive"
    assert judge([WRONG] * 2, NINETY_NINE).verdict == "Bad"
    finding = judge([*[WRONG] * 2, *[FINE] * 200], NINETY_NINE)
    assert finding.verdict == "Bad"
    assert finding.worse >= comparison.BOUND


def test_a_canary_that_breaks_late_is_still_bad() -> None:
    """Half an hour of good windows does not hide a failure that comes after."""
    assert judge([*[FINE] * 30, *[WRONG] * 6], NINETY_NINE).verdict == "Bad"


def test_an_upstream_outage_is_not_the_canarys_fault() -> None:
    """Where stable fails alike, the step waits: neither Bad nor Good."""
    outage = Window(60, 30, 540, 270)
    assert judge([*[FINE] * 2, *[outage] * 30], NINETY_NINE).verdict == "Inconclusive"


def test_a_canary_that_is_within_its_objective_but_worse_than_stable_is_not_promoted_early() -> None:
    """Suspicion, half of the bound's logarithm, withholds Good although the objective is met."""
    suspicious = [Window(60, 3, 540, 0)]
    finding = judge(suspicious, limits_of(75))
    assert finding.good_enough >= objective.BOUND
    assert finding.worse >= math.sqrt(comparison.BOUND)
    assert finding.verdict == "Inconclusive"


def test_less_than_suspicion_withholds_nothing() -> None:
    """A canary that is somewhat worse, and meets its objective, is Good."""
    finding = judge([Window(60, 3, 540, 1)], limits_of(75))
    assert math.cbrt(comparison.BOUND) < finding.worse < math.sqrt(comparison.BOUND)
    assert finding.verdict == "Good"


def test_what_is_shown_of_a_canary_that_is_not_bad_is_the_latest() -> None:
    """A former suspicion that went away is not told for ever."""
    suspicious = Window(60, 4, 540, 1)
    assert judge([suspicious, *[FINE] * 3], NINETY_NINE).worse < judge([suspicious], NINETY_NINE).worse


def test_the_likelihood_is_walds_tempered() -> None:
    """Each good and bad request counts with its logarithm, each window with the inverse of its variance inflation."""
    good, bad = math.log(0.99 / 0.95), math.log(0.01 / 0.05)
    expected = (5 * good + bad) / 1.1 + 59 * good / 2.16
    assert judge([Window(6, 1, 54, 1), Window(59, 0, 500, 1)], NINETY_NINE).good_enough == pytest.approx(
        math.exp(expected)
    )


@pytest.mark.parametrize(("windows_good", "verdict"), [(72, "Inconclusive"), (73, "Good")])
def test_twenty_to_one_is_good(windows_good: int, verdict: str) -> None:
    """Good is said from a likelihood ratio of 20 on, not before."""
    finding = judge([Window(1, 0, 9, 0)] * windows_good, NINETY_NINE)
    assert (finding.good_enough >= 20) == (verdict == "Good")
    assert finding.verdict == verdict


def test_a_minimum_of_requests_is_awaited() -> None:
    """Nothing is Good below it, whatever the likelihood."""
    limits = limits_of(99, minimum_requests=540)
    assert judge([FINE] * 8, limits).verdict == "Inconclusive"
    assert judge([FINE] * 9, limits).verdict == "Good"


def test_one_minute_is_not_enough_however_many_requests_it_has() -> None:
    """Requests of one window stand or fall together: a single huge window promotes nobody."""
    assert judge([Window(10**6, 0, 10**6, 0)], NINETY_NINE).verdict == "Inconclusive"


@given(st.lists(windows(0), max_size=8), st.integers(0, 1000))
def test_the_likelihood_does_not_know_the_order(seen: list[Window], seed: int) -> None:
    """The objective asks how many were bad, not when."""
    shuffled = list(seen)
    random.Random(seed).shuffle(shuffled)
    expected = judge(seen, NINETY_NINE).good_enough
    assert judge(shuffled, NINETY_NINE).good_enough == pytest.approx(expected)


@given(st.lists(windows(0), min_size=1, max_size=8), st.integers(0, 7))
def test_a_bad_request_never_speaks_for_the_canary(seen: list[Window], place: int) -> None:
    """One more bad request never raises the likelihood of the acceptable, tempering unchanged."""
    place = min(place, len(seen) - 1)
    window = seen[place]
    if window.bad < window.requests:
        more = [*seen[:place], window._replace(bad=window.bad + 1), *seen[place + 1 :]]
        assert judge(more, NINETY_NINE).good_enough <= judge(seen, NINETY_NINE).good_enough * (1 + 1e-9)


@given(st.lists(windows(0), max_size=8))
def test_the_verdict_about_worse_does_not_know_the_objective(seen: list[Window]) -> None:
    """Whether a canary is Bad, and the e-value, are the same for every objective."""
    strict, lax = judge(seen, NINETY_NINE), judge(seen, limits_of(50))
    assert strict.worse == lax.worse
    assert (strict.verdict == "Bad") == (lax.verdict == "Bad")


@given(st.lists(windows(0), min_size=1, max_size=5))
def test_the_same_stream_twice_is_the_stream_once(seen: list[Window]) -> None:
    """Averaging e-values of equal streams changes nothing."""
    once, twice = judge(seen, NINETY_NINE), judge(seen, NINETY_NINE, seen)
    assert twice.worse == pytest.approx(once.worse)
    assert twice.good_enough == once.good_enough


def test_a_second_stream_can_abort() -> None:
    """Failures that the first meaning of bad does not show abort through the second."""
    late_alike = Window(60, 6, 540, 54)
    failed = Window(60, 6, 540, 0)
    assert judge([late_alike] * 8, NINETY_NINE).verdict == "Inconclusive"
    assert judge([late_alike] * 8, NINETY_NINE, [failed] * 8).verdict == "Bad"


@pytest.mark.parametrize("window", [Window(10**9, 10**9, 10**9, 0), Window(10**9, 0, 10**9, 10**9)])
def test_ratios_are_finite_numbers(window: Window) -> None:
    """What is shown stays within what JSON can hold, after a thousand windows too."""
    finding = judge([window] * 1000, NINETY_NINE)
    assert 1 / LARGEST * 0.99 <= finding.worse <= LARGEST * 1.01
    assert 1 / LARGEST * 0.99 <= finding.good_enough <= LARGEST * 1.01

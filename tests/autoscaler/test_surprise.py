"""What comes faster than pods start, and how much of it is stood by for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.learn import EVIDENCE_HALF_LIFE_SECONDS
from autoscaler.surprise import (
    NO_SURPRISES,
    REMEMBERED_SECONDS,
    SURPRISE_SHARE,
    Came,
    carried,
    prepared,
)

TICK = 15.0
WINDOW = 45.0


def test_what_can_be_carried_is_no_surprise() -> None:
    """Nor is the noise of a count: three standard deviations above it."""
    assert NO_SURPRISES.with_rate(0.0, 100.0, 100.0, WINDOW, TICK) is NO_SURPRISES
    assert (
        NO_SURPRISES.with_rate(0.0, 1.4, 1.0, WINDOW, TICK) is NO_SURPRISES
    )  # 18 more than 45: 2.7 deviations
    assert NO_SURPRISES.with_rate(0.0, 1.5, 1.0, WINDOW, TICK) is not NO_SURPRISES


def test_few_replicas_carry_much_more_than_they_hold() -> None:
    """One that is sized for a busy half has as much to spare; a hundred have little."""
    assert carried(1.0, 0.5) == pytest.approx(2.0, rel=0.01)
    assert carried(200.0, 0.5) == pytest.approx(214.0, rel=0.01)
    assert carried(0.0, 0.5) == 0


@given(rate=st.floats(0.001, 1e5), seconds=st.floats(0.001, 100))
def test_what_must_be_carried_says_what_to_prepare_for(rate: float, seconds: float) -> None:
    """The two are each other's inverse."""
    assert carried(prepared(rate, seconds), seconds) == pytest.approx(rate, rel=1e-6)


def test_the_rate_above_which_few_enough_came_is_stood_by_for() -> None:
    """As many as are bearable may have come at higher rates; the rest are to be ready for, within a twelfth."""
    seen = NO_SURPRISES
    for rate, ticks in ((20.0, 10), (50.0, 2)):
        for _ in range(ticks):
            seen = seen.with_rate(0.0, rate, 5.0, WINDOW, TICK)
    high, low = 2 * 50 * TICK, 10 * 20 * TICK

    assert seen.stand_by(0.0, high - 1) == pytest.approx(50, rel=1 / 11)
    assert seen.stand_by(0.0, high) == pytest.approx(20, rel=1 / 11)
    assert seen.stand_by(0.0, high + low) == 0
    assert NO_SURPRISES.stand_by(0.0, 0.0) == 0


def test_surprises_fade() -> None:
    """What was too much yesterday is bearable when half of it is forgotten."""
    seen = NO_SURPRISES.with_rate(0.0, 20.0, 5.0, WINDOW, TICK)

    assert seen.stand_by(0.0, 200.0) > 0
    assert seen.stand_by(EVIDENCE_HALF_LIFE_SECONDS, 200.0) == 0
    assert (
        seen.with_rate(EVIDENCE_HALF_LIFE_SECONDS, 20.0, 5.0, WINDOW, TICK).stand_by(
            EVIDENCE_HALF_LIFE_SECONDS, 440.0
        )
        > 0
    )


def test_a_service_without_requests_stands_by_for_nothing_in_the_end() -> None:
    """What it bears fades as its surprises do: of an hour of 20 requests/s less than one is left after 17 days."""
    seen, came = NO_SURPRISES, Came()
    for _ in range(60):
        seen = seen.with_rate(0.0, 20.0, 5.0, WINDOW, 60.0)
        came = came.with_requests(20.0 * 60.0, 60.0)

    for days, stands_by in ((1, True), (16, True), (17, False), (60, False)):
        quiet = came.with_requests(0.0, days * 86400.0)
        assert (seen.stand_by(days * 86400.0, quiet.bearable(0.001)) > 0) == stands_by, days


def test_the_first_minutes_are_not_taken_for_every_few_minutes() -> None:
    """What a service bears is told by a day of the requests that it gets, however short it has been seen."""
    young = Came().with_requests(10 * 60.0, 60.0)
    old = Came()
    for _ in range(7 * 24 * 60):
        old = old.with_requests(10 * 60.0, 60.0)

    assert Came().bearable(0.01) == math.inf
    assert young.bearable(0.01) == pytest.approx(SURPRISE_SHARE * 0.01 * 10 * REMEMBERED_SECONDS)
    assert old.bearable(0.01) == pytest.approx(young.bearable(0.01), rel=0.001)


@given(
    rates=st.lists(st.floats(0.001, 1e5), min_size=1, max_size=30),
    bearable=st.floats(0, 1e6),
    more=st.floats(0, 1e6),
)
def test_who_bears_more_stands_by_for_less(rates: list[float], bearable: float, more: float) -> None:
    """And never for more than the highest rate that came."""
    seen = NO_SURPRISES
    for rate in rates:
        seen = seen.with_rate(0.0, rate, 0.0, WINDOW, TICK)

    assert seen.stand_by(0.0, bearable + more) <= seen.stand_by(0.0, bearable) <= max(*rates, 0.01) * 1.1

"""Arrivals: the schedule of an open-loop load."""

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.arrivals import Arrivals, RateChange


def test_even_arrivals_keep_their_distance() -> None:
    """Evenly spaced arrivals are exactly one gap apart, beginning at the start."""
    arrivals = Arrivals("even", changes=[RateChange(0, 4)])
    assert arrivals.due(1.0) == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_a_seed_repeats_the_schedule() -> None:
    """The same seed yields the same Poisson arrivals, another seed yields others."""
    first, again, other = (Arrivals("poisson", seed, [RateChange(0, 5)]).due(20) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_poisson_arrivals_have_rate_and_spread() -> None:
    """Over 2,000 expected arrivals, mean gap and variance are those of the exponential distribution."""
    times = Arrivals("poisson", 3, [RateChange(0, 20)]).due(100)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert mean == pytest.approx(1 / 20, rel=0.1)
    assert variance == pytest.approx(mean**2, rel=0.2)


def test_no_rate_means_no_event() -> None:
    """Without a rate nothing falls due, and the next event is never."""
    arrivals = Arrivals()
    assert arrivals.due(100) == []
    assert arrivals.next_event() == inf


def test_a_rate_set_while_running_holds_from_then_on() -> None:
    """A gap that began under the old rate is finished under the new one, in proportion."""
    arrivals = Arrivals("even", changes=[RateChange(0, 1)])
    assert arrivals.due(0.5) == [0.0]
    arrivals.change(0.5, 10)
    assert arrivals.due(0.7) == pytest.approx([0.55, 0.65])


@given(
    steps=st.lists(st.floats(0.01, 3), min_size=1, max_size=30),
    # Below, what rounding leaves of a gap at a change would take for ever.
    rates=st.lists(st.floats(0.01, 50), min_size=1, max_size=5),
    spacing=st.sampled_from(["even", "poisson"]),
)
def test_the_schedule_does_not_depend_on_when_it_is_asked(steps, rates, spacing) -> None:
    """However late or often the arrivals are taken, they are the same."""
    changes = [RateChange(index * 2.0, rate) for index, rate in enumerate(rates)]
    whole, pieces = (Arrivals(spacing, 5, changes) for _ in range(2))
    taken, now = [], 0.0
    for step in steps:
        now += step
        taken += pieces.due(now)
    assert taken == pytest.approx(whole.due(now), abs=1e-6)

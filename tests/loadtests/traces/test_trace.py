"""Traces: what is scaled and cut, and the arrivals drawn from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.traces.trace import DAY_SECONDS, VARIABILITIES, Recorded, Trace


def trace(*rates: float, step: float = 60.0) -> Trace:
    return Trace("t", step, np.array(rates))


@given(
    rates=st.lists(st.floats(0.001, 1e4), min_size=1, max_size=20),
    mean=st.floats(0, 1e4),
)
def test_scaling_changes_the_mean_and_not_the_shape(rates: list[float], mean: float) -> None:
    """The mean is the one asked for, and all steps keep their proportions."""
    before = trace(*rates)
    after = before.scaled_to(mean)
    assert after.mean_rate == pytest.approx(mean)
    assert after.rates * before.mean_rate == pytest.approx(before.rates * mean)
    assert after.seconds_per_step == before.seconds_per_step


def test_a_scaled_trace_has_no_recorded_requests() -> None:
    """Requests of one rate are not those of another."""
    recorded = Recorded(np.array([1.0]), np.array([2]), np.array([3]))
    assert Trace("t", 60, np.array([1 / 60]), recorded).scaled_to(1).recorded is None


def test_days_are_cut_at_midnight() -> None:
    """Each whole day becomes a trace that begins at 0, with its own rates and requests; the rest is dropped."""
    recorded = Recorded(np.array([5.0, DAY_SECONDS, 2 * DAY_SECONDS + 7]), np.arange(3), np.arange(3) + 10)
    days = Trace("t", 3600, np.arange(24 * 2 + 5), recorded).days()
    assert [day.name for day in days] == ["t, day 1", "t, day 2"]
    assert days[1].rates.tolist() == list(range(24, 48))
    requests = days[1].recorded
    assert requests is not None
    assert (requests.seconds.tolist(), requests.input_tokens.tolist()) == ([0.0], [1])
    assert requests.output_tokens.tolist() == [11]


def test_a_trace_of_less_than_a_day_has_no_days() -> None:
    """Nothing is made up to fill a day."""
    assert trace(1, 2).days() == ()


def test_days_need_steps_that_divide_them() -> None:
    """A day is not cut within a step."""
    with pytest.raises(ValueError, match=r"steps of 433\.2 s do not divide a day"):
        trace(1, 2, step=433.2).days()


def test_rates_cannot_be_written_to() -> None:
    """A trace is a value: neither it nor the array that it was made from changes the other."""
    source = np.array([1.0, 2.0])
    made = Trace("t", 1, source)
    source[0] = 9
    assert made.rates.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        made.rates[0] = 3


@pytest.mark.parametrize("rates", [[], [-1.0], [np.nan], [np.inf], [[1.0]]])
def test_rates_that_are_none_are_refused(rates: list[float]) -> None:
    """Rates are a row of finite numbers, none of them negative."""
    with pytest.raises(ValueError, match="t: rates must be"):
        Trace("t", 1, np.array(rates))


def test_what_cannot_be_done_is_refused() -> None:
    """Steps without length, impossible means, times outside and negative variability are errors that say so."""
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="a step must last"):
        trace(1, step=0)
    with pytest.raises(ValueError, match="no shape"):
        trace(0, 0).scaled_to(1)
    with pytest.raises(ValueError, match="finite and not negative"):
        trace(1).scaled_to(-1)
    with pytest.raises(ValueError, match="is not within its 60 s"):
        trace(1).arrivals(rng, 0, 61)
    with pytest.raises(ValueError, match="variability is not negative"):
        trace(1).arrivals(rng, 0, 60, -0.1)


def test_counts_are_poisson() -> None:
    """Without modulation, counts of a minute have the trace's mean, and a variance like it."""
    made = trace(*[2.0] * 2000)
    arrived = made.arrivals(np.random.default_rng(1), 0, made.duration_seconds)
    counts = np.bincount((arrived // 60).astype(int), minlength=2000)
    assert counts.mean() == pytest.approx(120, rel=0.01)
    assert counts.var() == pytest.approx(120, rel=0.1)


@pytest.mark.parametrize("variability", VARIABILITIES)
@pytest.mark.parametrize("step", [10.0, 60.0, 600.0])
def test_minutes_vary_as_asked_whatever_the_step(variability: float, step: float) -> None:
    """The variance of a minute's count is that of a Gamma-Poisson mixture, and the mean stays."""
    minutes = 6000
    made = trace(*[2.0] * round(minutes * 60 / step), step=step)
    arrived = made.arrivals(np.random.default_rng(2), 0, made.duration_seconds, variability)
    counts = np.bincount((arrived // 60).astype(int), minlength=minutes)
    assert counts.mean() == pytest.approx(120, rel=0.02)
    assert counts.var() == pytest.approx(120 + (variability * 120) ** 2, rel=0.1)


def test_each_step_has_its_rate() -> None:
    """Arrivals follow the rates also where begin and end lie within steps, and none comes where the rate is 0."""
    made = trace(0, 50, 0, 100, step=90)
    arrived = made.arrivals(np.random.default_rng(3), 45, 315)
    counts = np.bincount((arrived // 90).astype(int), minlength=4)
    assert counts[[0, 2]].tolist() == [0, 0]
    assert counts[1] == pytest.approx(50 * 90, rel=0.06)
    assert counts[3] == pytest.approx(100 * 45, rel=0.06)


@given(begin=st.floats(0, 250), length=st.floats(0, 50), variability=st.sampled_from(VARIABILITIES))
def test_arrivals_are_in_order_and_within(begin: float, length: float, variability: float) -> None:
    """Whatever is asked for, arrivals come in order, at or after its begin and before its end."""
    end = begin + length
    arrived = trace(5, 0, 20, step=100).arrivals(np.random.default_rng(4), begin, end, variability)
    assert (np.diff(arrived) >= 0).all()
    assert ((arrived >= begin) & (arrived < end)).all()


def test_no_arrival_is_rounded_to_the_end() -> None:
    """Also within the shortest time that there is, arrivals come before its end."""
    end = float(np.nextafter(50, 51))
    arrived = trace(1e16).arrivals(np.random.default_rng(5), 50, end)
    assert set(arrived.tolist()) == {50.0}


def test_a_seed_repeats_the_arrivals() -> None:
    """The same generator state yields the same arrivals, another seed others."""
    first, again, other = (
        trace(3, 4).arrivals(np.random.default_rng(seed), 0, 120, 0.4).tolist() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other

"""Schedules with foreknowledge: enough replicas, ready in time, and no more starts than pay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.capacity import Demand, smallest_replicas
from loadtests.bounds.cost import Floats, Ints, schedule_cost
from loadtests.bounds.lower import hard_bound
from loadtests.bounds.oracle import Schedule, clairvoyant, known_rate, windowed_rates
from tests.loadtests.bounds import brute

RATES = st.lists(st.sampled_from([0.0, 0.0, 5.0, 15.0, 25.0]), min_size=1, max_size=30).map(np.array)
STEP = 15.0


def of_ten(rates: Floats) -> Ints:
    """A replica carries 10 requests per second."""
    return np.ceil(rates / 10).astype(np.int64)


def ready_in(schedule: Schedule, step_seconds: float, start_seconds: float) -> Ints:
    """How many are ready as each step begins, when pods that take so long are started and stopped as asked."""
    pods = [-start_seconds] * int(schedule.asked[0])
    ready = []
    for index, asked in enumerate(schedule.asked.tolist()):
        now = index * step_seconds
        pods = pods[:asked] + [now] * (asked - len(pods))
        ready.append(sum(begun + start_seconds <= now + 1e-6 for begun in pods))
    return np.array(ready)


@given(rates=RATES, start=st.sampled_from([0.0, 5.0, 15.0, 40.0, 300.0]), before=st.integers(0, 3))
def test_enough_replicas_are_ready_in_every_step(rates, start, before) -> None:
    """Pods started as asked are ready when the rate needs them, also where gaps lie between."""
    schedule = known_rate(rates, STEP, start, of_ten, before)
    assert schedule.needed.tolist() == of_ten(rates).tolist()
    assert (schedule.ready >= schedule.needed).all()
    assert (ready_in(schedule, STEP, start) >= schedule.ready).all()


@given(rates=RATES, steps=st.integers(0, 8))
def test_nobody_is_asked_earlier_than_needed(rates, steps) -> None:
    """Each pod is asked for exactly a start before it is due: what is asked in a step is due within that time."""
    schedule = known_rate(rates, STEP, STEP * steps, of_ten)
    ahead = [schedule.ready[begin : begin + steps + 1].max() for begin in range(len(rates))]
    assert schedule.asked.tolist() == ahead


@given(
    rates=st.lists(st.sampled_from([0.0, 5.0, 15.0, 25.0]), min_size=1, max_size=6).map(np.array),
    start=st.sampled_from([0.0, 15.0, 30.0, 60.0]),
    before=st.integers(0, 3),
)
def test_the_oracle_is_the_cheapest_of_all_schedules(rates, start, before) -> None:
    """What is ready costs what the cheapest of all schedules does that has what the rates need."""
    schedule = known_rate(rates, STEP, start, of_ten, before)
    rows = brute.schedules(len(rates), 3)
    enough = rows[(rows >= schedule.needed).all(axis=1)]
    assert schedule_cost(schedule.ready, STEP, start, before) == pytest.approx(
        brute.costs(enough, STEP, start, before).min()
    )


@given(rates=RATES, steps=st.integers(0, 6))
def test_what_is_asked_costs_the_bound_and_no_more(rates, steps) -> None:
    """With starts of whole steps, and time for them before the first demand, pods are billed exactly the hard bound."""
    start = steps * STEP
    rates = np.concatenate([np.zeros(steps), rates])
    schedule = known_rate(rates, STEP, start, of_ten)
    billed = STEP * schedule.asked.sum()
    assert billed == pytest.approx(hard_bound(schedule.needed, STEP, start))


def test_the_queueing_model_is_the_callers() -> None:
    """The autoscaler's own model sizes each rate for the objective."""
    one = np.array([1.0])
    demand = Demand(0.1 * one, 0.25 * one, 0.5 * one, 0.01 * one)
    rates = np.array([5.0, 50.0, 5.0])
    schedule = known_rate(rates, 60, 30, lambda rate: smallest_replicas(rate, demand.repeated(len(rate))))
    assert schedule.needed.tolist() == [
        int(smallest_replicas(rate * one, demand)[0]) for rate in rates.tolist()
    ]
    assert schedule.asked.tolist() == [schedule.needed[1], schedule.needed[1], schedule.needed[0]]


def test_a_window_lies_around_its_step() -> None:
    """Counts are averaged over as many steps as there are; an even window reaches further ahead."""
    counts = np.array([30, 0, 60, 0])
    assert windowed_rates(counts, 1, 10).tolist() == [3, 0, 6, 0]
    assert windowed_rates(counts, 2, 10).tolist() == [1.5, 3, 3, 0]
    assert windowed_rates(counts, 3, 10).tolist() == [1.5, 3, 2, 3]
    assert windowed_rates(counts, 99, 10).tolist() == [2.25] * 4


@given(
    counts=st.lists(st.integers(0, 500), min_size=1, max_size=30).map(np.array),
    window=st.integers(1, 9),
    headrooms=st.tuples(st.floats(0, 3), st.floats(0, 3)).map(sorted),
    start=st.sampled_from([0.0, 20.0, 60.0]),
)
def test_more_headroom_is_never_fewer_replicas(counts, window, headrooms, start) -> None:
    """So a caller may search for the least headroom that does; and none means no replicas."""
    less, more = (clairvoyant(counts, window, room, STEP, start, of_ten) for room in headrooms)
    assert (less.asked <= more.asked).all()
    assert not clairvoyant(counts, window, 0, STEP, start, of_ten).asked.any()


@given(
    counts=st.lists(st.integers(0, 500), min_size=1, max_size=30).map(np.array),
    start=st.sampled_from([0.0, 40.0]),
)
def test_the_clairvoyant_of_one_step_knows_its_rate(counts, start) -> None:
    """With a window of one step and no headroom it does what the oracle does for the rates that came."""
    seen = clairvoyant(counts, 1, 1.0, STEP, start, of_ten)
    known = known_rate(counts / STEP, STEP, start, of_ten)
    assert seen.asked.tolist() == known.asked.tolist()


def test_what_cannot_be_is_refused() -> None:
    """Negative starts and headroom, and windows without steps, are errors."""
    counts = np.array([1, 2])
    with pytest.raises(ValueError, match="no negative time"):
        known_rate(counts / STEP, STEP, -1, of_ten)
    with pytest.raises(ValueError, match="headroom is not negative"):
        clairvoyant(counts, 1, -0.1, STEP, 0, of_ten)
    with pytest.raises(ValueError, match="at least one step"):
        clairvoyant(counts, 0, 1, STEP, 0, of_ten)

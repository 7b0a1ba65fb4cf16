"""The cheapest schedule above what is required, against all schedules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.bounds.cost import cheapest_schedule, schedule_cost
from tests.loadtests.bounds import brute

REQUIRED = st.lists(st.integers(0, 3), min_size=1, max_size=6).map(np.array)
STEPS = st.sampled_from([1.0, 15.0, 60.0])
STARTS = st.sampled_from([0.0, 1.0, 20.0, 60.0, 150.0, 1000.0])
BEFORE = st.integers(0, 4)


@given(required=REQUIRED, step=STEPS, start=STARTS, before=BEFORE)
def test_a_schedule_costs_what_its_replicas_do(required, step, start, before) -> None:
    """Steps and starts are paid for, those that ran before need no start."""
    by_definition = brute.costs(required[None, :], step, start, before)[0]
    assert schedule_cost(required, step, start, before) == pytest.approx(by_definition)


@given(required=REQUIRED, step=STEPS, start=STARTS, before=BEFORE)
def test_no_schedule_above_the_required_is_cheaper(required, step, start, before) -> None:
    """Of all schedules that have enough replicas in each step none costs less."""
    found = cheapest_schedule(required, step, start, before)
    assert (found >= required).all()
    rows = brute.schedules(len(required), 3)
    enough = rows[(rows >= required).all(axis=1)]
    assert schedule_cost(found, step, start, before) == pytest.approx(
        brute.costs(enough, step, start, before).min()
    )


def test_a_gap_is_bridged_as_long_as_that_is_no_dearer_than_a_start() -> None:
    """Two steps of 10 s are bridged where a start takes 20 s, three are not; each layer has gaps of its own."""
    required = np.array([2, 0, 0, 1, 0, 0, 0, 2])
    assert cheapest_schedule(required, 10, 20).tolist() == [2, 1, 1, 1, 0, 0, 0, 2]
    assert cheapest_schedule(required, 10, 30).tolist() == [2, 1, 1, 1, 1, 1, 1, 2]
    assert cheapest_schedule(required, 10, 60).tolist() == [2] * 8


def test_what_runs_before_is_kept_until_needed() -> None:
    """A replica that runs already waits for demand soon to come, and is stopped where none comes soon enough."""
    required = np.array([0, 0, 1])
    assert cheapest_schedule(required, 10, 20, before=2).tolist() == [1, 1, 1]
    assert cheapest_schedule(required, 10, 19, before=2).tolist() == [0, 0, 1]


def test_nothing_required_costs_nothing() -> None:
    """Without demand there are no replicas, in any number of steps."""
    for steps in (0, 4):
        none = cheapest_schedule(np.zeros(steps, dtype=np.int64), 10, 20, before=1)
        assert none.tolist() == [0] * steps
        assert schedule_cost(none, 10, 20, before=1) == 0


def test_what_cannot_be_is_refused() -> None:
    """Negative requirements and steps without length are errors."""
    with pytest.raises(ValueError, match="one is -1"):
        cheapest_schedule(np.array([1, -1]), 10, 20)
    with pytest.raises(ValueError, match="a step must last"):
        cheapest_schedule(np.array([1]), 0, 20)

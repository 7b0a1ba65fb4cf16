"""Lower bounds: exact where they claim to be, and below every schedule that can be carried out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.bounds.cost import schedule_cost
from loadtests.bounds.lower import budgeted_bound, hard_bound, relaxed
from tests.loadtests.bounds import brute

STEP, MOST = 15.0, 3
STARTS = st.sampled_from([0.0, 10.0, 40.0, 300.0])
BEFORE = st.integers(0, 4)
LATE = (
    st.integers(1, 6)
    .flatmap(
        lambda steps: st.lists(
            st.lists(st.integers(0, 30), min_size=4, max_size=4), min_size=steps, max_size=steps
        )
    )
    .map(lambda rows: np.array(rows, dtype=np.float64))
)
"""Late requests by step and replicas; more replicas need not help."""


@given(
    required=st.lists(st.integers(0, 3), min_size=1, max_size=6).map(np.array), start=STARTS, before=BEFORE
)
def test_the_hard_bound_is_exact(required, start, before) -> None:
    """It is the cost of the cheapest of all schedules with enough replicas in each step."""
    rows = brute.schedules(len(required), MOST)
    enough = rows[(rows >= required).all(axis=1)]
    cheapest = brute.costs(enough, STEP, start, before).min()
    assert hard_bound(required, STEP, start, before) == pytest.approx(cheapest)


@given(
    steps=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), min_size=1, max_size=60),
    start=STARTS,
    before=BEFORE,
)
def test_no_schedule_with_enough_replicas_falls_below(steps, start, before) -> None:
    """Whatever is added to what is required, the cost is at least the bound."""
    required, more = np.array(steps).T
    bound = hard_bound(required, STEP, start, before)
    assert bound <= schedule_cost(required + more, STEP, start, before) + 1e-6


@given(late=LATE, multiplier=st.sampled_from([0.0, 0.3, 1.0, 7.0, 1e4]), start=STARTS, before=BEFORE)
def test_the_relaxed_schedule_is_the_cheapest(late, multiplier, start, before) -> None:
    """With a price for late requests no schedule is cheaper, and the late requests told are those of one that is as cheap."""
    rows = brute.schedules(len(late), MOST)
    costs, late_on = brute.costs(rows, STEP, start, before), brute.late_on(rows, late)
    prices = costs + multiplier * late_on
    found = relaxed(late, multiplier, STEP, start, before)
    assert found.price == pytest.approx(prices.min())
    assert found.late in late_on[np.isclose(prices, prices.min())]


@given(late=LATE, share=st.floats(0, 1.2), start=STARTS, before=BEFORE)
def test_no_schedule_within_the_allowance_falls_below(late, share, start, before) -> None:
    """The bound is at most the cost of the cheapest schedule that keeps the allowance, and infinite if none does."""
    allowed = share * float(late.max(axis=1).sum())
    rows = brute.schedules(len(late), MOST)
    within = brute.late_on(rows, late) <= allowed
    bound = budgeted_bound(late, allowed, STEP, start, before)
    if within.any():
        assert bound <= brute.costs(rows[within], STEP, start, before).min() * (1 + 1e-9) + 1e-9
    else:
        assert bound == math.inf


@given(late=LATE, share=st.floats(0, 1), start=STARTS, before=BEFORE)
def test_no_multiplier_gives_a_better_bound(late, share, start, before) -> None:
    """The search finds the top of the dual, as it is over all schedules and many multipliers."""
    least, most = float(late.min(axis=1).sum()), float(late.max(axis=1).sum())
    allowed = least + share * (most - least)
    rows = brute.schedules(len(late), MOST)
    costs, excess = brute.costs(rows, STEP, start, before), brute.late_on(rows, late) - allowed
    multipliers = np.concatenate([[0], np.geomspace(0.01, 1e4, 60)])
    dual = (costs[:, None] + multipliers * excess[:, None]).min(axis=0)
    bound = budgeted_bound(late, allowed, STEP, start, before)
    assert bound >= dual.max() - 1e-3 - 1e-4 * abs(dual.max())


@given(
    required=st.lists(st.integers(0, 3), min_size=1, max_size=40).map(np.array), start=STARTS, before=BEFORE
)
def test_without_an_allowance_the_budgeted_bound_is_the_hard_one(required, start, before) -> None:
    """Where too few replicas make requests late and none may be, both bounds say the same."""
    late = 5.0 * np.maximum(required[:, None] - np.arange(MOST + 1), 0)
    bound = budgeted_bound(late, 0, STEP, start, before)
    assert bound == pytest.approx(hard_bound(required, STEP, start, before))


def test_a_larger_allowance_never_costs_more() -> None:
    """The bound falls with what may be late, down to nothing where all may be."""
    late = np.maximum(np.array([40, 10, 0, 90, 55])[:, None] - 10.0 * np.arange(10), 0)
    bounds = [budgeted_bound(late, allowed, STEP, 60) for allowed in (0, 5, 20, 80, 195)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] == pytest.approx(hard_bound(np.array([4, 1, 0, 9, 6]), STEP, 60))
    assert bounds[-1] == 0


@pytest.mark.parametrize("late", [[1.0, 2.0], [[]], [[np.nan]], [[-1.0]], [[np.inf]]])
def test_late_counts_that_are_none_are_refused(late) -> None:
    """They are a table of finite numbers, none of them negative."""
    with pytest.raises(ValueError, match="late requests are"):
        budgeted_bound(np.array(late), 1, STEP, 60)

"""What replicas carry, found by trying."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.capacity import BUDGET_SHARE, Demand, late_fraction, smallest_replicas
from loadtests.bounds.curve import ALLOWED, HALVINGS, REPLICAS, measured

DEMAND = Demand(np.array([0.5]), np.array([0.25]), np.array([2.5]), np.array([0.01]))


def late_by_formula(replicas: int, rate: float) -> float:
    """As the queueing model has it."""
    return float(late_fraction(np.array([replicas]), np.array([rate]), DEMAND)[0])


def test_a_formula_is_found_again() -> None:
    """Trying what the queueing model says gives the replicas that it asks for; between what is tried, one more or less."""
    curve = measured(late_by_formula, saturation=2.0)
    rates = np.arange(0.2, 40.0, 0.35)
    wanted = smallest_replicas(rates, DEMAND.repeated(len(rates)))
    found = curve.smallest(rates)
    assert ALLOWED / 0.01 == BUDGET_SHARE
    assert np.abs(found - wanted).max() <= 1
    assert np.mean(found == wanted) > 0.85


def test_every_tried_number_carries_as_much_as_it_can() -> None:
    """Up to the last halving."""
    curve = measured(late_by_formula, saturation=2.0)
    for replicas, utilization in zip(REPLICAS, curve.utilizations, strict=True):
        step = 2.0 * replicas / 2**HALVINGS
        assert late_by_formula(replicas, 2.0 * replicas * utilization) <= ALLOWED
        assert late_by_formula(replicas, 2.0 * replicas * utilization + step) > ALLOWED


def test_beyond_what_is_tried_each_carries_as_much() -> None:
    """And without requests one is enough."""
    curve = measured(lambda replicas, rate: 0.0 if rate <= 1.5 * replicas else 1.0, saturation=2.0)
    assert curve.smallest(np.array([0.0, 1.0, 1.6, 29.0, 149.0])).tolist() == [1, 1, 2, 20, 100]


def test_what_nobody_carries_is_refused() -> None:
    """Instead of a number of replicas without end."""
    curve = measured(lambda replicas, rate: 1.0, saturation=2.0)
    with pytest.raises(ValueError, match="no number of replicas"):
        curve.smallest(np.array([1.0]))

"""Lower bounds of what any schedule costs, even one made with all arrivals known.

`hard_bound`: in no step fewer replicas than required. `budgeted_bound`: any number of replicas, as long as no more
requests are late over the whole time than allowed. Its constraint is moved into the price, with a multiplier m ≥ 0
per late request: min over n of [cost(n) + m · late(n)] - m · allowed. Whatever m is, no schedule that keeps the
allowance costs less (weak duality: Everett, Generalized Lagrange Multiplier Method, 1963). The minimum is found by a
dynamic programme over steps and replicas; the bound is concave in m, and the late requests at the minimum tell on
which side of its top m lies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from loadtests.bounds.cost import Floats, Ints, cheapest_schedule, schedule_cost

DOUBLINGS: Final = 60
BISECTIONS: Final = 40
CLOSE: Final = 1e-6
"""Relative distance of two multipliers at which the search ends."""


@dataclass(frozen=True)
class Relaxed:
    """A schedule that is least costly where each late request has a price."""

    price: float
    """Replica-seconds, with the price of what is late."""
    late: float
    """Requests that are late on it."""


def hard_bound(required: Ints, step_seconds: float, start_seconds: float, before: int = 0) -> float:
    """Replica-seconds of the cheapest schedule with at least `required` replicas in each step. Exact.

    `before` run already at the beginning. Raises ValueError as `cheapest_schedule` does.
    """
    schedule = cheapest_schedule(required, step_seconds, start_seconds, before)
    return schedule_cost(schedule, step_seconds, start_seconds, before)


def budgeted_bound(
    late: Floats, allowed: float, step_seconds: float, start_seconds: float, before: int = 0
) -> float:
    """Replica-seconds that no schedule with at most `allowed` late requests in total falls below.

    `late[t, n]`: requests late in step t with n replicas, shape (steps, most replicas + 1). For the bound to hold of
    real queues, count no more than are late where step t begins with an empty queue. Infinite where even the best
    number of replicas in each step is not enough. Raises ValueError if `late` has another shape, or is negative or
    not finite somewhere.
    """
    _check(late)
    if late.min(axis=1).sum() > allowed:
        return math.inf
    low, high = 0.0, step_seconds
    best, excess = _dual(late, allowed, 0.0, step_seconds, start_seconds, before)
    if excess <= 0:
        return best
    for _ in range(DOUBLINGS):
        bound, excess = _dual(late, allowed, high, step_seconds, start_seconds, before)
        best = max(best, bound)
        if excess <= 0:
            break
        low, high = high, 2 * high
    for _ in range(BISECTIONS):
        if high - low <= CLOSE * high:
            break
        middle = (low + high) / 2
        bound, excess = _dual(late, allowed, middle, step_seconds, start_seconds, before)
        best = max(best, bound)
        low, high = (middle, high) if excess > 0 else (low, middle)
    return best


def relaxed(
    late: Floats, multiplier: float, step_seconds: float, start_seconds: float, before: int = 0
) -> Relaxed:
    """Cheapest schedule where a late request costs `multiplier` replica-seconds; `late` as in `budgeted_bound`.

    A step's states come from fewer replicas at the price of starts, or from more for nothing: minima over prefixes
    and suffixes of the states before, so that the whole takes steps × replicas. Raises ValueError.
    """
    _check(late)
    states = np.arange(late.shape[1])
    serving, starting = step_seconds * states, start_seconds * states
    price = start_seconds * np.maximum(states - before, 0) + serving + multiplier * late[0]
    count = late[0]
    for row in late[1:]:
        from_above, above = _suffix_minimum(price)
        from_below, below = _prefix_minimum(price - starting)
        from_below = from_below + starting
        rises = from_below < from_above
        price = np.where(rises, from_below, from_above) + serving + multiplier * row
        count = count[np.where(rises, below, above)] + row
    cheapest = int(np.argmin(price))
    return Relaxed(float(price[cheapest]), float(count[cheapest]))


def _dual(
    late: Floats, allowed: float, multiplier: float, step_seconds: float, start_seconds: float, before: int
) -> tuple[float, float]:
    """The bound at a multiplier, and the late requests above the allowance there: its slope."""
    found = relaxed(late, multiplier, step_seconds, start_seconds, before)
    return found.price - multiplier * allowed, found.late - allowed


def _prefix_minimum(values: Floats) -> tuple[Floats, Ints]:
    """Minimum of the values up to each place, and where it stands."""
    minima = np.minimum.accumulate(values)
    return minima, np.maximum.accumulate(np.where(values == minima, np.arange(len(values)), 0))


def _suffix_minimum(values: Floats) -> tuple[Floats, Ints]:
    minima, places = _prefix_minimum(values[::-1])
    return minima[::-1], len(values) - 1 - places[::-1]


def _check(late: Floats) -> None:
    if late.ndim != 2 or not late.size:
        raise ValueError(f"late requests are given by step and replicas, not in the shape {late.shape}")
    if not np.isfinite(late).all() or late.min() < 0:
        raise ValueError("late requests are finite and not negative")

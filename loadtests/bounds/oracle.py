"""Schedules of somebody who knows the demand beforehand: what a perfect forecast would do, and what hindsight would.

`known_rate` knows the true rate at any time, not which arrivals it will bring: it staffs for chance like everybody.
`clairvoyant` knows the arrivals themselves. Both ask for replicas early enough that they are ready when needed, and
keep them through gaps where that costs no more than to start them again. Neither is a bound: both are schedules that
can be carried out, the clairvoyant's with any headroom; the least one with which few enough requests are late is the
caller's to find, by simulation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loadtests.bounds.cost import Floats, Ints, cheapest_schedule

Smallest = Callable[[Floats], Ints]
"""Fewest replicas that hold the objective at each of the given rates, requests per second: the queueing model."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """Replicas, one value a step. Those of the first steps presume that as many run already when it begins."""

    needed: Ints
    """What the queueing model asks for."""
    ready: Ints
    """With gaps filled: how many are to be ready in the step."""
    asked: Ints
    """How many there are to be, those that start included, from the beginning of the step on.

    Where fewer are asked, the youngest have to go first, as in Kubernetes: those not ready, then those ready last.
    """


def known_rate(
    rates: Floats, step_seconds: float, start_seconds: float, smallest: Smallest, before: int = 0
) -> Schedule:
    """Replicas for the true rates, requests per second in each step, of pods that are ready after `start_seconds`.

    `before` run when it begins. Raises ValueError for a step that does not last or a negative start.
    """
    if start_seconds < 0:
        raise ValueError(f"a start takes no negative time, it has {start_seconds:g} s")
    levels, places = np.unique(rates, return_inverse=True)
    needed = np.asarray(smallest(levels), dtype=np.int64)[places]
    ready = cheapest_schedule(needed, step_seconds, start_seconds, before)
    # A little less than a whole step too many is rounding.
    steps_ahead = math.ceil(start_seconds / step_seconds - 1e-9)
    return Schedule(needed, ready, _largest_ahead(ready, steps_ahead))


def clairvoyant(
    counts: Ints,
    window_steps: int,
    headroom: float,
    step_seconds: float,
    start_seconds: float,
    smallest: Smallest,
    before: int = 0,
) -> Schedule:
    """Replicas for the requests that do arrive: `counts` in each step, averaged over a window around it.

    The rate of the window times `headroom`, below 1 or above, is what replicas are needed for. Raises ValueError for
    a window without steps, a negative headroom, and as `known_rate` does.
    """
    if headroom < 0:
        raise ValueError(f"headroom is not negative, it is {headroom:g}")
    rates = windowed_rates(counts, window_steps, step_seconds)
    return known_rate(headroom * rates, step_seconds, start_seconds, smallest, before)


def windowed_rates(counts: Ints, window_steps: int, step_seconds: float) -> Floats:
    """Requests per second in the `window_steps` steps around each step, as far as there are any.

    An even window reaches one step further ahead than back. Raises ValueError for a window without steps.
    """
    if window_steps < 1:
        raise ValueError(f"a window has at least one step, not {window_steps}")
    steps = np.arange(len(counts))
    begins = np.maximum(steps - (window_steps - 1) // 2, 0)
    ends = np.minimum(steps + window_steps // 2 + 1, len(counts))
    sums = np.concatenate([[0], np.cumsum(counts)])
    return np.asarray((sums[ends] - sums[begins]) / ((ends - begins) * step_seconds))


def _largest_ahead(replicas: Ints, steps: int) -> Ints:
    """The most replicas from each step to that many steps later."""
    padded = np.concatenate([replicas, np.zeros(steps, dtype=np.int64)])
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, steps + 1).max(axis=1))

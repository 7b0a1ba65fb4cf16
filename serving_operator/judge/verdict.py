"""The verdict of a step: Good, Bad, or Inconclusive, from comparison and objective together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving_operator.judge import comparison, objective
from serving_operator.judge.comparison import Counts, Floats
from serving_operator.judge.windows import Finding, Limits, Verdict, Window, totals

UNACCEPTABLE_FACTOR = 5.0
"""An unacceptable share is so many times the acceptable one unless it is given."""
LARGEST = 1e12
"""Ratios are shown up to this one: more says nothing more, and JSON has no infinity."""

Bools = NDArray[np.bool_]


class Evidence(NamedTuple):
    """What both tests say after each window; arrays of the shape (windows, runs)."""

    worse: Floats
    """Logarithm of the e-value of "worse than stable"."""
    good_enough: Floats
    """Logarithm of the likelihood ratio of acceptable to unacceptable."""
    is_bad: Bools
    """Bad at this window or before: a bound once reached stays reached, whoever looked."""
    is_good: Bools
    """Good at this window. Not kept: what came after it counts."""


def limits_of(
    percent: float, unacceptable_percent: float | None = None, *, minimum_requests: int = 0
) -> Limits:
    """The limits that follow from an objective that `percent` of the requests are to meet.

    `unacceptable_percent` is the percentage of bad requests that a canary must not be promoted with; by default five
    times what the objective allows, and at most half-way from there to all requests.
    Raises ValueError if the objective allows no bad request or any, or less than what is unacceptable.
    """
    acceptable = (100 - percent) / 100
    default = min(UNACCEPTABLE_FACTOR * acceptable, (1 + acceptable) / 2)
    unacceptable = default if unacceptable_percent is None else unacceptable_percent / 100
    limits = Limits(acceptable, unacceptable, minimum_requests)
    objective.gains(limits)
    return limits


def weigh(counts: Counts, limits: Limits, further: Sequence[Counts] = ()) -> Evidence:
    """Both tests after each window, for all runs at once.

    `further` are the same windows with another meaning of bad (failed alone, say): their e-values are averaged with
    the first, so that they share one bound. The objective is asked of the first only.
    """
    worse = comparison.averaged([comparison.log_e_values(stream) for stream in (counts, *further)])
    good_enough = objective.log_likelihood_ratios(counts, limits)
    return Evidence(
        worse,
        good_enough,
        np.maximum.accumulate(worse >= math.log(comparison.BOUND), axis=0),
        (good_enough >= math.log(objective.BOUND))
        & (worse < math.log(comparison.BOUND) / 2)
        & (np.cumsum(counts.requests, axis=0) >= limits.minimum_requests),
    )


def judge(windows: Sequence[Window], limits: Limits, *further: Sequence[Window]) -> Finding:
    """What the windows of a step, oldest first, say of its canary.

    `further` as in `weigh`, one sequence of windows a stream. Raises ValueError for limits that are none.
    """
    seen = totals(windows)
    if not windows:
        objective.gains(limits)
        return Finding("Inconclusive", 0, *seen, worse=1.0, good_enough=1.0)
    evidence = weigh(comparison.columns(windows), limits, [comparison.columns(stream) for stream in further])
    is_bad = bool(evidence.is_bad[-1, 0])
    return Finding(
        _verdict(is_bad, bool(evidence.is_good[-1, 0])),
        len(windows),
        *seen,
        worse=_ratio(evidence.worse.max() if is_bad else evidence.worse[-1, 0]),
        good_enough=_ratio(evidence.good_enough[-1, 0]),
    )


def _verdict(is_bad: bool, is_good: bool) -> Verdict:
    return "Bad" if is_bad else "Good" if is_good else "Inconclusive"


def _ratio(logarithm: float) -> float:
    return math.exp(min(max(float(logarithm), -math.log(LARGEST)), math.log(LARGEST)))

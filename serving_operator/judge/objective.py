"""Is the canary good enough for its objective? Wald's sequential probability ratio test, one-sided."""

from __future__ import annotations

import math

import numpy as np

from serving_operator.judge.comparison import Counts, Floats, temper
from serving_operator.judge.windows import Limits

BOUND = 20.0
"""The likelihood ratio that advances. Ville: at most 1/BOUND of canaries at the unacceptable share ever reach it."""


def tempering(requests: Floats) -> Floats:
    """The power that the evidence of windows of so many requests is raised to; same shape."""
    return temper(requests, 1)


def log_likelihood_ratios(counts: Counts, limits: Limits) -> Floats:
    """Logarithm of the likelihood of the acceptable share to that of the unacceptable one; shape (windows, runs).

    Wald, "Sequential Tests of Statistical Hypotheses" (1945). Each window is tempered as in the comparison: a minute
    that happens to be good is not thousands of independent proofs. It only advances: there is no bound below, for
    what stable and canary share (an upstream outage) is not the canary's fault.
    """
    good, bad = gains(limits)
    window = good * (counts.requests - counts.bad) + bad * counts.bad
    return np.cumsum(tempering(counts.requests) * window, axis=0)


def gains(limits: Limits) -> tuple[float, float]:
    """Nats that one good request and one bad request add; the second is negative.

    Raises ValueError unless 0 < acceptable < unacceptable < 1.
    """
    acceptable, unacceptable = limits.acceptable_ratio, limits.unacceptable_ratio
    if not 0 < acceptable < unacceptable < 1:
        raise ValueError(
            f"0 < acceptable < unacceptable < 1 is needed, not {acceptable:g} and {unacceptable:g}"
        )
    return math.log((1 - acceptable) / (1 - unacceptable)), math.log(acceptable / unacceptable)

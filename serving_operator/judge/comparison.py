"""Is the canary worse than stable? A tempered, capped e-process for two shares of bad requests.

Arrays have the shape (windows, runs), oldest window first. A run is one step of one canary: the operator has one,
the study thousands, and both call what is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving_operator.judge.windows import Window

Floats = NDArray[np.float64]

ODDS_RATIOS = (3.0, 10.0)
"""Odds of a bad request, canary to stable, of the alternatives that share the bet."""
SHARES = (1 / 3, 2 / 3)
"""How much is bet on each. Few requests can tell only the large ratio; many can afford the small share."""
OVERDISPERSION = 0.02
"""ρ: the correlation of two requests of one revision in one window that is to be stood."""
SPARED_REQUESTS = 8.0
"""So many effective requests of a window are taken as independent: few are drowned by their own noise."""
CAP = 2.5
"""Nats that one window may add. exp(CAP) is below BOUND: no single window aborts."""
BOUND = 13.5
"""The e-value that aborts. Ville: at most 1/BOUND of good canaries for ever; measured are fewer (docs/judge.md)."""
LOOKS = 27.0
"""After so many windows twice the bound is needed: an early failure is worth more than the fiftieth look."""
PRIOR_BAD = 1.0
PRIOR_REQUESTS = 50.0
"""What is believed of stable before its first window, as if it had been counted."""


class Counts(NamedTuple):
    """A Window's four columns as arrays of the shape (windows, runs)."""

    requests: Floats
    bad: Floats
    stable_requests: Floats
    stable_bad: Floats


def columns(windows: Sequence[Window]) -> Counts:
    """The windows of one run as columns of the shape (windows, 1).

    More bad requests than requests (counters of one scrape may be a request apart) count as all bad.
    """
    table = np.array(windows, dtype=np.float64).reshape(-1, 4).clip(min=0)
    requests, bad, stable_requests, stable_bad = (table[:, i : i + 1] for i in range(4))
    return Counts(
        requests, np.minimum(bad, requests), stable_requests, np.minimum(stable_bad, stable_requests)
    )


def log_e_values(counts: Counts) -> Floats:
    """Natural logarithm of the e-value of "worse than stable" after each window: shape (windows, runs).

    Product over the windows of the 2×2 e-variable of Turner, Ly and Grünwald ("Generic E-variables for exact
    sequential k-sample tests", 2022), averaged over ODDS_RATIOS. Its expectation is at most 1 if canary and stable
    have one share of bad requests *within* each window, whatever it is and however it drifts. Tempering and cap keep
    that (Jensen), and so does the factor that falls with the number of looks.
    A window in which either has no request changes nothing.
    """
    canary, stable = counts.requests, counts.stable_requests
    together = np.maximum(canary + stable, 1)
    expected = _stable_share(counts)
    odds = expected / (1 - expected)
    tempering = temper(2 * canary * stable / together, 2 * SPARED_REQUESTS)
    evidence = np.full(canary.shape, -np.inf)
    for ratio, share in zip(ODDS_RATIOS, SHARES, strict=True):
        worse = ratio * odds / (1 + ratio * odds)
        mixed = (canary * worse + stable * expected) / together
        mixed = np.where(canary + stable > 0, mixed, expected)
        gain = (
            counts.bad * np.log(worse / mixed)
            + (canary - counts.bad) * np.log((1 - worse) / (1 - mixed))
            + counts.stable_bad * np.log(expected / mixed)
            + (stable - counts.stable_bad) * np.log((1 - expected) / (1 - mixed))
        )
        path = np.cumsum(np.minimum(tempering * gain, CAP), axis=0)
        evidence = np.logaddexp(evidence, np.log(share) + path)
    looks = np.cumsum((canary > 0) & (stable > 0), axis=0)
    return evidence - np.log1p(looks / LOOKS)


def temper(effective: Floats, spared: float) -> Floats:
    """The power η ≤ 1 that a window's evidence is raised to, by its number of effective requests; same shape.

    The variance of a share of n requests with correlation ρ is 1 + ρ(n − 1) times that of independent ones
    (beta-binomial); that of the difference of two is 1 + ρ(2H − 1) times, H = n·m/(n + m). η is the inverse, with
    `spared` of the requests taken as independent. It depends on numbers of requests only, hence an e-variable
    stays one.
    """
    return 1 / (1 + OVERDISPERSION * np.maximum(effective - spared, 0))


def averaged(paths: Sequence[Floats]) -> Floats:
    """Logarithm of the mean of e-values given as logarithms, which is an e-value again, however they depend."""
    return np.asarray(np.logaddexp.reduce(np.stack(paths), axis=0) - np.log(len(paths)), dtype=np.float64)


def _stable_share(counts: Counts) -> Floats:
    """Stable's share of bad requests as the windows *before* each one tell it: predictable, as a bet has to be."""
    requests = np.cumsum(counts.stable_requests, axis=0) - counts.stable_requests
    bad = np.cumsum(counts.stable_bad, axis=0) - counts.stable_bad
    return np.asarray((PRIOR_BAD + bad) / (PRIOR_REQUESTS + PRIOR_BAD + requests), dtype=np.float64)

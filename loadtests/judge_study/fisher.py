"""Fisher's exact test for arrays of 2×2 tables, and what the best tests of a fixed number of requests can do."""

from __future__ import annotations

import math

import numpy as np

from serving_operator.judge.comparison import Counts, Floats
from serving_operator.judge.verdict import Bools

_NEGLIGIBLE = 1e-12


def is_significant(totals: Counts, level: float) -> Bools:
    """Whether the canary has more bad requests than chance explains at that level; any shape.

    P(X ≥ bad), X hypergeometric: the terms from `bad` upwards, each from the one before, until they exceed the level
    or vanish.
    """
    flat = [column.ravel() for column in totals]
    result = np.zeros(flat[0].shape, dtype=np.bool_)
    size, bad, others, others_bad = flat
    all_bad = bad + others_bad
    # At or below its mean the tail is no smaller than about a half.
    open_ = np.flatnonzero(bad * (size + others) > size * all_bad)
    size, bad, others, all_bad = size[open_], bad[open_], others[open_], all_bad[open_]
    term = np.exp(
        _log_choose(size, bad) + _log_choose(others, all_bad - bad) - _log_choose(size + others, all_bad)
    )
    tail = term.copy()
    while open_.size:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (size - bad) * (all_bad - bad) / ((bad + 1) * (others - all_bad + bad + 1))
        term, bad = term * ratio, bad + 1
        tail = tail + term
        result[open_[(term < _NEGLIGIBLE) & (tail < level)]] = True
        keep = (term >= _NEGLIGIBLE) & (tail < level)
        open_, term, tail = open_[keep], term[keep], tail[keep]
        size, bad, others, all_bad = size[keep], bad[keep], others[keep], all_bad[keep]
    return result.reshape(totals.requests.shape)


def best_power(requests: int, base_ratio: float, bad_ratio: float, level: float) -> float:
    """Neyman and Pearson: power of the best test of so many requests, stable's share of bad ones being known."""
    chance = [_binomial(k, requests, base_ratio) for k in range(requests + 1)]
    truth = [_binomial(k, requests, bad_ratio) for k in range(requests + 1)]
    return _from_above(chance, truth, level)


def best_unbiased_power(
    requests: int, others: int, base_ratio: float, bad_ratio: float, level: float
) -> float:
    """Power of the uniformly most powerful unbiased test (Fisher's, randomised), stable's share being unknown."""
    power = 0.0
    for total in range(requests + others + 1):
        counts = range(max(0, total - others), min(requests, total) + 1)
        truth = [_binomial(k, requests, bad_ratio) * _binomial(total - k, others, base_ratio) for k in counts]
        if sum(truth) > _NEGLIGIBLE:
            whole = _choose(requests + others, total)
            power += _from_above(
                [_choose(requests, k) * _choose(others, total - k) / whole for k in counts], truth, level
            )
    return power


def _from_above(chance: list[float], truth: list[float], level: float) -> float:
    """Probability under `truth` of the upper region that has probability `level` under `chance`."""
    spent = power = 0.0
    for probability, gained in zip(reversed(chance), reversed(truth), strict=True):
        if spent + probability > level:
            return power + gained * (level - spent) / probability
        spent, power = spent + probability, power + gained
    return power


def _binomial(successes: int, trials: int, ratio: float) -> float:
    return _choose(trials, successes) * ratio**successes * (1 - ratio) ** (trials - successes)


def _choose(whole: int, part: int) -> float:
    return float(math.comb(whole, part))


_TABLE: list[Floats] = [np.zeros(1)]


def _log_choose(whole: Floats, part: Floats) -> Floats:
    table = _log_factorials(int(whole.max(initial=0)))
    return (
        table[whole.astype(np.int64)] - table[part.astype(np.int64)] - table[(whole - part).astype(np.int64)]
    )


def _log_factorials(largest: int) -> Floats:
    """log n! for n from 0 to at least `largest`: numpy has no lgamma."""
    if len(_TABLE[0]) <= largest:
        _TABLE[0] = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1.0, 2 * largest + 1)))])
    return _TABLE[0]

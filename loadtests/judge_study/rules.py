"""The judges compared: ours, and four in use, as their documentation and source describe them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtests.judge_study.fisher import is_significant
from serving_operator.judge.comparison import Counts
from serving_operator.judge.verdict import Bools, weigh
from serving_operator.judge.windows import Limits

NEVER = 1_000_000
CHECKS = 30
"""Windows after which a rule that knows no "good enough" promotes what it has not aborted."""

Ints = NDArray[np.int64]


class Ending(NamedTuple):
    """When each run would be aborted and promoted, whatever the other: windows from 1, NEVER if not at all."""

    bad_at: Ints
    good_at: Ints

    @property
    def aborted(self) -> Bools:
        """Runs that end aborted: in one window, abort wins."""
        return np.asarray((self.bad_at < NEVER) & (self.bad_at <= self.good_at))

    @property
    def promoted(self) -> Bools:
        return np.asarray(self.good_at < self.bad_at)


Rule = Callable[[Counts, Limits], Ending]


def ours(counts: Counts, limits: Limits) -> Ending:
    """What the operator does, by the operator's own code."""
    evidence = weigh(counts, limits)
    return Ending(_first(evidence.is_bad), _first(evidence.is_good))


def flagger(counts: Counts, limits: Limits) -> Ending:
    """Flagger's default request-success-rate ≥ 99%, threshold 5: the fifth failed check aborts; no data is failed."""
    is_failed = (counts.requests == 0) | (counts.bad > 0.01 * counts.requests)
    return _checked(np.cumsum(is_failed, axis=0) >= 5)


def argo(counts: Counts, limits: Limits) -> Ending:
    """The success rate ≥ 95% of Argo Rollouts' examples, failureLimit 3: the fourth failure aborts.

    A window without requests counts as nothing, as a carefully written condition has it.
    """
    return _checked(np.cumsum(counts.bad > 0.05 * counts.requests, axis=0) > 3)


def peeking_fisher(counts: Counts, limits: Limits) -> Ending:
    """Fisher's exact test of all requests so far, one-sided, p < 0.05, looked at every window."""
    totals = Counts(*(np.cumsum(column, axis=0) for column in counts))
    return _checked(is_significant(totals, 0.05))


def mann_whitney(counts: Counts, limits: Limits) -> Ending:
    """Kayenta's classifier of the windows' shares of bad requests, once, after CHECKS windows.

    High, hence aborted, if the 98% interval of the Hodges-Lehmann shift (normal approximation) lies above a quarter
    of the shift. A window without requests has the share 0, as Kayenta's default has it.
    """
    canary = (counts.bad / np.maximum(counts.requests, 1))[:CHECKS]
    stable = (counts.stable_bad / np.maximum(counts.stable_requests, 1))[:CHECKS]
    size = len(canary)
    shifts = (canary[:, None, :] - stable[None, :, :]).reshape(size * size, -1)
    below = max(int(size * size / 2 - 2.326 * np.sqrt(size * size * (2 * size + 1) / 12)), 0)
    ordered = np.partition(shifts, (below, size * size // 2), axis=0)
    is_high = ordered[below] > 0.25 * np.abs(ordered[size * size // 2])
    return Ending(np.where(is_high, size, NEVER), np.where(is_high, NEVER, size))


RULES: dict[str, Rule] = {
    "ours": ours,
    "flagger": flagger,
    "argo": argo,
    "peeking_fisher": peeking_fisher,
    "mann_whitney": mann_whitney,
}


def _checked(is_bad: Bools) -> Ending:
    bad_at = _first(is_bad[:CHECKS])
    return Ending(bad_at, np.full_like(bad_at, min(CHECKS, len(is_bad))))


def _first(happens: Bools) -> Ints:
    """The first window, from 1, in which it happens; NEVER if in none."""
    return np.where(happens.any(axis=0), happens.argmax(axis=0) + 1, NEVER)

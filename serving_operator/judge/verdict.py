"""The plain formulas of docs/decisions/005: is the canary worse than stable, and is it good enough."""

from __future__ import annotations

import math
from collections.abc import Sequence

from serving_operator.judge.windows import Finding, Limits, Verdict, Window, totals

WORSE_BOUND = 40.0
GOOD_BOUND = 20.0
_ODDS_RATIOS = (3.0, 10.0, 30.0)
_OVERDISPERSION = 0.02
_CAP_NATS = 3.0


def limits_of(percent: int, unacceptable_percent: int | None) -> Limits:
    """Return the limits of an objective: acceptable is what it allows, unacceptable thrice that if nothing is said."""
    acceptable = (100 - percent) / 100
    unacceptable = min(0.99, 3 * acceptable) if unacceptable_percent is None else unacceptable_percent / 100
    return Limits(acceptable, unacceptable)


def judge(windows: Sequence[Window], limits: Limits) -> Finding:
    """Return what the windows of one step say."""
    sums = totals(windows)
    worse = _worse(windows)
    good = math.exp(min(700.0, _good_nats(sums, limits)))
    verdict: Verdict = "Inconclusive"
    if worse >= WORSE_BOUND:
        verdict = "Bad"
    elif good >= GOOD_BOUND and worse < math.sqrt(WORSE_BOUND) and sums.requests >= limits.minimum_requests:
        verdict = "Good"
    return Finding(
        verdict, len(windows), sums.requests, sums.bad, sums.stable_requests, sums.stable_bad, worse, good
    )


def _good_nats(sums: Window, limits: Limits) -> float:
    p0, p1 = limits.acceptable_ratio, limits.unacceptable_ratio
    return sums.bad * math.log(p0 / p1) + (sums.requests - sums.bad) * math.log((1 - p0) / (1 - p1))


def _worse(windows: Sequence[Window]) -> float:
    nats, bad, requests = 0.0, 0.5, 50.0
    for window in windows:
        rate = bad / requests
        nats += max(-_CAP_NATS, min(_CAP_NATS, _tempering(window) * _window_nats(window, rate)))
        bad, requests = bad + window.stable_bad, requests + window.stable_requests
    return math.exp(min(700.0, nats))


def _tempering(window: Window) -> float:
    both = window.requests + window.stable_requests
    harmonic = window.requests * window.stable_requests / both if both else 0.0
    return 1 / (1 + 2 * _OVERDISPERSION * harmonic)


def _window_nats(window: Window, rate: float) -> float:
    if not window.requests or not window.stable_requests:
        return 0.0
    ratios = []
    for odds in _ODDS_RATIOS:
        raised = odds * rate / (1 - rate + odds * rate)
        good = window.requests - window.bad
        ratios.append(
            window.bad * math.log(raised / rate) + good * math.log((1 - raised) / (1 - rate)),
        )
    top = max(ratios)
    return top + math.log(sum(math.exp(ratio - top) for ratio in ratios) / len(ratios))

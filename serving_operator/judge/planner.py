"""How long a step will take to be said Good, before it begins: from the rate, the weight and the limits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from serving_operator.judge import objective
from serving_operator.judge.windows import Limits

WINDOWS_LIMIT = 100_000
"""Longer than any step; more windows than this are never."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a step needs until it is said Good."""

    requests: int
    """Requests of the canary, if its share of bad requests is the one planned for."""
    windows: int | None
    """Windows for that; None: they will never do."""
    seconds: float | None
    """The time that these windows take, without what it takes to move traffic; None likewise."""
    faultless_windows: int | None
    """Windows if the canary has no bad request at all: nothing is faster."""
    can_conclude: bool
    """False if not even a faultless canary is said Good within the step's deadline."""
    is_likely: bool
    """Whether the canary planned for is said Good within the step's deadline."""
    sentence: str
    """All that, for status and command line."""


def plan(
    requests_per_second: float,
    weight_percent: float,
    window_seconds: float,
    limits: Limits,
    *,
    deadline_seconds: float | None = None,
    bad_ratio: float | None = None,
) -> Plan:
    """What a step needs for a canary with that share of bad requests, by default half of what is acceptable.

    `requests_per_second` is the service's rate, of which `weight_percent` reach the canary. Wald's expected number:
    the logarithm of the bound over the mean gain of a window, tempered as the objective does, rounded up to whole
    windows. More than half of the runs take a little less: bad requests come in few and large steps.
    Raises ValueError for a share that the objective does not call acceptable, and for limits that are none.
    """
    expected = limits.acceptable_ratio / 2 if bad_ratio is None else bad_ratio
    if not 0 <= expected <= limits.acceptable_ratio:
        raise ValueError(f"a share of bad requests that is acceptable is needed, not {expected:g}")
    a_window = requests_per_second * weight_percent / 100 * window_seconds
    windows = _windows(a_window, expected, limits)
    faultless = _windows(a_window, 0, limits)
    most = None if deadline_seconds is None else math.floor(deadline_seconds / window_seconds)
    requests = math.ceil(windows * a_window) if windows else _requests(expected, limits)
    seconds = windows * window_seconds if windows else None
    return Plan(
        requests,
        windows,
        seconds,
        faultless,
        faultless is not None and (most is None or faultless <= most),
        windows is not None and (most is None or windows <= most),
        _sentence(
            f"{requests_per_second:g} requests per second with {weight_percent:g}% to the canary",
            expected,
            (requests, windows, faultless),
            window_seconds,
            deadline_seconds,
        ),
    )


def _windows(a_window: float, bad_ratio: float, limits: Limits) -> int | None:
    """Whole windows of so many requests until Good is expected, or None if that is never."""
    if a_window <= 0:
        return None
    good, bad = objective.gains(limits)
    gain = a_window * float(objective.tempering(np.array([a_window]))[0])
    needed = math.log(objective.BOUND) / (gain * ((1 - bad_ratio) * good + bad_ratio * bad))
    windows = math.ceil(max(needed, limits.minimum_requests / a_window) - 1e-9)
    return windows if windows <= WINDOWS_LIMIT else None


def _requests(bad_ratio: float, limits: Limits) -> int:
    """Independent requests until Good is expected."""
    good, bad = objective.gains(limits)
    needed = math.log(objective.BOUND) / ((1 - bad_ratio) * good + bad_ratio * bad)
    return max(math.ceil(needed), limits.minimum_requests)


def _sentence(
    traffic: str,
    expected: float,
    needs: tuple[int, int | None, int | None],
    window_seconds: float,
    deadline_seconds: float | None,
) -> str:
    requests, windows, faultless = needs
    if windows is None or faultless is None:
        return (
            f"At {traffic}, this step will never be judged: it needs about {requests} requests of the canary. "
            "Raise the weight, or promote by label."
        )
    sentence = (
        f"At {traffic}, this step needs about {requests} requests of the canary, {_time(windows, window_seconds)}, "
        f"to be Good"
    )
    if expected > 0:
        sentence += f" with {100 * expected:g}% bad, and {_time(faultless, window_seconds)} with none"
    if deadline_seconds is None or windows * window_seconds <= deadline_seconds:
        return f"{sentence}."
    remedy = "raise the weight or the deadline, or promote by label"
    if faultless * window_seconds <= deadline_seconds:
        return f"{sentence}; its deadline of {deadline_seconds / 60:.3g} minutes will often come first: {remedy}."
    return (
        f"{sentence}; within its deadline of {deadline_seconds / 60:.3g} minutes it can never be: {remedy}."
    )


def _time(windows: int, window_seconds: float) -> str:
    minutes = windows * window_seconds / 60
    return f"{windows} window{'s' * (windows != 1)} ({minutes:.3g} minute{'s' * (minutes != 1)})"

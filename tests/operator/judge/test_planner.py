"""The planner: what a step will need, held against simulated steps."""

from __future__ import annotations

import numpy as np
import pytest

from serving_operator.judge.comparison import Counts
from serving_operator.judge.planner import plan
from serving_operator.judge.verdict import judge, limits_of, weigh
from serving_operator.judge.windows import Limits, Window

NINETY_NINE = limits_of(99)


def simulated(rate: float, weight: float, bad_ratio: float, limits: Limits, windows: int) -> float:
    """Mean windows until Good of 1500 canaries as good as stable; those that end otherwise do not count."""
    random = np.random.default_rng(3)
    columns = []
    for part in (weight, 1 - weight):
        requests = random.poisson(rate * 60 * part, (windows, 1500))
        columns += [requests.astype(float), random.binomial(requests, bad_ratio).astype(float)]
    is_good = weigh(Counts(*columns), limits).is_good
    assert is_good.any(axis=0).mean() > 0.95
    return float((is_good.argmax(axis=0) + 1)[is_good.any(axis=0)].mean())


@pytest.mark.parametrize("bad_ratio", [None, 0.0])
@pytest.mark.parametrize(
    ("rate", "weight", "percent"),
    [(1, 0.1, 99), (1, 0.5, 99), (3, 0.05, 99), (10, 0.1, 99), (100, 0.5, 99), (3, 0.25, 98), (1, 0.1, 90)],
)
def test_the_plan_is_what_happens(
    rate: float, weight: float, percent: float, bad_ratio: float | None
) -> None:
    """The planned windows are within one window or 15% of the mean of simulated steps."""
    limits = limits_of(percent)
    planned = plan(rate, 100 * weight, 60, limits, bad_ratio=bad_ratio)
    assert planned.windows is not None
    assert planned.seconds == planned.windows * 60
    ratio = limits.acceptable_ratio / 2 if bad_ratio is None else bad_ratio
    happened = simulated(rate, weight, ratio, limits, windows=5 * planned.windows + 20)
    assert planned.windows == pytest.approx(happened, rel=0.15, abs=1)


def test_a_faultless_canary_is_judged_as_planned() -> None:
    """With the same number of good requests in every window the plan is exact."""
    planned = plan(1, 10, 60, NINETY_NINE, bad_ratio=0)
    assert planned.windows == planned.faultless_windows
    assert planned.windows is not None
    assert judge([Window(6, 0, 54, 0)] * (planned.windows - 1), NINETY_NINE).verdict == "Inconclusive"
    assert judge([Window(6, 0, 54, 0)] * planned.windows, NINETY_NINE).verdict == "Good"


def test_a_step_that_can_never_conclude_says_so() -> None:
    """If not even a faultless canary is Good within the deadline, the plan says never and what would help."""
    planned = plan(0.1, 10, 60, NINETY_NINE, deadline_seconds=600)
    assert not planned.can_conclude
    assert not planned.is_likely
    assert planned.sentence == (
        "At 0.1 requests per second with 10% to the canary, this step needs about 92 requests of the canary, "
        "152 windows (152 minutes), to be Good with 0.5% bad, and 122 windows (122 minutes) with none; within its "
        "deadline of 10 minutes it can never be: raise the weight or the deadline, or promote by label."
    )


def test_a_deadline_between_faultless_and_expected_is_unlikely() -> None:
    """A step that only the luckiest canary passes in time is possible and unlikely."""
    planned = plan(1, 10, 60, NINETY_NINE, deadline_seconds=15 * 60)
    assert (planned.can_conclude, planned.is_likely) == (True, False)
    assert planned.sentence.endswith(
        "; its deadline of 15 minutes will often come first: raise the weight or the deadline, or promote by label."
    )


def test_one_is_not_told_as_many_and_none_is_told_once() -> None:
    """A single window and minute are singular; for a faultless canary nothing is said of one with bad requests."""
    assert plan(10, 50, 60, limits_of(50), bad_ratio=0).sentence == (
        "At 10 requests per second with 50% to the canary, this step needs about 300 requests of the canary, "
        "1 window (1 minute), to be Good."
    )


@pytest.mark.parametrize(
    ("deadline_seconds", "possible", "likely", "words"),
    [
        (17 * 60, True, True, "with none."),
        (17 * 60 - 1, True, False, "will often come first"),
        (14 * 60, True, False, "will often come first"),
        (14 * 60 - 1, False, False, "it can never be"),
    ],
)
def test_a_deadline_at_the_last_window_is_kept(
    deadline_seconds: float, possible: bool, likely: bool, words: str
) -> None:
    """A window that ends with the deadline counts, one that ends after it does not; the sentence agrees."""
    planned = plan(1, 10, 60, NINETY_NINE, deadline_seconds=deadline_seconds)
    assert (planned.windows, planned.faultless_windows) == (17, 14)
    assert (planned.can_conclude, planned.is_likely) == (possible, likely)
    assert words in planned.sentence


def test_a_step_with_time_enough_has_no_remedy() -> None:
    """What will do is told without advice."""
    planned = plan(10, 10, 60, NINETY_NINE, deadline_seconds=3600)
    assert (planned.can_conclude, planned.is_likely) == (True, True)
    assert planned.sentence == (
        "At 10 requests per second with 10% to the canary, this step needs about 240 requests of the canary, "
        "4 windows (4 minutes), to be Good with 0.5% bad, and 3 windows (3 minutes) with none."
    )


@pytest.mark.parametrize(("rate", "weight"), [(0, 10), (5, 0), (-1, 10), (1e-9, 1)])
def test_without_requests_nothing_is_ever_judged(rate: float, weight: float) -> None:
    """No rate or no weight: never, with the number of requests that it would take."""
    planned = plan(rate, weight, 60, NINETY_NINE)
    assert (planned.windows, planned.seconds, planned.faultless_windows) == (None, None, None)
    assert not planned.can_conclude
    assert not planned.is_likely
    assert planned.requests == 91
    assert planned.sentence.endswith(
        "will never be judged: it needs about 91 requests of the canary. Raise the weight, or promote by label."
    )
    assert plan(rate, weight, 60, limits_of(99, minimum_requests=700)).requests == 700


def test_longer_than_any_step_is_never() -> None:
    """100,000 windows are the most that are planned for; never, if only a faultless canary would take fewer."""
    assert plan(1, 100, 1, limits_of(99, minimum_requests=100_000)).windows == 100_000
    assert plan(1, 100, 1, limits_of(99, minimum_requests=100_001)).windows is None
    planned = plan(0.00014, 10, 60, NINETY_NINE)
    assert planned.windows is None
    assert planned.faultless_windows is not None
    assert "will never be judged" in planned.sentence


def test_a_minimum_of_requests_prolongs_the_plan() -> None:
    """The plan waits for the minimum too, not a window longer where it divides evenly."""
    for tenths in range(1, 30):
        limits = limits_of(99, minimum_requests=300 * tenths)
        assert plan(tenths / 10, 10, 60, limits).windows == 500


@pytest.mark.parametrize("bad_ratio", [-0.1, 0.02, 1.5])
def test_only_an_acceptable_canary_is_planned_for(bad_ratio: float) -> None:
    """For a share of bad requests beyond the objective there is no time until Good."""
    with pytest.raises(ValueError, match="acceptable is needed"):
        plan(1, 10, 60, NINETY_NINE, bad_ratio=bad_ratio)
    assert plan(1, 10, 60, NINETY_NINE, bad_ratio=NINETY_NINE.acceptable_ratio).windows == 23


def test_more_traffic_never_takes_longer() -> None:
    """Windows do not grow with the rate."""
    needed = [plan(rate, 10, 60, NINETY_NINE).windows or 10**9 for rate in (0.01, 0.1, 1, 3, 10, 100, 1000)]
    assert needed == sorted(needed, reverse=True)

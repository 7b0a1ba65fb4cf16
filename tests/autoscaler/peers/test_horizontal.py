"""What a HorizontalPodAutoscaler proposes, and what it makes of a proposal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.peers.horizontal import (
    Behavior,
    Horizontal,
    HorizontalState,
    RateLimit,
    average_value_replicas,
    utilization_replicas,
    value_replicas,
)
from autoscaler.peers.hpa import HpaConcurrency, HpaUtilization
from autoscaler.peers.signals import Replicas
from tests.autoscaler.peers.fixed import Fixed


def steady(count: int) -> Replicas:
    """All pods that are wanted are ready."""
    return Replicas(count, count, 0)


@pytest.mark.parametrize(
    ("busy", "replicas", "proposal", "why"),
    [
        (0.60, steady(4), 5, "ceil(0.6 / 0.5 x 4)"),
        (0.55, steady(4), 4, "a ratio of 1.1 is tolerated"),
        (0.559, steady(4), 4, "55.9% count as 55%"),
        (0.560, steady(4), 5, "56% do not"),
        (0.45, steady(4), 4, "and so is one of 0.9"),
        (0.44, steady(4), 4, "below the band, rounded up to what there is"),
        (0.30, steady(4), 3, "ceil(0.6 x 4)"),
        (0.0, steady(4), 0, "idle: the minimum cuts later"),
        (1.0, Replicas(4, 2, 2), 4, "the two unready fill up at 0%: 50% of four, nothing to do"),
        (1.0, Replicas(3, 2, 1), 4, "66% of three: ceil(1.32 x 3)"),
        (0.60, Replicas(4, 1, 3), 4, "15% of four would turn the direction: keep"),
        (0.20, Replicas(4, 2, 2), 1, "on the way down only the ready count"),
        (1.0, Replicas(5, 0, 5), None, "nobody ready, no metrics: an error"),
    ],
)
def test_utilization(busy: float, replicas: Replicas, proposal: int | None, why: str) -> None:
    """CPU against half of the requests."""
    assert utilization_replicas(busy, 0.5, replicas, 0.1) == proposal, why


@pytest.mark.parametrize(
    ("usage", "replicas", "proposal", "why"),
    [
        (24.0, steady(4), 5, "ceil(24 / 5)"),
        (22.0, steady(4), 4, "a ratio of 1.1 is tolerated"),
        (22.1, steady(4), 5, "a little more is not"),
        (18.0, steady(4), 4, "nor is 0.9 left"),
        (15.0, steady(4), 3, "three are exactly enough"),
        (100.0, Replicas(4, 0, 4), 20, "independent of readiness"),
        (100.0, Replicas(4, 4, 0), 20, "as with all ready"),
        (22.0, Replicas(5, 3, 1), 4, "the band is around the pods that exist"),
        (0.0, steady(4), 0, "nothing"),
        (7.0, Replicas(0, 0, 0), 2, "from none"),
    ],
)
def test_average_value(usage: float, replicas: Replicas, proposal: int, why: str) -> None:
    """Five for each replica."""
    assert average_value_replicas(usage, 5.0, replicas, 0.1) == proposal, why


@pytest.mark.parametrize(
    ("usage", "replicas", "proposal", "why"),
    [
        (0.6, steady(4), 5, "ceil(1.2 x 4)"),
        (0.55, steady(4), 4, "tolerated"),
        (5.0, Replicas(4, 1, 3), 10, "ten times the ready, whatever starts"),
        (5.0, Replicas(4, 0, 4), 0, "nobody ready: nothing, of all times"),
        (5.0, Replicas(0, 0, 0), 10, "from none the ratio itself"),
    ],
)
def test_value(usage: float, replicas: Replicas, proposal: int, why: str) -> None:
    """Half a second is the target."""
    assert value_replicas(usage, 0.5, replicas, 0.1) == proposal, why


@pytest.mark.parametrize(
    ("proposal", "wanted", "desired", "why"),
    [
        (5, 3, 5, "up at once"),
        (9, 3, 6, "at most double"),
        (9, 1, 4, "or four"),
        (90, 30, 50, "at most the maximum"),
        (1, 6, 6, "down only after the hold"),
        (None, 6, 6, "an error changes nothing"),
        (9, 0, 0, "at none it is off"),
        (9, 60, 50, "the bound holds without a metric"),
        (9, 1, 4, "nothing is below the minimum"),
    ],
)
def test_first_decision(proposal: int | None, wanted: int, desired: int, why: str) -> None:
    """Between one and fifty replicas, without `behavior`."""
    policy = Horizontal(1.0, max_replicas=50)
    assert policy.settle(proposal, wanted, HorizontalState(), 0.0)[0] == desired, why


def run(policy: Horizontal, proposals: list[int], wanted: int) -> list[int]:
    """Decisions one period apart, each obeyed at once."""
    state, decisions = HorizontalState(), []
    for tick, proposal in enumerate(proposals):
        wanted, state = policy.settle(proposal, wanted, state, tick * policy.period_seconds)
        decisions.append(wanted)
    return decisions


def test_highest_recommendation_of_the_hold() -> None:
    """A fall is followed once every higher recommendation is more than 300 s old, and then all at once."""
    decisions = run(Horizontal(1.0), [8, *[5] * 10, *[2] * 25], 4)
    assert decisions[:21] == [8] * 21
    assert decisions[21:31] == [5] * 10
    assert decisions[31:] == [2] * 5


@pytest.mark.parametrize(
    ("behavior", "hold", "proposals", "decisions", "why"),
    [
        (Behavior(), 0.0, [20, 20, 20], [6, 12, 20], "default: four pods or 100%, whichever is more"),
        (Behavior(), 0.0, [9, 3, 1], [6, 3, 1], "default: down to anything at once after the hold"),
        (
            Behavior(up=(RateLimit("Pods", 2, 60.0),)),
            0.0,
            [20, 20, 20, 20, 20],
            [4, 4, 4, 4, 6],
            "a period's allowance is used up until what used it is past",
        ),
        (
            Behavior(up=(RateLimit("Percent", 50, 15.0),)),
            0.0,
            [20, 20, 20],
            [3, 5, 8],
            "half more, rounded up",
        ),
        (
            Behavior(down=(RateLimit("Pods", 1, 30.0),)),
            0.0,
            [8, 8, 8, 1, 1, 1],
            [6, 8, 8, 7, 7, 6],
            "one of those at the period's start in each",
        ),
        (
            Behavior(down=(RateLimit("Pods", 1, 30.0),)),
            0.0,
            [5, 1],
            [5, 1],
            "what was added in a period may go in it, and one more",
        ),
        (
            Behavior(up_hold_seconds=30.0),
            0.0,
            [5, 5, 5, 5],
            [2, 2, 5, 5],
            "up only to the lowest recommendation of the window",
        ),
        (Behavior(), 30.0, [4, 1, 1, 1], [4, 4, 1, 1], "younger than the hold"),
    ],
)
def test_behavior(
    behavior: Behavior, hold: float, proposals: list[int], decisions: list[int], why: str
) -> None:
    """Two replicas at first, a look each 15 s."""
    assert run(Horizontal(1.0, hold, behavior=behavior), proposals, 2) == decisions, why


def test_policies_read_their_signal() -> None:
    """Utilization proposes by readiness, concurrency without it."""
    starting = Replicas(6, 3, 3)
    utilization, concurrency = HpaUtilization(), HpaConcurrency(2.0)
    signals = Fixed(busy=1.0, flying=18.0)
    assert utilization.decide(signals, starting, utilization.initial(), 0.0)[0] == 6
    assert concurrency.decide(signals, starting, concurrency.initial(), 0.0)[0] == 9


@given(st.lists(st.integers(0, 80), min_size=1, max_size=60), st.integers(1, 50), st.booleans())
def test_never_up_faster_nor_below_what_was_recommended(
    proposals: list[int], wanted: int, limited: bool
) -> None:
    """No decision exceeds max(2 x current, current + 4), or falls below the recommendation of the moment."""
    before = wanted
    policy = Horizontal(1.0, 60.0, 1, 50, behavior=Behavior() if limited else None)
    for proposal, after in zip(proposals, run(policy, proposals, wanted), strict=True):
        assert 1 <= after <= 50
        assert after <= max(2 * before, before + 4)
        assert after >= min(proposal, before)
        before = after

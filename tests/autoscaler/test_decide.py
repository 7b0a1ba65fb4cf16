"""From demand and capacity to a number, with every bound that it must keep."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.case import BY_THE_CLOCK, FORECAST, STOOD_BY_FOR, Case
from autoscaler.decide import decide, gpu_replicas
from autoscaler.lateness import first_lateness, not_capacity_bound, urgent_replicas

CASE = Case(
    minimum=1,
    maximum=20,
    weight_percent=100,
    reserve_percent=100,
    threshold_seconds=0.5,
    late_allowed=0.01,
    frozen=False,
    gpu_target_ratio=None,
    wanted=3,
    ready=3,
    stable_replicas=None,
    expected=20.0,
    level=20.0,
    own_rate=20.0,
    service_seconds=0.1,
    variability=0.25,
    tail_measured=True,
    in_flight=2.0,
    late_ratio=0.0,
    late_first=None,
    gpu_utilization=None,
    gpu_replicas=0,
    gpu_unseen=False,
    settled=True,
    urgent=0,
    shrinking_believed=True,
    blind=False,
    seconds_since_lowered=math.inf,
    hold_seconds=180.0,
    horizon_seconds=60.0,
)
"""20 requests/s of 100 ms: three replicas hold 99% within 500 ms."""
LONG: dict[str, Any] = {
    "expected": 0.0,
    "level": 0.0,
    "own_rate": 0.0,
    "service_seconds": 200.0,
    "threshold_seconds": 600.0,
}
"""Requests of minutes, and none arrives."""


@pytest.mark.parametrize(
    ("changes", "desired", "reason", "why"),
    [
        ({}, 3, "Steady", "three are right"),
        ({"expected": 27.0, "level": 27.0}, 4, "Demand", "more demand"),
        ({"expected": 2.0, "level": 2.0}, 2, "DemandFell", "one at a time, of few"),
        ({"expected": 2.0, "level": 2.0, "in_flight": 14.0}, 3, "InFlight", "two would have a queue at once"),
        (
            LONG | {"wanted": 8, "ready": 8, "in_flight": 16.0},
            8,
            "InFlight",
            "requests that outlive the hold, and none arrives",
        ),
        (LONG | {"wanted": 20, "ready": 20, "in_flight": 17.5}, 18, "DemandFell", "as few as have one each"),
        (
            LONG | {"wanted": 8, "ready": 8, "in_flight": None},
            7,
            "DemandFell",
            "nobody tells what is in flight",
        ),
        (
            LONG | {"wanted": 8, "ready": 8, "in_flight": 60.0, "service_seconds": 40.0},
            7,
            "DemandFell",
            "a server of many at once: within the hold arrivals tell",
        ),
        ({"expected": 2.0, "level": 2.0, "wanted": 20, "ready": 20}, 16, "DemandFell", "a fifth, of many"),
        ({"expected": 60.0, "level": 60.0, "in_vain_beyond": 4}, 4, "MoreInVain", "more were in vain"),
        ({"expected": 60.0, "level": 60.0, "in_vain_beyond": 2}, 3, "MoreInVain", "none goes for it"),
        (
            {"expected": 60.0, "level": 60.0, "in_vain_beyond": 4, "minimum": 6},
            6,
            "MoreInVain",
            "the user's bound holds",
        ),
        (
            {"expected": 60.0, "level": 60.0, "in_vain_beyond": 4, "minimum": 30, "maximum": 5},
            5,
            "Maximum",
            "and so does the other",
        ),
        (
            {"expected": 40.0, "level": 40.0, "in_vain_beyond": 4, "weight_percent": 10},
            6,
            "Reserve",
            "traffic that is to come waits for its reserve",
        ),
        ({"expected": 2.0, "frozen": True}, 3, "Frozen", "a rollout forbids it"),
        (
            {"expected": 0.0, "blind": True, "shrinking_believed": False},
            3,
            "Blind",
            "no data is not no traffic",
        ),
        ({"expected": 0.0, "shrinking_believed": False}, 3, "Hold", "after a restart only up for one hold"),
        ({"expected": 27.0, "level": 27.0, "blind": True}, 4, "Demand", "up is allowed while half blind"),
        ({"expected": 2.0, "seconds_since_lowered": 5.0}, 3, "RateLimited", "not again at once"),
        ({"expected": 2.0, "late_ratio": 0.05, "own_rate": 20.0}, 3, "Late", "not while requests are late"),
        ({"expected": 2.0, "in_flight": 30.0}, 3, "Backlog", "not while requests queue"),
        (
            {"maximum": 2, "frozen": True, "blind": True},
            2,
            "Maximum",
            "the user's bound holds at once, always",
        ),
        ({"minimum": 5}, 5, "Minimum", "and so does the other"),
        ({"expected": 100.0, "level": 100.0}, 7, "Demand", "at most four more, or twice, in a decision"),
        ({"urgent": 50}, 6, "LateRequests", "lateness raises to twice what arrivals justify, no further"),
        ({"gpu_replicas": 50, "gpu_utilization": 1.0}, 6, "GpuUtilization", "and so do accelerators"),
        (
            {"expected": 0.0, "level": 0.0, "gpu_utilization": 0.5},
            3,
            "GpuActive",
            "busy without requests: unseen work",
        ),
        (
            {"expected": 10.0, "gpu_utilization": 0.8, "late_ratio": 0.006},
            3,
            "GpuBusy",
            "two thirds of them could not take the work",
        ),
        (
            {"expected": 10.0, "gpu_utilization": 0.8, "late_ratio": 0.0},
            2,
            "DemandFell",
            "busy alone is no reason",
        ),
        (
            {"expected": 2.0, "gpu_unseen": True},
            3,
            "GpuUnseen",
            "a bound that nothing tells of is not let go",
        ),
        (
            {"expected": 27.0, "level": 27.0, "gpu_unseen": True},
            4,
            "Demand",
            "and demand raises all the same",
        ),
        ({"service_seconds": None, "expected": 5.0}, 3, "NothingLearned", "load without knowledge: keep"),
        (
            {"service_seconds": None, "expected": 0.0},
            2,
            "DemandFell",
            "no load and no knowledge: the minimum",
        ),
        ({"weight_percent": 10, "reserve_percent": 100}, 3, "Steady", "the reserve is a lower bound"),
        ({"weight_percent": 10, "reserve_percent": 10}, 2, "DemandFell", "without it the weight decides"),
        ({"wanted": 1, "ready": 1, "weight_percent": 10}, 3, "Reserve", "capacity before traffic"),
    ],
)
def test_decision(changes: dict[str, Any], desired: int, reason: str, why: str) -> None:
    """One change of the case each."""
    decision = decide([replace(CASE, **changes)])[0]
    assert (decision.desired, decision.reason) == (desired, reason), why
    assert decision.sentence.endswith(".")


@pytest.mark.parametrize(
    ("minimum", "maximum", "weight", "reserve", "stable", "need", "why"),
    [
        (1, 20, 0, 10, 10, 2, "a tenth of ten, and one more"),
        (1, 20, 10, 100, 10, 11, "all of them, and one more"),
        (1, 10, 10, 100, 10, 10, "never above the maximum"),
        (1, 20, 0, 10, 1, 2, "at least one, and one more"),
        (1, 20, 0, 15, 10, 3, "rounded up"),
        (3, 20, 100, 100, None, 3, "a first revision takes its minimum"),
        (1, 20, 100, 100, None, 1, "or one"),
    ],
)
def test_need_without_capacity(
    minimum: int, maximum: int, weight: int, reserve: int, stable: int | None, need: int, why: str
) -> None:
    """With nothing learned, need follows the serving revision's replicas and is never called limited."""
    case = replace(
        CASE,
        minimum=minimum,
        maximum=maximum,
        weight_percent=weight,
        reserve_percent=reserve,
        stable_replicas=stable,
        service_seconds=None,
    )
    decision = decide([case])[0]
    assert decision.reserve_replicas == need, why
    assert not decision.reserve_limited


@pytest.mark.parametrize(
    ("changes", "carries", "limited", "why"),
    [
        ({"ready": 0}, 0, False, "nobody carries nothing"),
        ({"expected": 0.0, "ready": 1}, 100, False, "no demand is carried by one"),
        ({"ready": 3}, 100, False, "need is ready"),
        ({"ready": 1}, 20, False, "one of three carries a fifth"),
        ({"maximum": 2, "ready": 2}, 60, True, "the maximum cuts the reserve"),
        (
            {"service_seconds": None, "stable_replicas": 10, "ready": 4},
            30,
            False,
            "four are three tenths and one",
        ),
    ],
)
def test_what_the_ready_replicas_carry(
    changes: dict[str, Any], carries: int, limited: bool, why: str
) -> None:
    """The highest share of the summed demand that is held."""
    decision = decide([replace(CASE, **changes)])[0]
    assert decision.carries_percent == pytest.approx(carries, abs=5), why
    assert decision.reserve_limited is limited, why


cases = st.builds(
    replace,
    st.just(CASE),
    minimum=st.integers(1, 5),
    maximum=st.integers(5, 40),
    weight_percent=st.integers(0, 100),
    reserve_percent=st.integers(0, 100),
    wanted=st.integers(1, 60),
    ready=st.integers(0, 60),
    stable_replicas=st.none() | st.integers(1, 40),
    expected=st.floats(0, 300),
    level=st.floats(0, 300),
    service_seconds=st.none() | st.floats(0.005, 0.6),
    late_ratio=st.none() | st.floats(0, 1),
    in_flight=st.none() | st.floats(0, 1000),
    gpu_utilization=st.none() | st.floats(0, 1),
    gpu_replicas=st.integers(0, 1000),
    gpu_unseen=st.booleans(),
    settled=st.booleans(),
    urgent=st.integers(0, 1000),
    frozen=st.booleans(),
    blind=st.booleans(),
    shrinking_believed=st.booleans(),
    seconds_since_lowered=st.floats(0, 1000),
    in_vain_beyond=st.none() | st.integers(1, 60),
)


@given(cases)
def test_bounds_hold_whatever_is_seen(case: Case) -> None:
    """A decision is between the bounds, or on the way into them, and below the ceiling of evidence."""
    decision = decide([case])[0]
    assert 1 <= decision.target <= case.maximum
    assert decision.desired <= case.maximum
    step = case.wanted + max(4, case.wanted)
    assert decision.desired >= min(case.minimum, step, case.maximum)
    if case.reserve_percent > case.weight_percent:
        assert decision.desired >= min(decision.reserve_replicas, step)
    assert decision.desired <= case.wanted + max(4, case.wanted)
    assert 0 <= decision.carries_percent <= 100
    assert 1 <= decision.reserve_replicas <= case.maximum


@given(cases)
def test_never_down_while_blind_or_frozen(case: Case) -> None:
    """Without complete signals, or during a freeze, nothing but maxReplicas removes a replica."""
    for changed in (
        replace(case, blind=True),
        replace(case, frozen=True),
        replace(case, shrinking_believed=False),
        replace(case, gpu_unseen=True),
    ):
        assert decide([changed])[0].desired >= min(case.wanted, case.maximum)


@given(cases)
def test_need_is_ready_exactly_if_its_share_is_carried(case: Case) -> None:
    """`readyReplicas >= replicas` and `carriesPercent >= reservePercent` say the same, where nothing is limited."""
    decision = decide([case])[0]
    if (
        case.ready >= 1
        and case.expected > 0
        and case.service_seconds is not None
        and not decision.reserve_limited
    ):
        carried = decision.carries_percent >= case.reserve_percent
        assert carried == (case.ready >= decision.reserve_replicas)


@given(cases, st.floats(0, 300), st.floats(0, 300))
def test_more_demand_never_means_fewer(case: Case, first: float, second: float) -> None:
    """The target is monotone in demand."""
    low, high = sorted((first, second))
    few, many = decide([replace(case, expected=rate, level=rate) for rate in (low, high)])
    assert few.target <= many.target


@pytest.mark.parametrize(
    ("changes", "settled", "replicas", "why"),
    [
        ({}, True, 0, "all is well"),
        ({"late_ratio": 0.05}, True, 4, "late in a settled state: one more"),
        ({"late_ratio": 0.05}, False, 0, "late while pods start: wait for them"),
        ({"late_ratio": 0.05, "own_rate": 1.0}, True, 0, "late and idle: not for want of replicas"),
        (
            {"late_ratio": 0.05, "ready": 5},
            True,
            0,
            "late with two more than are justified: more do not help",
        ),
        ({"late_ratio": 0.05, "ready": 4}, True, 5, "late with one more: one more still"),
        (
            {"late_ratio": 0.05, "late_first": 0.1, "ready": 5},
            True,
            6,
            "the two more have helped: one more still",
        ),
        ({"late_ratio": 0.22, "service_seconds": 0.4}, True, 0, "the work alone is too long for so many"),
        (
            {"late_ratio": 0.5, "service_seconds": 0.4, "ready": 9, "wanted": 9},
            True,
            10,
            "and waiting for others",
        ),
        ({"in_flight": 300.0}, False, 3, "a queue: work it off within half the horizon"),
        ({"in_flight": 300.0, "ready": 0}, False, 0, "nobody ready yet: the demand decides"),
        ({"service_seconds": None, "late_ratio": 0.01}, True, 0, "nothing learned, and all is well"),
        (
            {"service_seconds": None, "late_ratio": 0.05},
            True,
            4,
            "nothing learned and few are late: one more",
        ),
        (
            {"service_seconds": None, "late_ratio": 1.0},
            True,
            6,
            "nothing learned and all are late: twice as many",
        ),
        (
            {"service_seconds": None, "late_ratio": 1.0},
            False,
            0,
            "nothing learned while pods start: wait for them",
        ),
        (
            {"service_seconds": None, "late_ratio": 1.0, "gpu_utilization": 0.1},
            True,
            0,
            "nothing learned, late and idle: not for want of replicas",
        ),
    ],
)
def test_urgency(changes: dict[str, Any], settled: bool, replicas: int, why: str) -> None:
    """What the model cannot see."""
    assert urgent_replicas(replace(CASE, settled=settled, **changes)) == replicas, why


def test_lateness_raises_the_replicas_before_anything_is_learned() -> None:
    """Nothing but maxReplicas bounds it: what arrivals justify is not known."""
    late = replace(CASE, service_seconds=None, late_ratio=1.0, urgent=6)
    (decision,) = decide([late])
    assert (decision.desired, decision.reason) == (6, "LateRequests")
    (bounded,) = decide([replace(late, maximum=5)])
    assert (bounded.desired, bounded.reason) == (5, "Maximum")


def test_late_and_idle_is_not_capacity() -> None:
    """Lateness with idle replicas is diagnosed as something else."""
    idle = replace(CASE, late_ratio=0.2, own_rate=2.0, in_flight=0.2)
    assert not_capacity_bound(idle) == "IdleButLate"
    assert not_capacity_bound(replace(CASE, late_ratio=0.2)) is None
    assert not_capacity_bound(replace(idle, settled=False)) is None


def test_what_is_late_without_much_to_do_keeps_no_replicas() -> None:
    """Between what is allowed and what is clearly more too: at night a few that give up are no reason for the day's replicas."""
    night = replace(CASE, expected=1.0, level=1.0, own_rate=1.0, in_flight=0.1, wanted=20, ready=20)
    for late in (0.015, 0.2):
        (decision,) = decide([replace(night, late_ratio=late)])
        assert (decision.desired, decision.reason) == (16, "DemandFell"), late
    (busy,) = decide([replace(night, late_ratio=0.015, own_rate=90.0, in_flight=9.0)])
    assert (busy.desired, busy.reason) == (20, "Late")


@pytest.mark.parametrize("percent", [50, 51, 60, 90, 99])
def test_any_objective_can_be_clearly_missed(percent: int) -> None:
    """Also one that allows half of the requests to be late: all of them are clearly more."""
    allowed = (100 - percent) / 100
    missed = replace(CASE, late_allowed=allowed, service_seconds=None, late_ratio=1.0, settled=True)
    assert urgent_replicas(missed) > missed.ready
    assert urgent_replicas(replace(missed, late_ratio=allowed * 1.01)) == 0


def test_what_was_late_once_is_forgotten_when_few_replicas_are_in_time() -> None:
    """The next incident is compared with its own beginning; more replicas that are in time say that they helped."""
    first = replace(CASE, settled=True, late_ratio=0.9)
    assert first_lateness(first) == 0.9
    over = replace(CASE, settled=True, late_ratio=0.0, late_first=0.9)
    assert first_lateness(over) is None
    for still in ({"late_ratio": None}, {"settled": False}, {"ready": 5}, {"late_ratio": 0.015}):
        assert first_lateness(replace(over, **still)) == 0.9, still


def test_late_with_more_than_enough_is_not_capacity() -> None:
    """Once lateness has brought half as many more, or two, it is for another reason; an impossible objective has its own name."""
    assert not_capacity_bound(replace(CASE, late_ratio=0.2, ready=5)) == "MoreDidNotHelp"
    assert not_capacity_bound(replace(CASE, late_ratio=0.0, ready=5)) is None
    assert not_capacity_bound(replace(CASE, late_ratio=0.2, ready=5, in_flight=300.0)) is None
    assert not_capacity_bound(replace(CASE, late_ratio=0.22, ready=30, service_seconds=0.4)) is None
    assert not_capacity_bound(replace(CASE, late_ratio=0.1, late_first=0.2, ready=5)) is None, "it helps"
    assert not_capacity_bound(replace(CASE, late_ratio=0.2, in_vain_beyond=3)) == "MoreDidNotHelp"
    assert not_capacity_bound(replace(CASE, late_ratio=0.0, in_vain_beyond=3)) is None
    kept = decide([replace(CASE, late_ratio=0.2, ready=5, wanted=5)])[0]
    assert (kept.desired, kept.reason) == (5, "Late"), "and nothing goes while it lasts"


@pytest.mark.parametrize(("utilization", "replicas"), [(None, 0), (0.2, 1), (0.7, 3), (0.9, 4), (0.71, 3)])
def test_gpu_lower_bound(utilization: float | None, replicas: int) -> None:
    """Three replicas against a target of 70%."""
    assert gpu_replicas(replace(CASE, gpu_target_ratio=0.7, gpu_utilization=utilization)) == replicas


@pytest.mark.parametrize(
    ("expected_by", "told"),
    [
        (FORECAST, "20 requests/s expected in 60 s, "),
        (BY_THE_CLOCK, "20 requests/s expected within 60 s by the clock, "),
        (STOOD_BY_FOR, "20 requests/s stood by for, as they came within 60 s in the last days, "),
    ],
)
def test_the_sentence_says_what_asks_for_so_much(expected_by: str, told: str) -> None:
    """The forecast, the clock, or what came by surprise."""
    assert decide([replace(CASE, expected_by=expected_by)])[0].sentence.startswith(told)


def test_the_sentence_claims_no_objective_that_cannot_be_held() -> None:
    """Where the work alone takes too long, replicas are for short waits only."""
    held = decide([CASE])[0]
    assert not held.infeasible
    assert "100 ms of work each: 3 hold 99% within 500 ms for 100%" in held.sentence
    missed = decide([replace(CASE, service_seconds=0.4)])[0]
    assert missed.infeasible
    assert "hold 99%" not in missed.sentence
    told = (
        f"no number holds 99% within 500 ms, {missed.needed} keep 99% from waiting longer than 50 ms for 100%"
    )
    assert f"400 ms of work each: {told}" in missed.sentence


def test_of_a_tail_that_nobody_measured_nothing_follows() -> None:
    """No objective is called infeasible for it, and no late request is excused by it; a mean that is too long is enough."""
    assumed = replace(
        CASE, service_seconds=0.16, threshold_seconds=0.3, ready=8, wanted=8, tail_measured=False
    )
    decision = decide([assumed])[0]
    measured = decide([replace(assumed, tail_measured=True)])[0]

    assert (decision.infeasible, measured.infeasible) == (False, True)
    assert decision.needed == measured.needed, "it is sized as carefully"
    assert f"each: {decision.needed} keep 99% from waiting longer than 30 ms for 100%" in decision.sentence
    assert urgent_replicas(replace(assumed, late_ratio=0.05)) == 9
    assert urgent_replicas(replace(assumed, late_ratio=0.05, tail_measured=True)) == 0
    assert decide([replace(assumed, late_ratio=0.05, expected=2.0)])[0].reason == "Late"
    assert decide([replace(assumed, service_seconds=0.35)])[0].infeasible

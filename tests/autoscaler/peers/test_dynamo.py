"""Dynamo's planner: both predictors, rounding, and the load loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.peers.dynamo import DynamoLoad, DynamoThroughput, LoadState, ThroughputState, Trend
from autoscaler.peers.signals import PodLoad, Replicas
from tests.autoscaler.peers.fixed import Fixed

ONE = Replicas(1, 1, 0)


@pytest.mark.parametrize(
    ("rate", "target", "desired", "why"),
    [
        (40.0, 1.0, 4, "40 / 10: run at the limit exactly"),
        (40.1, 1.0, 5, "rounded up"),
        (40.0, 0.43, 10, "ceil(40 / 4.3)"),
        (0.0, 1.0, 1, "the least"),
        (float("nan"), 1.0, 1, "no number counts as none"),
        (1e6, 1.0, 20, "the budget"),
    ],
)
def test_throughput(rate: float, target: float, desired: int, why: str) -> None:
    """100 ms of work: ten requests per second for each engine."""
    policy = DynamoThroughput(0.1, target, max_replicas=20)
    assert policy.decide(Fixed(rate=rate), ONE, policy.initial(), 0.0)[0] == desired, why


def test_constant_predictor_forgets() -> None:
    """The last interval is the next one."""
    policy = DynamoThroughput(0.1, max_replicas=20)
    _, state = policy.decide(Fixed(rate=100.0), ONE, policy.initial(), 0.0)
    assert policy.decide(Fixed(rate=20.0), ONE, state, 180.0)[0] == 2
    held = DynamoThroughput(0.1, hold_seconds=180.0, max_replicas=20)
    assert held.decide(Fixed(rate=20.0), ONE, state, 180.0)[0] == 10


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=20))
def test_filter_is_the_matrix_form(values: list[float]) -> None:
    """The scalar recursion equals the Kalman filter with F = [[1, 1], [0, 1]], H = [1, 0], P = 1000 I."""
    transition, seen = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])
    mean, variance = np.array([values[0], 0.0]), 1000 * np.eye(2)
    trend = Trend(values[0]).ahead(1.0, 0.1)
    mean, variance = transition @ mean, transition @ variance @ transition.T + np.diag([1.0, 0.1])
    for value in values[1:]:
        gain = variance @ seen.T / (seen @ variance @ seen.T + 10.0)
        mean = mean + gain[:, 0] * (value - mean[0])
        variance = (np.eye(2) - gain @ seen) @ variance
        mean, variance = transition @ mean, transition @ variance @ transition.T + np.diag([1.0, 0.1])
        trend = trend.updated(value, 10.0).ahead(1.0, 0.1)
    assert trend.level == pytest.approx(mean[0], rel=1e-6, abs=1e-3)
    assert trend.slope == pytest.approx(mean[1], rel=1e-6, abs=1e-3)


def test_kalman_extends_a_ramp() -> None:
    """After some intervals of a ramp the next value of it is predicted, where the constant one lags a step."""
    policy = DynamoThroughput(0.1, max_replicas=50, predictor="kalman")
    state = ThroughputState()
    for step in range(10):
        desired, state = policy.decide(Fixed(rate=20.0 * step), ONE, state, 180.0 * step)
    assert state.trend is not None
    assert state.trend.level == pytest.approx(200.0 * 180.0, rel=0.001)
    assert desired == 20


def test_idle_time_before_the_first_request_is_no_history() -> None:
    """Leading zeros are skipped: the first rate is taken whole."""
    policy = DynamoThroughput(0.1, max_replicas=50, predictor="kalman")
    _, state = policy.decide(Fixed(), ONE, policy.initial(), 0.0)
    assert state.trend is None
    assert policy.decide(Fixed(rate=100.0), ONE, state, 180.0)[0] == 10


@pytest.mark.parametrize(
    ("loads", "step", "why"),
    [
        ([(0.9, 4.1), (0.9, 9.0)], 1, "all are late: 0.1 x (1 + 4.1) > 0.5"),
        ([(0.9, 4.0), (0.9, 9.0)], 0, "one is not"),
        ([(0.4, 1.5), (0.4, 1.5)], -1, "3 x 0.1 of waiting is below 0.8 x (0.5 - 0.1)"),
        ([(0.4, 1.6), (0.4, 1.6)], 0, "3.2 x 0.1 is not"),
        ([(0.4, 0.0), (0.5, 0.0)], 0, "the cache of the other would be full"),
        ([(0.6, 0.0)] * 3, -1, "0.6 x 3 / 2 fits"),
        ([(0.1, 0.0)], 0, "the last stays"),
        ([], 0, "nobody reports"),
    ],
)
def test_load(loads: list[tuple[float, float]], step: int, why: str) -> None:
    """100 ms of work, 500 ms allowed."""
    assert DynamoLoad(0.5, 0.1).step([PodLoad(*load) for load in loads]) == step, why


def test_own_work_beyond_the_sla_never_lets_an_engine_go() -> None:
    """Without time to wait there is no consolidation."""
    assert DynamoLoad(0.1, 0.1).step([PodLoad(0.1, 0.0)] * 3) == 0


@pytest.mark.parametrize(
    ("replicas", "count", "desired", "why"),
    [
        (Replicas(2, 2, 0), 2, 3, "one more"),
        (Replicas(3, 2, 1), 2, 3, "frozen while one starts"),
        (Replicas(1, 2, 0), 2, 1, "frozen while one goes"),
        (Replicas(2, 2, 0), 1, 2, "frozen while metrics are missing"),
    ],
)
def test_load_is_frozen_while_scaling(replicas: Replicas, count: int, desired: int, why: str) -> None:
    """All pods that report are late."""
    signals = Fixed(pods=[PodLoad(1.0, 9.0)] * count)
    policy = DynamoLoad(0.5, 0.1)
    assert policy.decide(signals, replicas, LoadState(), 0.0)[0] == desired, why


def test_throughput_is_the_floor_of_load() -> None:
    """With both loops the predictive one is asked each 180 s and bounds the other from below."""
    policy = DynamoLoad(0.5, 0.1, throughput=DynamoThroughput(0.1))
    idle = [PodLoad(0.1, 0.0)] * 4
    desired, state = policy.decide(Fixed(rate=38.0, pods=idle), Replicas(4, 4, 0), policy.initial(), 0.0)
    assert desired == 4
    desired, state = policy.decide(Fixed(rate=5.0, pods=idle), Replicas(4, 4, 0), state, 175.0)
    assert desired == 4
    assert policy.decide(Fixed(rate=5.0, pods=idle), Replicas(4, 4, 0), state, 180.0)[0] == 3

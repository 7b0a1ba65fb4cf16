"""Like Faro: the M/D/c percentile, the utility with a start-up, plan and additive increase."""

import math

import pytest

from autoscaler.peers.faro import Faro, FaroState, latency_seconds
from autoscaler.peers.signals import Replicas
from tests.autoscaler.peers.fixed import Fixed

POLICY = Faro(0.5, 0.1)


@pytest.mark.parametrize(
    ("replicas", "rate", "latency", "why"),
    [
        (1, 5.0, 0.1 + 0.2 * math.log(50) / 2, "one server: the wait is exponential, P(wait) = 0.5"),
        (2, 10.0, 0.1 + 0.1 * math.log(100 / 3) / 2, "two servers at 50%: Erlang C is 1/3"),
        (4, 0.1, 0.1, "hardly anybody waits: the work"),
        (1, 0.0, 0.1, "no load: the work"),
        (1, 19.0, 2 * (0.1 + 2.0 * math.log(95) / 2), "twice 95%: twice the latency there"),
    ],
)
def test_latency(replicas: int, rate: float, latency: float, why: str) -> None:
    """The 99th percentile at 100 ms of work."""
    assert latency_seconds(replicas, rate, 0.1, 0.99, 0.95) == pytest.approx(latency), why


@pytest.mark.parametrize(
    ("rate", "ready", "planned", "why"),
    [
        (5.0, 1, 1, "491 ms are within 500"),
        (5.5, 1, 2, "545 ms are not"),
        (10.0, 3, 2, "275 ms"),
        (0.0, 3, 1, "no load: the least"),
        (1000.0, 3, 40, "beyond reach: all there are"),
    ],
)
def test_plan(rate: float, ready: int, planned: int, why: str) -> None:
    """Half a second at the 99th percentile, at most 40 replicas."""
    assert Faro(0.5, 0.1, max_replicas=40).plan(rate, ready) == planned, why


def test_replicas_that_start_are_no_use_at_first() -> None:
    """Two of seven steps pass with what is ready, so that less than all of the utility is reached."""
    late = POLICY.utility(1, 20.0, 1)
    assert POLICY.utility(4, 20.0, 4) == 1.0
    assert POLICY.utility(4, 20.0, 1) == pytest.approx((2 * late + 5) / 7)


@pytest.mark.parametrize(
    ("minutes", "quantile", "planned", "why"),
    [
        ([50.0, *[10.0] * 6], 0.9, 6, "of seven minutes the highest, at the far end of the window"),
        ([50.0, *[10.0] * 7], 0.9, 2, "which has left the window now"),
        ([10.0, 50.0, *[10.0] * 5], 0.8, 2, "the second highest: one such minute does not count"),
    ],
)
def test_plan_follows_a_quantile_of_recent_rates(
    minutes: list[float], quantile: float, planned: int, why: str
) -> None:
    """A plan each minute, without hold: two replicas carry ten per second, six carry fifty."""
    policy = Faro(0.5, 0.1, 0.0, rate_quantile=quantile, plan_seconds=60.0, period_seconds=60.0)
    state, wanted = policy.initial(), 1
    for step, rate in enumerate(minutes):
        wanted, state = policy.decide(Fixed(rate=rate), Replicas(7, 7, 0), state, 60.0 * step)
    assert wanted == planned, why


@pytest.mark.parametrize(
    ("latencies", "decisions", "why"),
    [
        ([0.4] * 5, [1, 1, 1, 1, 1], "in time"),
        ([0.6] * 8, [1, 1, 1, 2, 2, 2, 3, 3], "one more after each 30 s of lateness"),
        ([0.6, 0.6, 0.4, 0.6, 0.6], [1, 1, 1, 1, 1], "a look in time begins anew"),
        ([None] * 5, [1, 1, 1, 1, 1], "no responses are not late"),
    ],
)
def test_additive_increase(latencies: list[float | None], decisions: list[int], why: str) -> None:
    """Between two plans, which ask for one replica."""
    state, wanted, found = FaroState(), 1, []
    for step, latency in enumerate(latencies):
        signals = Fixed(rate=4.0, latency=latency)
        wanted, state = POLICY.decide(signals, Replicas(wanted, wanted, 0), state, 10.0 * step)
        found.append(wanted)
    assert found == decisions, why


def test_fewer_after_the_hold() -> None:
    """The highest plan or increase of the last 600 s."""
    state, wanted, found = FaroState(), 1, []
    for step in range(100):
        rate = 60.0 if step == 0 else 0.0
        wanted, state = POLICY.decide(Fixed(rate=rate), Replicas(wanted, wanted, 0), state, 10.0 * step)
        found.append(wanted)
    assert found[:90] == [found[0]] * 90
    assert found[90] == 1

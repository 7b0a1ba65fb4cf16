"""AIBrix: its KPA and its APA."""

import pytest

from autoscaler.peers.aibrix import AibrixApa, AibrixKpa, AibrixState
from autoscaler.peers.signals import Replicas
from tests.autoscaler.peers.fixed import Fixed


@pytest.mark.parametrize(
    ("in_flight", "replicas", "desired", "why"),
    [
        (44.0, Replicas(4, 4, 0), 4, "a ratio of 1.1 is tolerated"),
        (44.4, Replicas(4, 4, 0), 5, "ceil(4 x 1.11)"),
        (200.0, Replicas(4, 4, 0), 8, "at most double"),
        (36.0, Replicas(4, 4, 0), 4, "and so is one of 0.9"),
        (24.0, Replicas(4, 4, 0), 3, "ceil(4 x 0.6)"),
        (1.0, Replicas(5, 5, 0), 2, "at most half, rounded down"),
        (60.0, Replicas(4, 3, 1), 8, "the load of the ready, times all"),
        (60.0, Replicas(4, 0, 4), 4, "nobody reports: keep"),
    ],
)
def test_apa(in_flight: float, replicas: Replicas, desired: int, why: str) -> None:
    """Ten for each, without cooldown."""
    policy = AibrixApa(10.0, hold_seconds=0.0)
    assert policy.decide(Fixed(flying=in_flight), replicas, policy.initial(), 0.0)[0] == desired, why


@pytest.mark.parametrize(
    ("stable", "panic", "wanted", "desired", "why"),
    [
        (55.0, 55.0, 4, 6, "ceil(55 / 10)"),
        (44.0, 44.0, 4, 4, "tolerated"),
        (36.0, 36.0, 4, 4, "tolerated"),
        (31.0, 62.0, 4, 4, "twice the stable window is no panic"),
        (31.0, 63.0, 4, 7, "more is: the panic window decides"),
        (31.0, 630.0, 4, 8, "at most double"),
        (0.0, 12.0, 4, 2, "an empty stable window is panic too, but keeps nobody from going"),
        (1.0, 1.0, 9, 4, "at most half, rounded down"),
        (90.0, 20.0, 4, 8, "the stable window, outside panic"),
    ],
)
def test_kpa(stable: float, panic: float, wanted: int, desired: int, why: str) -> None:
    """Ten for each, without cooldown."""
    policy = AibrixKpa(10.0, hold_seconds=0.0)
    signals = Fixed(flying={180.0: stable, 60.0: panic})
    assert policy.decide(signals, Replicas(wanted, 1, 0), policy.initial(), 0.0)[0] == desired, why


def test_panic_is_forgotten() -> None:
    """The look after a panic lowers what the panic asked for."""
    policy, state = AibrixKpa(10.0, hold_seconds=0.0), AibrixState()
    desired, state = policy.decide(Fixed(flying={180.0: 20.0, 60.0: 60.0}), Replicas(4, 4, 0), state, 0.0)
    assert desired == 6
    assert policy.decide(Fixed(flying={180.0: 25.0, 60.0: 25.0}), Replicas(6, 6, 0), state, 10.0)[0] == 3


def test_cooldown_on_the_way_down() -> None:
    """The highest recommendation of the last 300 s; on the way up there is none."""
    policy, state, wanted, decisions = AibrixApa(10.0), AibrixState(), 4, []
    for tick in range(33):
        in_flight = 60.0 if tick == 0 else 10.0
        wanted, state = policy.decide(
            Fixed(flying=in_flight), Replicas(wanted, wanted, 0), state, 10.0 * tick
        )
        decisions.append(wanted)
    assert decisions[:31] == [6] * 31
    assert decisions[31] == 3

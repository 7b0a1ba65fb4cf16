"""Knative's autoscaler: targets, panic, delay, none."""

import pytest

from autoscaler.peers.kpa import Kpa, KpaState
from autoscaler.peers.signals import Replicas
from tests.autoscaler.peers.fixed import Fixed

CALM = KpaState(begun=True)


def load(stable: float, panic: float) -> Fixed:
    """Requests in flight over the two windows."""
    return Fixed(flying={60.0: stable, 6.0: panic})


@pytest.mark.parametrize(
    ("stable", "panic", "ready", "desired", "panics", "why"),
    [
        (25.0, 25.0, 3, 3, False, "ceil(25 / 10)"),
        (35.0, 35.0, 3, 4, False, "up by the stable window"),
        (25.0, 59.0, 3, 6, True, "the panic window asks for twice the ready: panic"),
        (25.0, 50.0, 3, 3, False, "a little less is no panic"),
        (90.0, 60.0, 3, 9, True, "in panic the larger window decides"),
        (1.0, 1.0, 9, 4, False, "down at most by half, rounded down"),
        (15.0, 15.0, 0, 2, True, "no ready replica counts as one"),
        (0.0, 0.0, 1, 1, False, "never below the minimum"),
        (9e5, 9e5, 1, 50, True, "never above the maximum"),
    ],
)
def test_decision(stable: float, panic: float, ready: int, desired: int, panics: bool, why: str) -> None:
    """Ten in flight for each replica."""
    policy = Kpa(10.0, max_replicas=50)
    found, state = policy.decide(load(stable, panic), Replicas(max(ready, 1), ready, 0), CALM, 100.0)
    assert found == desired, why
    assert (state.panic_at is not None) is panics, why


@pytest.mark.parametrize(
    ("panic_at", "panic", "now", "desired", "panic_after", "why"),
    [
        (100.0, 40.0, 130.0, 8, 100.0, "panic keeps the highest number"),
        (100.0, 95.0, 130.0, 10, 130.0, "raises it, and begins its window anew"),
        (100.0, 40.0, 160.0, 8, 100.0, "stays for the whole stable window"),
        (100.0, 40.0, 162.0, 4, None, "and ends after it"),
        (100.0, 95.0, 162.0, 10, 162.0, "unless the threshold is exceeded again"),
    ],
)
def test_panic(
    panic_at: float, panic: float, now: float, desired: int, panic_after: float | None, why: str
) -> None:
    """In panic at eight replicas, of which four are ready; the stable window asks for four."""
    state = KpaState(begun=True, panic_at=panic_at, panic_replicas=8)
    found, after = Kpa(10.0).decide(load(40.0, panic), Replicas(8, 4, 4), state, now)
    assert (found, after.panic_at) == (desired, panic_after), why


def test_monotone_in_panic() -> None:
    """A panic that a surge began never asks for fewer while it lasts, however the load falls."""
    policy, state, decisions = Kpa(1.0), CALM, []
    for tick, panic in enumerate([8.0, 3.0, 12.0, 2.0, *[1.0] * 30]):
        desired, state = policy.decide(load(1.0, panic), Replicas(2, 2, 0), state, 2.0 * tick)
        decisions.append(desired)
    assert decisions == [8, 8, *[12] * 31, 1]
    assert policy.decide(load(1.0, 1.0), Replicas(12, 12, 0), state, 68.0)[0] == 6


@pytest.mark.parametrize(("ready", "desired", "why"), [(5, 5, "panic keeps them"), (1, 1, "one is no panic")])
def test_restart(ready: int, desired: int, why: str) -> None:
    """A restarted autoscaler has no history and lets no replica go for one stable window."""
    policy = Kpa(10.0)
    _, state = policy.decide(load(0.0, 0.0), Replicas(ready, ready, 0), policy.initial(), 0.0)
    assert policy.decide(load(0.0, 0.0), Replicas(ready, ready, 0), state, 60.0)[0] == desired, why


def test_delay_on_the_way_down() -> None:
    """The highest number of the delay."""
    policy, state, decisions = Kpa(10.0, hold_seconds=4.0), CALM, []
    for tick, in_flight in enumerate([30.0, 20.0, 20.0, 20.0]):
        desired, state = policy.decide(load(in_flight, in_flight), Replicas(3, 3, 0), state, 2.0 * tick)
        decisions.append(desired)
    assert decisions == [3, 3, 3, 2]


def test_none_only_after_the_grace() -> None:
    """Idle for 30 s, then none; one request brings one back, and an activation its scale."""
    policy, state, decisions = Kpa(10.0, min_replicas=0), CALM, []
    for now in (0.0, 28.0, 30.0):
        desired, state = policy.decide(load(0.0, 0.0), Replicas(1, 1, 0), state, now)
        decisions.append(desired)
    assert decisions == [1, 1, 0]
    assert policy.decide(load(0.1, 1.0), Replicas(0, 0, 0), state, 32.0)[0] == 1
    activated = Kpa(10.0, min_replicas=0, activation_scale=3)
    assert activated.decide(load(0.1, 1.0), Replicas(0, 0, 0), state, 32.0)[0] == 3

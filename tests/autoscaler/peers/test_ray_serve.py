"""Ray Serve: counters of looks in a row."""

import pytest

from autoscaler.peers.ray_serve import RayServe, RayServeState
from autoscaler.peers.signals import Replicas
from tests.autoscaler.peers.fixed import Fixed

POLICY = RayServe(2.0, hold_seconds=6.0, max_replicas=20, upscale_delay_seconds=3.0, period_seconds=1.0)


@pytest.mark.parametrize(
    ("ongoing", "replicas", "counter", "desired", "after", "why"),
    [
        (9.0, Replicas(4, 4, 0), 0, 4, 1, "asked for five once"),
        (9.0, Replicas(4, 4, 0), 2, 4, 3, "three times in a row are not yet more than 3 s"),
        (9.0, Replicas(4, 4, 0), 3, 5, 0, "four are: ceil(9 / 2)"),
        (9.0, Replicas(4, 4, 0), -5, 4, 1, "one opposite look ends a row"),
        (5.0, Replicas(4, 4, 0), 3, 4, -1, "in either direction"),
        (8.0, Replicas(4, 4, 0), 3, 4, 0, "and one look at the target too"),
        (5.0, Replicas(4, 4, 0), -6, 3, 0, "down after its own delay"),
        (9.0, Replicas(5, 4, 1), 3, 5, 0, "compared with what is wanted, not with what runs"),
        (0.0, Replicas(4, 4, 0), -6, 1, 0, "down to the minimum"),
        (90.0, Replicas(4, 4, 0), 3, 20, 0, "up to the maximum"),
        (5.0, Replicas(3, 0, 3), 3, 3, 3, "nobody runs: what is wanted, at once"),
    ],
)
def test_decision(
    ongoing: float, replicas: Replicas, counter: int, desired: int, after: int, why: str
) -> None:
    """Looks each second, up after 3 s, down after 6 s."""
    found = POLICY.decide(Fixed(flying=ongoing), replicas, RayServeState(counter), 0.0)
    assert found == (desired, RayServeState(after)), why


@pytest.mark.parametrize(
    ("wanted", "ready", "ongoing", "desired", "why"),
    [
        (0, 0, 1.0, 1, "the first request wakes one at once"),
        (0, 0, 0.0, 0, "none stays none"),
        (3, 3, 0.0, 1, "one is left for its own delay"),
        (1, 1, 0.0, 0, "and goes after it"),
    ],
)
def test_none(wanted: int, ready: int, ongoing: float, desired: int, why: str) -> None:
    """With a minimum of none, at the end of a delay."""
    policy = RayServe(2.0, hold_seconds=6.0, min_replicas=0, period_seconds=1.0)
    replicas = Replicas(wanted, ready, 0)
    assert policy.decide(Fixed(flying=ongoing), replicas, RayServeState(-6), 0.0)[0] == desired, why


@pytest.mark.parametrize(
    ("ongoing", "up", "down", "desired", "why"),
    [
        (16.0, 2.0, 1.0, 12, "twice the way up: 4 + 2 x 4"),
        (4.0, 1.0, 0.5, 3, "half the way down: 4 - 0.5 x 2"),
        (4.0, 1.0, 0.1, 3, "one goes even where rounding up would keep it"),
    ],
)
def test_factors(ongoing: float, up: float, down: float, desired: int, why: str) -> None:
    """Four replicas, without delays."""
    policy = RayServe(2.0, 0.0, 1, 20, 0.0, upscaling_factor=up, downscaling_factor=down)
    assert policy.decide(Fixed(flying=ongoing), Replicas(4, 4, 0), RayServeState(), 0.0)[0] == desired, why


def test_published_delays() -> None:
    """Looks each 100 ms: 300 in a row before more, 6000 before fewer."""
    for ongoing, looks in ((9.0, 300), (1.0, 6000)):
        policy, state = RayServe(), RayServeState()
        for _ in range(looks):
            desired, state = policy.decide(Fixed(flying=ongoing), Replicas(4, 4, 0), state, 0.0)
            assert desired == 4
        assert policy.decide(Fixed(flying=ongoing), Replicas(4, 4, 0), state, 0.0)[0] != 4

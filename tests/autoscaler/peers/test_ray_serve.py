"""Ray Serve: what is asked for throughout a delay."""

import pytest

from autoscaler.peers.ray_serve import RayServe, RayServeState
from autoscaler.peers.signals import Replicas
from tests.autoscaler.peers.fixed import Fixed

NOW = 1000.0
POLICY = RayServe(2.0, hold_seconds=6.0, max_replicas=20, upscale_delay_seconds=3.0)


NONE = RayServeState()


def since(direction: int, seconds: float) -> RayServeState:
    """The same was asked for during so many seconds before `NOW`."""
    return RayServeState(direction, NOW - seconds)


@pytest.mark.parametrize(
    ("ongoing", "replicas", "state", "desired", "after", "why"),
    [
        (9.0, Replicas(4, 4, 0), NONE, 4, since(1, 0), "asked for five once"),
        (9.0, Replicas(4, 4, 0), since(1, 2.9), 4, since(1, 2.9), "not yet for 3 s"),
        (9.0, Replicas(4, 4, 0), since(1, 3), 5, NONE, "for 3 s: ceil(9 / 2)"),
        (9.0, Replicas(4, 4, 0), since(-1, 5), 4, since(1, 0), "one opposite look begins anew"),
        (5.0, Replicas(4, 4, 0), since(1, 3), 4, since(-1, 0), "in either direction"),
        (8.0, Replicas(4, 4, 0), since(1, 3), 4, NONE, "and one look at the target too"),
        (5.0, Replicas(4, 4, 0), since(-1, 6), 3, NONE, "down after its own delay"),
        (9.0, Replicas(5, 4, 1), since(1, 3), 5, NONE, "compared with what is wanted, not with what runs"),
        (0.0, Replicas(4, 4, 0), since(-1, 6), 1, NONE, "down to the minimum"),
        (90.0, Replicas(4, 4, 0), since(1, 3), 20, NONE, "up to the maximum"),
        (5.0, Replicas(3, 0, 3), since(1, 3), 3, since(1, 3), "nobody runs: what is wanted, at once"),
    ],
)
def test_decision(
    ongoing: float, replicas: Replicas, state: RayServeState, desired: int, after: RayServeState, why: str
) -> None:
    """Up after 3 s, down after 6 s."""
    assert POLICY.decide(Fixed(flying=ongoing), replicas, state, NOW) == (desired, after), why


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
    policy = RayServe(2.0, hold_seconds=6.0, min_replicas=0)
    replicas = Replicas(wanted, ready, 0)
    assert policy.decide(Fixed(flying=ongoing), replicas, since(-1, 6), NOW)[0] == desired, why


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


@pytest.mark.parametrize("looks_seconds", [0.1, 5.0, 15.0])
def test_published_delays(looks_seconds: float) -> None:
    """30 s before more and 600 s before fewer, however often it looks."""
    for ongoing, delay_seconds in ((9.0, 30.0), (1.0, 600.0)):
        policy, state, looks = RayServe(), RayServeState(), 0
        desired = 4
        while desired == 4:
            desired, state = policy.decide(
                Fixed(flying=ongoing), Replicas(4, 4, 0), state, looks * looks_seconds
            )
            looks += 1
        assert (looks - 1) * looks_seconds == pytest.approx(delay_seconds)

"""What all peers have in common."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.peers import PEERS, Policy
from autoscaler.peers.signals import PodLoad, Replicas
from autoscaler.peers.static import Static
from tests.autoscaler.peers.fixed import Fixed

KNOBS = {
    "static": 5.0,
    "hpa-utilization": 0.6,
    "hpa-concurrency": 0.7,
    "keda-rate": 0.7,
    "keda-queue": 5.0,
    "keda-latency": 0.5,
    "kpa": 0.7,
    "ray-serve": 0.7,
    "wva-v1": 0.8,
    "wva-v2": 0.85,
    "aibrix-kpa": 0.7,
    "aibrix-apa": 0.7,
    "dynamo-constant": 0.7,
    "dynamo-kalman": 0.7,
    "dynamo-load": 0.5,
    "faro": 0.5,
}

observations = st.tuples(
    st.integers(0, 20),
    st.builds(
        Fixed,
        rate=st.floats(0, 1e4),
        flying=st.floats(0, 1e4),
        waiting=st.floats(0, 1e4),
        busy=st.floats(0, 1),
        latency=st.none() | st.floats(0, 100),
        pods=st.lists(st.builds(PodLoad, st.floats(0, 1), st.floats(0, 100)), max_size=6),
    ),
)


def test_every_peer_has_a_knob_here() -> None:
    """The tests below cover the whole registry."""
    assert KNOBS.keys() == PEERS.keys()


@pytest.mark.thorough
@pytest.mark.parametrize("name", sorted(PEERS))
@given(seen=st.lists(observations, min_size=1, max_size=12), hold=st.sampled_from([0.0, 60.0, 600.0]))
def test_never_outside_the_bounds(name: str, seen: list[tuple[int, Fixed]], hold: float) -> None:
    """Whatever is seen and however many are ready."""
    policy = PEERS[name](KNOBS[name], hold, 2, 20, 0.1)
    state, wanted = policy.initial(), 2
    for tick, (ready, signals) in enumerate(seen):
        replicas = Replicas(wanted, min(ready, wanted), max(wanted - ready, 0))
        wanted, state = policy.decide(signals, replicas, state, tick * policy.period_seconds)
        assert 2 <= wanted <= 20


def settled(policy: Policy, load: float, service_seconds: float, start: int, seconds: float) -> set[int]:
    """Replicas of the last quarter under a constant load without queues, pods ready at once."""
    state: Any = policy.initial()
    wanted, looks, last = start, math.ceil(seconds / policy.period_seconds), set[int]()
    for tick in range(looks):
        busy = min(1.0, load / wanted)
        signals = Fixed(
            rate=load / service_seconds, flying=load, busy=busy, pods=[PodLoad(busy, 0.0)] * wanted
        )
        replicas = Replicas(wanted, wanted, 0)
        wanted, state = policy.decide(signals, replicas, state, tick * policy.period_seconds)
        if tick >= 0.75 * looks:
            last.add(wanted)
    return last


@pytest.mark.parametrize(
    "name", ["hpa-concurrency", "keda-rate", "kpa", "aibrix-kpa", "aibrix-apa", "dynamo-constant"]
)
@given(load=st.floats(0.1, 25), start=st.integers(1, 60))
def test_constant_load_converges(name: str, load: float, start: int) -> None:
    """One number in the end, from above and from below: enough for the load, within the tolerance."""
    found = settled(PEERS[name](0.7, 60.0, 1, 60, 0.1), load, 0.1, start, 3000.0)
    assert len(found) == 1
    asked = load / 0.7
    assert 0.9 * asked - 1e-3 <= found.pop() <= asked / 0.9 + 1


@pytest.mark.parametrize(
    ("name", "replicas", "why"),
    [
        ("static", {5}, "as told"),
        ("hpa-utilization", {12}, "ceil(10 x 69 / 60), and then within the band"),
        ("ray-serve", {10}, "ceil(6.9 / 0.7)"),
        ("wva-v2", {11, 12}, "ceil(6.9 / (0.8 x 0.85)), or one more"),
        ("dynamo-kalman", {10}, "ceil(6.9 / 0.7)"),
        ("faro", {8}, "fewest replicas whose 99th percentile is within 500 ms"),
    ],
)
def test_almost_seven_busy_replicas(name: str, replicas: set[int], why: str) -> None:
    """A load of 6.9, from ten replicas."""
    found = settled(PEERS[name](KNOBS[name], 60.0, 1, 60, 0.1), 6.9, 0.1, 10, 3600.0)
    assert found <= replicas, why
    assert len(found) == 1


@pytest.mark.parametrize(
    ("target", "replicas", "why"),
    [(4.0, 4, "as told"), (4.2, 5, "rounded up"), (0.0, 1, "the least"), (99.0, 30, "the most")],
)
def test_static(target: float, replicas: int, why: str) -> None:
    """Between one and thirty."""
    policy = Static(target, max_replicas=30)
    assert policy.decide(Fixed(rate=1e6), Replicas(9, 9, 0), policy.initial(), 0.0)[0] == replicas, why

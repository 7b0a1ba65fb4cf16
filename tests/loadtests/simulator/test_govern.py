"""Peers and schedules in front of the same simulated services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from autoscaler.peers import PEERS
from autoscaler.peers.signals import PodLoad, Replicas, Signals
from loadtests.simulator.govern import Peer, Scheduled
from loadtests.simulator.requests import Count
from loadtests.simulator.world import World
from tests.loadtests.simulator.test_scrapes import chat, encoder
from tests.loadtests.simulator.test_world import service


def test_a_peer_sees_the_demand_and_follows_it() -> None:
    """KEDA on the rate: 40 requests per second of a tenth of a second at 80% take five replicas, once it has seen them."""
    world = World([service([5, 40, 40])], {0: Peer(PEERS["keda-rate"](0.8, 300.0, 1, 20, 0.1), 15.0)})
    world.run(280)
    assert world.services[0].pods.wanted == 1
    world.run(160)
    assert world.services[0].pods.wanted == 5


@pytest.mark.parametrize(
    ("name", "knob"),
    [("static", 6), ("hpa-utilization", 0.5), ("hpa-concurrency", 1.0), ("kpa", 1.0), ("wva-v1", 0.8), ("aibrix-apa", 1.0)],
)  # fmt: skip
def test_peers_serve_a_constant_load(name: str, knob: float) -> None:
    """Each comes to replicas that carry it, and stays within its bounds."""
    world = World([service([20])], {0: Peer(PEERS[name](knob, 300.0, 1, 10, 0.1), 15.0)})
    world.run(960)
    pods = world.services[0].pods
    assert 3 <= pods.wanted <= 10


@dataclass
class Watcher:
    """Keeps one replica and what it was told of it."""

    seen: list[tuple[float, float, float, Sequence[PodLoad]]] = field(default_factory=list)
    period_seconds: float = 15.0

    def replicas(self, signals: Signals, replicas: Replicas, now: float) -> int:
        """One."""
        told = signals.busy_ratio(60), signals.queued(60), signals.in_flight(60), signals.per_pod(60)
        self.seen.append(told)
        return 1


def test_pods_that_tell_are_asked() -> None:
    """Of a language model's pod: its GPU, its own queue, and its cache; the gateway sees those that run beside who waits."""
    watcher = Watcher()
    world = World([chat([40], seed=1)], {0: watcher})
    world.run(150)
    busy, queued, in_flight, (pod,) = watcher.seen[-1]
    assert busy == pytest.approx(1.0, abs=0.01)
    assert queued == pod.queued > 20
    assert in_flight > 32 + 10
    assert 0.01 < pod.kv_usage < 0.1


def test_pods_without_a_cache_tell_of_their_gpu_instead() -> None:
    """As often as not it runs a batch, and nobody waits for long."""
    watcher = Watcher()
    world = World([encoder([15], seed=1)], {0: watcher})
    world.run(150)
    busy, queued, _, (pod,) = watcher.seen[-1]
    assert 0.3 < busy < 0.7
    assert queued <= 3
    assert busy <= pod.kv_usage <= 1.0, "the highest of the window"


def test_a_schedule_is_carried_out() -> None:
    """At the beginning of each step, beside a service that the production autoscaler governs."""
    asked = np.array([1, 3, 2])
    world = World([service([5]), service([5], name="t")], {0: Scheduled(asked, 60.0)})
    seen = []
    for _ in range(3):
        world.run(60)
        seen.append(world.services[0].pods.wanted)
    assert seen == [3, 2, 2]
    assert set(world.state.targets) == {"1"}
    world.bring_up_to_date(0)
    counts = world.services[0].requests.counts
    assert counts[Count.LATE] <= 0.02 * counts[Count.OFFERED]

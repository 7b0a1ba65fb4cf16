"""A service alone goes as it does in a world with a Prometheus."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from autoscaler.peers import PEERS
from autoscaler.peers.signals import Replicas, Signals
from loadtests.bench.run import SIMULATED_PEERS
from loadtests.simulator.alone import Alone
from loadtests.simulator.govern import Governor, Peer, Scheduled
from loadtests.simulator.service import Load, Service, drawn
from loadtests.simulator.starts import fixed_start
from loadtests.simulator.world import World

RATES = [2.0, 10.0, 30.0, 3.0, 0.0, 20.0]
"""Requests per second, two minutes each: more than the replicas carry, nothing, and again."""
TARGETS = {"static": 6.0, "keda-queue": 1.0}


def service(seed: int) -> Service:
    """Of a tenth of a second, with starts of half a minute."""
    load = Load(np.array(RATES), 120.0, 0.1)
    return Service(
        "s", load, 0.5, fixed_start(30.0), slots=70, initial_replicas=2, max_replicas=30, seed=seed
    )


@dataclass
class Watched:
    """Keeps what a governor was told."""

    governor: Governor
    told: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.period_seconds = self.governor.period_seconds

    def replicas(self, signals: Signals, replicas: Replicas, now: float) -> int:
        """What the governor wants."""
        self.told.append(
            (
                now,
                replicas,
                *(signals.arrivals_per_second(window) for window in (20.0, 60.0, 180.0)),
                *(signals.in_flight(window) for window in (6.0, 60.0)),
                *(signals.queued(window) for window in (10.0, 60.0)),
                *(signals.busy_ratio(window) for window in (15.0, 60.0)),
                *((pod.kv_usage, pod.queued) for pod in signals.per_pod(60.0)),
            )
        )
        return self.governor.replicas(signals, replicas, now)


@pytest.mark.parametrize("name", SIMULATED_PEERS)
def test_a_peer_is_told_and_does_the_same(name: str) -> None:
    """At each of its looks, through a rise, a fall and a silence; and so the costs are the same."""

    def governor() -> Watched:
        return Watched(Peer(PEERS[name](TARGETS.get(name, 0.6), 60.0, 1, 30, 0.3), 15.0))

    in_world, by_itself = governor(), governor()
    world = World([service(1)], {0: in_world})
    world.run(120.0 * len(RATES))
    alone = Alone(service(1), by_itself)
    alone.run(120.0 * len(RATES))
    assert len(by_itself.told) == len(in_world.told)
    for one, other in zip(by_itself.told, in_world.told, strict=True):
        assert one[:2] == other[:2]
        assert np.concatenate([np.ravel(part) for part in one[2:]]) == pytest.approx(
            np.concatenate([np.ravel(part) for part in other[2:]]), rel=1e-9
        )
    world.bring_up_to_date(0)
    alone.service.advance(alone.now)
    assert alone.service.requests.counts.tolist() == world.services[0].requests.counts.tolist()
    assert alone.service.pods.cost_seconds(alone.now) == world.services[0].pods.cost_seconds(world.now)
    assert alone.scalings == world.decisions["s"]


def test_a_schedule_is_the_same() -> None:
    """It looks at nothing."""
    asked = np.array([2, 5, 9, 3, 1, 6])
    world = World([service(1)], {0: Scheduled(asked, 120.0)})
    world.run(720)
    world.bring_up_to_date(0)
    alone = Alone(service(1), Scheduled(asked, 120.0))
    for _ in range(6):
        alone.run(120)
    alone.service.advance(720.0)
    assert alone.service.requests.counts.tolist() == world.services[0].requests.counts.tolist()
    assert alone.service.pods.cost_seconds(720.0) == world.services[0].pods.cost_seconds(720.0)


def test_requests_drawn_beforehand_are_those_that_would_be_drawn() -> None:
    """Of a part of the time, with their sizes."""
    usual, expecting = service(3), service(3)
    expecting.expect(drawn(expecting.load, expecting.seed, 130.0, 500.0))
    usual.advance(130.0)
    before = usual.requests.counts.copy()
    usual.advance(500.0)
    expecting.advance(500.0)
    offered = usual.requests.counts - before
    assert expecting.requests.counts[6] == offered[6]

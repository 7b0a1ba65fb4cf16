"""The production autoscaler in front of simulated services."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.peers import PEERS
from loadtests.simulator.gateway import Gateway
from loadtests.simulator.govern import Peer
from loadtests.simulator.pods import Pods
from loadtests.simulator.requests import Count, Requests, Routing
from loadtests.simulator.service import Load, Service
from loadtests.simulator.starts import fixed_start
from loadtests.simulator.world import World


def service(rates: list[float], **options: object) -> Service:
    """A service of a tenth of a second's work, with a step of the load every five minutes."""
    made: dict[str, object] = {
        "name": "s",
        "load": Load(np.array(rates), 300.0, 0.1),
        "objective_seconds": 0.5,
        "starts": fixed_start(30.0),
        "slots": 30,
    }
    return Service(**(made | options))  # type: ignore[arg-type]


def test_pods_are_paid_from_creation_to_exit() -> None:
    """Starting and draining too; those that are not ready go first, then the youngest."""
    requests = Requests(6, 0.5)
    pods = Pods(requests, fixed_start(30.0), np.random.default_rng(0))
    pods.scale(2, 0.0)
    pods.become_ready(30.0)
    pods.scale(3, 40.0)
    assert (pods.ready, pods.next_ready_at) == (2, 70.0)
    pods.scale(2, 50.0)
    assert pods.paid_seconds == 10.0
    requests.advance(np.full(2, 60.0), np.array([20.0, 20.0]), 60.0)
    pods.scale(1, 65.0)
    assert pods.ready == 1
    assert pods.end_drained(79.0) == []
    assert len(pods.end_drained(81.0)) == 1
    assert pods.paid_seconds == 10.0 + 80.0
    assert pods.cost_seconds(100.0) == 90.0 + 100.0


def test_replicas_follow_the_load() -> None:
    """From Prometheus' answers alone: up before many are late, and down again."""
    world = World([service([2, 20, 20, 2, 2, 2])])
    world.run(900)
    peak = world.services[0].pods.wanted
    assert peak >= 3
    assert world.state.targets["0"].service.mean_seconds == pytest.approx(0.1, rel=0.1)
    world.run(900)
    assert world.services[0].pods.wanted < peak
    counts = world.services[0].requests.counts
    assert counts[Count.OFFERED] > 12_000
    assert (
        counts[Count.OFFERED] == counts[Count.DISPATCHED] + counts[Count.UNROUTED] + counts[Count.OVERFLOWN]
    )


def test_the_same_seed_gives_the_same_run() -> None:
    """Every number, and another seed another run."""

    def run(seed: int) -> tuple[list[int], float]:
        world = World([service([20], seed=seed)])
        world.run(200)
        return world.services[0].requests.counts.tolist(), world.services[0].pods.cost_seconds(200)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_the_quick_loop_gives_the_same_numbers_as_ever() -> None:
    """Whatever else is simulated beside it: of 720 seconds under ours and a peer, behind three routings."""
    peer = Peer(PEERS["hpa-utilization"](0.7, 60.0, 1, 9, 0.1), 15.0)
    services = [
        service([2, 20, 45], seed=3),
        service([20, 45, 2], name="t", seed=4, gateway=Gateway(Routing.ROUND_ROBIN), objective_seconds=0.3),
        service([20, 5, 45], name="u", seed=5, gateway=Gateway(Routing.TWO_CHOICES)),
    ]
    world = World(services, {2: peer})
    world.run(720)
    assert [one.requests.counts[: Count.LATE + 1].tolist() for one in services] == [
        [12003, 11394, 602, 0, 0, 10877, 12003, 1119],
        [19884, 18878, 1005, 0, 77, 18198, 19961, 1762],
        [10749, 6502, 3620, 0, 1685, 4442, 12434, 7992],
    ]
    assert [one.pods.wanted for one in services] == [11, 8, 5]
    assert [one.pods.cost_seconds(720.0) for one in services] == pytest.approx(
        [3205.0, 5890.288944090273, 1815.0179577204676], rel=1e-9
    )
    assert world.state.targets["0"].service.mean_seconds == pytest.approx(0.1002123040748356, rel=1e-9)


def test_services_do_not_disturb_each_other() -> None:
    """Beside another service the demand that is seen is the same."""
    alone = World([service([20, 40])])
    together = World([service([20, 40]), service([5, 60], name="t", seed=7)])
    alone.run(330)
    together.run(330)
    assert alone.services[0].requests.counts.tolist() == together.services[0].requests.counts.tolist()
    assert alone.services[0].pods.wanted == together.services[0].pods.wanted

"""What is done to a world: faults begin and end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from autoscaler.peers import PEERS
from loadtests.faults.monitoring import UNREACHABLE, Accrued
from loadtests.faults.world import (
    GATEWAYS,
    MAX_REPLICAS,
    OBJECTIVE_SECONDS,
    PODS,
    RATE,
    STABLE,
    WORK_SECONDS,
    FaultyWorld,
)
from loadtests.simulator.govern import Peer
from loadtests.simulator.requests import Ints
from loadtests.simulator.scrapes import Values

SCRAPE_TIMEOUT_SECONDS = 10.0
"""Prometheus' default."""


def unreachable(world: FaultyWorld) -> None:
    world.monitor.failure = UNREACHABLE


def reachable(world: FaultyWorld) -> None:
    world.monitor.failure = None


def not_finite(world: FaultyWorld) -> None:
    world.monitor.not_finite = True


def finite(world: FaultyWorld) -> None:
    world.monitor.not_finite = False


def unscraped(world: FaultyWorld) -> None:
    world.monitor.scraped = lambda kind, rows: np.zeros(len(rows), dtype=np.bool_)


def down(world: FaultyWorld) -> None:
    """Prometheus itself: it neither answers nor scrapes."""
    unreachable(world)
    unscraped(world)


def half_scraped(world: FaultyWorld) -> None:
    world.monitor.scraped = lambda kind, rows: (rows % 2 == 0) | (kind != PODS)


def scraped(world: FaultyWorld) -> None:
    world.monitor.scraped = None


def scraping_from(at: float) -> Callable[[FaultyWorld], None]:
    """It is up again, and not reached yet."""
    return lambda world: scraped(world) if world.now >= at else None


def begun_saturated(world: FaultyWorld) -> None:
    """The service is new, its one pod gets everything at once, and who is too busy to answer a scrape in time has no series."""
    world.forget()
    world.renew(STABLE)
    world.scale(STABLE, 1)
    busy_until = world.services[STABLE].requests.free_at
    world.monitor.clear(PODS, np.arange(2 * MAX_REPLICAS))
    world.monitor.too_slow = lambda kind, rows: busy_until[rows] > world.now + SCRAPE_TIMEOUT_SECONDS


def asleep(world: FaultyWorld) -> None:
    world.asleep = True


def awake(world: FaultyWorld) -> None:
    world.asleep = False
    world.forget()


def slow_network(seconds: float = 3.0) -> Callable[[FaultyWorld], Accrued]:
    """Between gateway and pods a part of the answers gets lost for a while: the gateway sees them late, no pod is busy for it."""
    bucket, answers = "envoy_cluster_upstream_rq_time_bucket", "envoy_cluster_upstream_rq_time_count"
    total, active = "envoy_cluster_upstream_rq_time_sum", "envoy_cluster_upstream_rq_active"

    def installed(world: FaultyWorld) -> Accrued:
        late = Accrued(1)

        def altered(kind: int, rows: Ints, values: Values) -> Values:
            if kind != GATEWAYS:
                return values
            delayed = late.of(rows, values[answers])
            on_time = values[bucket].copy()
            on_time[0] = max(on_time[0] - delayed[0], 0.0)
            return values | {
                bucket: on_time,
                total: values[total] + 1000 * seconds * delayed,
                active: values[active] + RATE * late.share * seconds,
            }

        world.monitor.altered = altered
        return late

    return installed


def failing(world: FaultyWorld) -> Accrued:
    """Pods count a part of what they answer as failed."""
    done, failed = "model_infer_request_success_total", "model_infer_request_failure_total"
    wrong = Accrued(2 * MAX_REPLICAS)

    def altered(kind: int, rows: Ints, values: Values) -> Values:
        if kind != PODS:
            return values
        part = wrong.of(rows, values[done])
        return values | {done: values[done] - part, failed: values[failed] + part}

    world.monitor.altered = altered
    return wrong


def slow_downstream(world: FaultyWorld, per_second: float = 12.0) -> None:
    """What all pods call answers no more than so many a second, however many ask."""
    world.slow(max(1.0, world.services[STABLE].pods.ready / (per_second * WORK_SECONDS)))


def with_rival(world: FaultyWorld) -> None:
    """A HorizontalPodAutoscaler at 60% of what the pods are busy."""
    world.rival = Peer(
        PEERS["hpa-utilization"](0.6, 300.0, 1, MAX_REPLICAS, WORK_SECONDS), world.scrape_seconds
    )


def rival_decides(world: FaultyWorld) -> None:
    if world.rival is not None and world.now % world.rival.period_seconds == 0:
        world.govern(STABLE, world.rival)


def alone(world: FaultyWorld) -> None:
    world.rival = None


def percent(percent: int) -> Callable[[FaultyWorld], None]:
    objective = {"thresholdMilliseconds": round(1000 * OBJECTIVE_SECONDS), "percent": percent}
    return lambda world: world.edit(STABLE, objective=objective)


def nothing(_: FaultyWorld) -> None:
    pass

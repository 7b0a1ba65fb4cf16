"""What replicas carry at a constant rate behind a gateway, found by trying."""

from __future__ import annotations

from functools import cache

import numpy as np

from loadtests.bounds.cost import Floats
from loadtests.bounds.curve import Curve, Late, measured
from loadtests.simulator.batched import Sizes
from loadtests.simulator.requests import Count, Requests, Routing
from loadtests.simulator.scrapes import Received
from loadtests.simulator.service import Load, offer

TRIED_REQUESTS = 100_000
"""By so many it is found what replicas carry at a constant rate."""
ROUTINGS = {
    "least-request": Routing.LEAST_REQUEST,
    "round-robin": Routing.ROUND_ROBIN,
    "pooled": Routing.POOLED,
}


@cache
def curve_of(work_seconds: float, objective: float, variation: float, routing: str, allowed: float) -> Curve:
    """What replicas carry behind a gateway, found by trying; `objective` in mean times of work.

    `allowed` is late beyond what is so by its work alone, whoever serves it.
    """
    return measured(late_of(work_seconds, objective, variation, routing), 1 / work_seconds, allowed)


@cache
def late_of(work_seconds: float, objective: float, variation: float, routing: str) -> Late:
    """What is late at a constant rate, beyond what is so by its work alone; each number of replicas and rate is tried once."""
    load = Load(np.zeros(1), 1.0, work_seconds, variation**2)
    random = np.random.default_rng(1)
    sizes, gaps = load.sizes(random, TRIED_REQUESTS), random.exponential(1.0, TRIED_REQUESTS)
    unavoidable = float((sizes[0] > objective * work_seconds).mean())

    @cache
    def late(replicas: int, rate: float) -> float:
        times = np.cumsum(gaps) / rate
        tried = Requests(replicas, objective * work_seconds, routing=ROUTINGS[routing])
        return late_share(tried, times, sizes, tried.timeout_seconds) - unavoidable

    return late


def late_share(tried: Received, times: Floats, sizes: Sizes, timeout_seconds: float) -> float:
    """Fraction of these requests that is late with all of its pods ready from the begin on."""
    for pod in range(tried.slots):
        tried.start(pod, 0.0)
    offer(tried, times, sizes, float(times[-1] + timeout_seconds))
    return float(tried.counts[Count.LATE] / len(times))

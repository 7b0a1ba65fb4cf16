"""Requests through gateway and pods: what queueing theory says must come out."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.simulator.requests import Count, Requests, Routing

WORK_SECONDS = 0.1


def offered(rate: float, seconds: float, variability: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Poisson arrivals and log-normal work with this squared coefficient of variation."""
    random = np.random.default_rng(seed)
    times = np.cumsum(random.exponential(1 / rate, int(rate * seconds)))
    spread = np.sqrt(np.log1p(variability))
    return times, random.lognormal(np.log(WORK_SECONDS) - spread**2 / 2, spread, len(times))


def served(requests: Requests, pods: int, times: np.ndarray, work: np.ndarray) -> Requests:
    """All of them, by so many pods."""
    for pod in range(pods):
        requests.start(pod, 0.0)
    requests.advance(times, work, times[-1] + 1000)
    return requests


@pytest.mark.parametrize("routing", list(Routing))
def test_every_request_is_counted_once(routing: Routing) -> None:
    """What is offered is dispatched or refused; what is dispatched is answered or timed out, and worked off."""
    times, work = offered(60, 20, 0.25)
    found = served(Requests(8, 0.5, timeout_seconds=1.0, routing=routing), 4, times, work)
    counts = found.counts
    assert counts[Count.OFFERED] == len(times)
    assert (
        counts[Count.OFFERED] == counts[Count.DISPATCHED] + counts[Count.UNROUTED] + counts[Count.OVERFLOWN]
    )
    assert found.in_flight == 0
    assert counts[Count.TIMED_OUT] > 0
    assert found.done.sum() == counts[Count.DISPATCHED]
    assert counts[Count.LATE] == counts[Count.OFFERED] - counts[Count.ON_TIME]


def test_one_pod_waits_as_pollaczek_and_khinchin_say() -> None:
    """Mean response of M/G/1: S + rho S (1 + cv²) / (2 (1 - rho))."""
    times, work = offered(6, 4000, 0.25)
    found = served(Requests(1, 0.5, timeout_seconds=1000), 1, times, work)
    mean = found.answer_seconds[0] / found.counts[Count.RESPONDED]
    assert mean == pytest.approx(WORK_SECONDS * (1 + 0.6 * 1.25 / (2 * 0.4)), rel=0.05)


@pytest.mark.parametrize(
    ("routing", "utilization"),
    [
        (Routing.POOLED, 0.68),
        (Routing.LEAST_REQUEST, 0.65),
        (Routing.TWO_CHOICES, 0.60),
        (Routing.ROUND_ROBIN, 0.61),
    ],
)
def test_routing_decides_what_two_pods_carry(routing: Routing, utilization: float) -> None:
    """About 1% are later than five times their mean work at the utilization that is safe behind each routing."""
    times, work = offered(utilization * 2 / WORK_SECONDS, 4000, 0.25)
    found = served(Requests(2, 5 * WORK_SECONDS, routing=routing), 2, times, work)
    assert 0.006 <= found.counts[Count.LATE] / len(times) <= 0.016


def test_a_stopped_pod_works_off_what_it_holds() -> None:
    """It gets nothing more, and nothing of it is lost."""
    requests = Requests(2, 0.5)
    requests.start(0, 0.0)
    requests.advance(np.zeros(5), np.full(5, 1.0), 0.5)
    requests.start(1, 0.5)
    requests.stop(0)
    requests.advance(np.array([0.6]), np.array([1.0]), 10.0)
    assert list(requests.done) == [5, 1]
    assert requests.free_at[0] == 5.0


def test_without_a_pod_or_beyond_its_queue_requests_are_refused() -> None:
    """Each is told apart, and late."""
    requests = Requests(1, 0.5)
    requests.advance(np.array([1.0]), np.array([1.0]), 2.0)
    requests.start(0, 2.0)
    requests.advance(np.full(600, 3.0), np.full(600, 1.0), 3.5)
    assert requests.counts[Count.UNROUTED] == 1
    assert requests.counts[Count.OVERFLOWN] == 600 - 512
    assert requests.counts[Count.LATE] == 601
    assert requests.in_flight == 512

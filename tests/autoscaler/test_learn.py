"""Time of work, time to start, interval of the scrapes."""

import numpy as np
import pytest

from autoscaler.learn import FirstScrapes, ServiceTime, StartTime, scrape_seconds


@pytest.mark.parametrize("factor", [0.5, 2.0, 4.0])
def test_a_change_of_work_is_noticed_within_two_hundred_requests(factor: float) -> None:
    """After 200 requests of the new kind most of the change is believed."""
    time = ServiceTime().with_requests(0.1, 5000, 600)
    for _ in range(20):
        time = time.with_requests(0.1 * factor, 10, 5)
    assert time.mean_seconds is not None
    moved = (time.mean_seconds - 0.1) / (0.1 * factor - 0.1)
    assert moved > 0.6


def test_few_requests_are_believed_with_a_margin() -> None:
    """The margin shrinks with evidence."""
    few, many = ServiceTime().with_requests(0.1, 20, 10), ServiceTime().with_requests(0.1, 2000, 60)
    assert few.cautious_seconds is not None
    assert many.cautious_seconds is not None
    assert 0.105 < few.cautious_seconds < 0.13
    assert many.cautious_seconds == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize(("requests", "learned"), [(19, False), (20, True)], ids=["too few", "enough"])
def test_learned_takes_own_requests(requests: int, learned: bool) -> None:
    """A prior is never learned; twenty requests of one's own are enough."""
    assert not ServiceTime.prior(0.1).learned
    assert ServiceTime.prior(0.1).with_requests(0.2, requests, 10).learned is learned


@pytest.mark.parametrize(
    ("beyond", "bound", "low", "high", "why"),
    [
        (0.0, 0.15, 0.01, 0.1, "nothing beyond 1.5 means: steadier than the prior"),
        (0.2, 0.2, 0.3, 2.5, "a fifth beyond two means: wilder than the prior"),
        (0.0, 1.0, 0.25, 0.25, "nothing beyond ten means: says nothing"),
    ],
)
def test_variability_follows_the_tail(beyond: float, bound: float, low: float, high: float, why: str) -> None:
    """The shape is moved only where the tail refutes the prior."""
    time = ServiceTime().with_requests(0.1, 2000, 100).with_tail(bound, beyond, 2000)
    assert low <= time.variability <= high, why


def test_start_time_is_from_the_write_to_ready() -> None:
    """A raise at 100 that is ready at 130 took 30 seconds."""
    start = StartTime().with_replicas(3, 1, 1, 100.0)
    for now, ready in ((105.0, 1), (120.0, 2), (130.0, 3)):
        start = start.with_replicas(3, 3, ready, now)
    assert start.samples_seconds == (30.0,)
    assert start.seconds == 30.0


@pytest.mark.parametrize(
    ("wanted", "now", "why"), [(1, 120.0, "taken back"), (3, 2000.0, "never ready in half an hour")]
)
def test_starts_that_did_not_end_are_no_measure(wanted: int, now: float, why: str) -> None:
    """Nothing is learned from them."""
    start = (
        StartTime().with_replicas(3, 1, 1, 100.0).with_replicas(wanted, 3 if wanted == 1 else wanted, 1, now)
    )
    assert start.rises == (), why
    assert not start.measured


def test_each_rise_of_a_ramp_is_measured() -> None:
    """Also the first of two of which the second is taken back before its replica was Ready."""
    start = StartTime().with_replicas(2, 1, 1, 100.0).with_replicas(3, 2, 1, 110.0)
    start = start.with_replicas(3, 3, 2, 140.0).with_replicas(2, 3, 2, 145.0)
    assert start == StartTime((40.0,))


@pytest.mark.parametrize(
    ("samples", "stated", "hold"),
    [((30.0,), None, 180.0), ((300.0,), None, 300.0), ((2000.0,), None, 600.0), ((30.0,), 20, 20.0)],
)
def test_hold_is_the_start_time_within_bounds(
    samples: tuple[float, ...], stated: int | None, hold: float
) -> None:
    """An idle replica is kept about as long as a new one takes, unless the user says otherwise."""
    assert StartTime(samples).hold_seconds(stated) == hold


@pytest.mark.parametrize(
    ("settled", "young", "before", "found", "why"),
    [
        ([12.0, 4.0], [1.0], 5.0, 15.0, "the slowest settled target"),
        ([], [60.0], 15.0, 15.0, "a young target with one sample proves nothing"),
        ([], [30.0, 10.0], 15.0, 10.0, "the young one that is known to be scraped most often"),
        ([], [], 7.0, 7.0, "nobody: as before"),
    ],
)
def test_scrape_interval(
    settled: list[float], young: list[float], before: float, found: float, why: str
) -> None:
    """The interval is measured."""
    assert scrape_seconds(settled, young, before) == pytest.approx(found), why


@pytest.mark.parametrize(
    ("newest_at", "count", "interval", "why"),
    [
        (110.0, 3.0, None, "two more samples may be two pods that were scraped at different moments"),
        (115.0, 4.0, 5.0, "three more in fifteen seconds"),
        (190.0, 7.0, 15.0, "six more in ninety seconds"),
        (145.0, 1.0, None, "no more: the minute was full from the start"),
    ],
)
def test_the_first_samples_tell_the_interval(
    newest_at: float, count: float, interval: float | None, why: str
) -> None:
    """While a new target's minute fills, the samples that are added tell their interval."""
    assert FirstScrapes(100.0, 1.0).interval_seconds(newest_at, count) == interval, why


def test_means_are_weighted_by_requests() -> None:
    """Ten slow requests among thirty fast ones."""
    time = ServiceTime().with_requests(0.1, 30, 10).with_requests(0.2, 10, 10)
    assert time.mean_seconds is not None
    assert np.isclose(time.mean_seconds, 0.125, rtol=1e-3)

"""The model of replicas and queue, by hand."""

from __future__ import annotations

import pytest

from autoscaler.replay.model import Deployment, Load, Recent, Span, late_share, mean

LOAD = Load(rate=5.0, service_seconds=0.1, variability=0.25, threshold_seconds=0.5)
"""Half of what one replica can do."""


def at(rate: float) -> Load:
    """The same with another rate."""
    return Load(rate, 0.1, 0.25, 0.5)


def test_replicas_serve_one_start_time_after_they_were_asked_for() -> None:
    """And count from when they were asked for."""
    asked = Deployment(1, 1, now=100.0).scaled(3, 45.0)
    assert (asked.wanted, asked.ready, asked.starting) == (3, 1, (145.0, 145.0))
    before, _ = asked.advanced(144.0, LOAD)
    after, _ = before.advanced(146.0, LOAD)
    assert (before.ready, after.ready, after.starting) == (1, 3, ())


def test_those_that_start_go_first() -> None:
    """Then ready ones."""
    some = Deployment(4, 2, (10.0, 20.0))
    assert some.scaled(3, 45.0).starting == (10.0,)
    assert (some.scaled(1, 45.0).ready, some.scaled(1, 45.0).starting) == (1, ())
    assert some.scaled(4, 45.0) == some


def test_a_replica_that_keeps_up_is_late_as_the_queueing_model_has_it() -> None:
    """Nothing queues; more load, more late."""
    after, easy = Deployment(1, 1).advanced(10.0, at(2.0))
    _, busy = Deployment(1, 1).advanced(10.0, at(8.0))
    assert after.queue == 0.0
    assert 0 <= easy.late_ratio < 0.01 < busy.late_ratio < 0.5
    assert easy.busy_ratio == pytest.approx(0.2)
    assert easy.in_flight == pytest.approx(0.2, abs=0.05)
    assert easy.completed == pytest.approx(2.0)


def test_overload_queues_and_drains() -> None:
    """20/s on one replica that does 10/s: 100 more after ten seconds; four replicas work them off in five."""
    full, span = Deployment(1, 1).advanced(10.0, at(20.0))
    assert (full.queue, span.queued, span.completed, span.busy_ratio) == pytest.approx((100, 100, 10, 1))
    assert span.late_ratio > 0.9
    four = Deployment(4, 4, queue=100.0, now=10.0)
    half, draining = four.advanced(12.0, at(20.0))
    assert half.queue == pytest.approx(60.0)
    assert draining.late_ratio == 1.0
    empty, _ = half.advanced(20.0, at(20.0))
    _, settled = empty.advanced(22.0, at(20.0))
    assert empty.queue == 0.0
    assert settled.late_ratio < 0.2


def test_nobody_waits_for_ever() -> None:
    """Without replicas all are late, and the queue holds a minute's arrivals at most."""
    alone, span = Deployment(0, 0).advanced(1000.0, LOAD)
    assert span.late_ratio == 1.0
    assert alone.queue == 60 * 5.0


def test_windows_are_weighted_by_time() -> None:
    """And late shares by requests."""

    def span(end: float, seconds: float, arrived: float, late: float) -> Span:
        return Span(end, seconds, arrived, arrived, late, 0.0, 0.0, 0.0, 0.1, 1)

    recent = Recent()
    for one in (span(10, 10, 1.0, 0.0), span(15, 5, 4.0, 0.5), span(30, 15, 2.0, 0.0)):
        recent = recent.with_span(one, 600.0)
    assert mean(recent.over(20.0), "arrived") == pytest.approx((5 * 4 + 15 * 2) / 20)
    assert late_share(recent.over(600.0)) == pytest.approx(10 / 60)
    assert late_share(()) == 0.0
    assert Recent().over(10.0) == ()
    assert len(recent.with_span(span(700, 15, 1, 0), 600.0).spans) == 1

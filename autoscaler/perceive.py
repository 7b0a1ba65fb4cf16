"""What one tick sees of each target, and learns of its work; waiting is taken out of the times of all at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from autoscaler.capacity import service_time_from_sojourn
from autoscaler.contention import Contention
from autoscaler.demand import GATEWAY_MEMORY_SECONDS, LONGEST_COVERED, Coverage
from autoscaler.learn import FAILED_RATIO_LIMIT, FirstScrapes, ServiceTime
from autoscaler.signals.expected import Expectation
from autoscaler.signals.observe import Observation, bounds_around, observe
from autoscaler.signals.queries import Windows
from autoscaler.signals.views import Gate, Signals, View
from autoscaler.state import TargetState
from autoscaler.targets import Target
from autoscaler.values import changed

SATURATED: Final = 0.93
"""Busy share of the replicas from which completions say nothing about the demand."""
SATURATED_GROWTH: Final = 1.5
"""Demand is then taken for so many times the completions."""
FULL_MINUTE: Final = 0.6
"""Share of the samples of a minute below which some are taken to be missing."""
QUIET_SECONDS, QUIET_PER_REPLICA = 30.0, 2.0
"""When means that include waiting teach about the work: so long, and all of their window, so few in flight."""


@dataclass(frozen=True)
class Lesson:
    """What a target's requests say of its work: their mean time, as reported, and how many they were."""

    target: Target
    view: View
    mean_seconds: float
    completions: float
    """Requests per second."""


def perceive(
    targets: Sequence[Target],
    before: Mapping[str, TargetState],
    signals: Signals,
    windows: Windows,
    elapsed: float,
    now: float,
) -> tuple[dict[str, TargetState], dict[str, Observation]]:
    """See all targets, and learn from them; by uid, as `before`."""
    kept: dict[str, TargetState] = {}
    seen: dict[str, Observation] = {}
    lessons: list[Lesson] = []
    for target in targets:
        uid = target.uid
        kept[uid], seen[uid] = _see(target, before[uid], signals, windows, elapsed, now)
        if elapsed > 0 and (lesson := _lesson(target, kept[uid], seen[uid], windows, now)) is not None:
            lessons.append(lesson)
    for lesson, work_seconds in zip(lessons, _work(lessons, kept), strict=True):
        uid = lesson.target.uid
        state = kept[uid]
        kept[uid] = changed(
            state,
            service=_learned(state.service, lesson, work_seconds, elapsed),
            contention=_contended(state, lesson, windows, elapsed, now),
        )
    for target in targets:
        kept[target.uid] = _with_own_rates(target, kept[target.uid], seen[target.uid], windows, now)
    return kept, seen


def _see(
    target: Target, before: TargetState, signals: Signals, windows: Windows, elapsed: float, now: float
) -> tuple[TargetState, Observation]:
    workload = target.workload
    assert workload is not None
    ready_since = _since(before.ready_since, workload.ready > 0, now)
    served_since = before.served_since
    if served_since is None and workload.ready > 0:
        # Ready already when it was first seen: it may have been so for as long as it exists.
        served_since = workload.created if before.replicas is None else now - elapsed
    settled = workload.ready == workload.wanted == (before.replicas or workload.wanted) and workload.ready > 0
    expected = Expectation(
        ready_replicas=workload.ready,
        ready_for_seconds=now - ready_since if ready_since is not None else 0.0,
        gateway=target.weight_percent > 0
        and before.gateway_seen_at is not None
        and now - before.gateway_seen_at <= GATEWAY_MEMORY_SECONDS,
        weight_percent=target.weight_percent,
        route=target.route,
    )
    threshold = target.spec.objective.threshold_milliseconds / 1000
    observation = observe(signals, target.key, target.profile, expected, threshold, windows.base)
    in_flight = _account(target, observation).in_flight
    quiet = settled and (in_flight is None or in_flight <= QUIET_PER_REPLICA * workload.ready)
    state = changed(
        before,
        start=before.start.with_replicas(
            workload.wanted,
            before.replicas if before.replicas is not None else workload.wanted,
            workload.ready,
            now,
        ),
        replicas=workload.wanted,
        ready_since=ready_since,
        served_since=served_since,
        first_scrapes=before.first_scrapes or _first_scrapes(target, signals),
        settled_since=_since(before.settled_since, settled, now),
        quiet_since=_since(before.quiet_since, quiet, now),
        gateway_seen_at=now if observation.gateway.sampled_at is not None else before.gateway_seen_at,
        **_sampled(target, before, observation, signals),
        complete_since=_since(before.complete_since, not observation.blind, now),
    )
    return state, observation


def _since(before: float | None, holds: bool, now: float) -> float | None:
    """Since when something holds without a break."""
    if not holds:
        return None
    return before if before is not None else now


def _sampled(
    target: Target, before: TargetState, observation: Observation, signals: Signals
) -> dict[str, Any]:
    """Since when samples come without a gap. Samples that were only late fill it: then there are as many as ever."""
    newest, sampled_since = observation.sampled_at, before.sampled_since
    freshness, count = signals.freshness, signals.samples_per_minute(target.key)
    if newest is not None and before.sampled_at is not None:
        resumed = before.unsampled and newest - before.sampled_at > freshness.stale_seconds
        if resumed and count is not None and count * freshness.scrape_seconds < 60 * FULL_MINUTE:
            sampled_since = newest - freshness.scrape_seconds / 2  # so far before it a rate is extrapolated
        newest = max(newest, before.sampled_at)
    unsampled = any(view.gate is Gate.STALE or view.reason == "NoSeries" for view in observation.views)
    return {"sampled_at": newest or before.sampled_at, "sampled_since": sampled_since, "unsampled": unsampled}


def _account(target: Target, observation: Observation) -> View:
    """The account that times of work are read from."""
    return observation.gateway if target.profile.source == "gateway" else observation.pods


def _first_scrapes(target: Target, signals: Signals) -> FirstScrapes | None:
    at, count = signals.scraped_at(target.key), signals.samples_per_minute(target.key)
    return None if at is None or count is None else FirstScrapes(at, count)


def _lesson(
    target: Target, state: TargetState, observation: Observation, windows: Windows, now: float
) -> Lesson | None:
    """None where what was seen says nothing about the work."""
    workload, view = target.workload, _account(target, observation)
    if workload is None or not view.gate.usable or view.work_seconds is None:
        return None
    if workload.ready < 1 or observation.failed_ratio > FAILED_RATIO_LIMIT or view.completions <= 0:
        return None
    covered = windows.fast / Coverage.of([state], windows, now).fast
    if target.profile.durations == "sojourn":
        patience = max(QUIET_SECONDS, windows.fast)
        if state.service.learned and (state.quiet_since is None or now - state.quiet_since < patience):
            return None  # the mean still holds a queue from the time of fewer replicas
        if covered >= LONGEST_COVERED:
            return None  # of too few completions all of the stay looks like work
    return Lesson(target, view, view.work_seconds, view.completions * covered)


def _work(lessons: Sequence[Lesson], kept: Mapping[str, TargetState]) -> list[float]:
    """Mean seconds of work behind each: where the mean holds waiting, without it."""
    work_seconds = [lesson.mean_seconds for lesson in lessons]
    rows = [row for row, one in enumerate(lessons) if one.target.profile.durations == "sojourn"]
    if rows:
        stays = [lessons[row] for row in rows]
        found = service_time_from_sojourn(
            np.array([one.mean_seconds for one in stays]),
            np.array([one.completions for one in stays]),
            np.array([one.target.workload.ready if one.target.workload else 0 for one in stays]),
            np.array([kept[one.target.uid].service.variability for one in stays]),
        )
        for row, seconds in zip(rows, found, strict=True):
            work_seconds[row] = float(seconds)
    return work_seconds


def _learned(service: ServiceTime, lesson: Lesson, work_seconds: float, elapsed: float) -> ServiceTime:
    if not math.isfinite(work_seconds) or work_seconds <= 0:
        return service
    requests, view, target = lesson.completions * elapsed, lesson.view, lesson.target
    service = service.with_requests(work_seconds, requests, elapsed)
    threshold = target.spec.objective.threshold_milliseconds / 1000
    below, _ = bounds_around(view.within, threshold)
    # Of the answer that the bound is of: another one may be of another moment, or of another of two Prometheus.
    counted = view.arrivals_base if view.responses is None else view.responses
    if target.profile.durations == "service" and below is not None and counted > 0:
        beyond = min(max(1 - view.within[below] / counted, 0.0), 1.0)
        service = service.with_tail(below, beyond, requests)
    return service


def _contended(
    state: TargetState, lesson: Lesson, windows: Windows, elapsed: float, now: float
) -> Contention:
    """Whether more replicas are in vain: of pure times of work only, for those with waiting fall where replicas are added."""
    workload, contention = lesson.target.workload, state.contention
    if workload is None or lesson.target.profile.durations != "service":
        return contention
    requests = lesson.completions * windows.fast
    return contention.with_work(
        now,
        elapsed,
        workload.ready,
        lesson.mean_seconds,
        state.service.mean_seconds or 0.0,
        requests,
        state.service.variability,
        windows.fast,
    )


def _with_own_rates(
    target: Target, state: TargetState, observation: Observation, windows: Windows, now: float
) -> TargetState:
    """This target's requests per second in both windows; while it is blind, the last that were known."""
    if not observation.usable:
        return changed(state, own_fast=state.own_base)
    # After a gap in the samples a rate is over all of its window, and what it counts over what there is of it.
    sampled = max(now - state.sampled_since, windows.fast / LONGEST_COVERED)
    fast = observation.arrivals_now * max(windows.fast / sampled, 1.0)
    base = observation.arrivals_base * max(windows.base / sampled, 1.0)
    if not observation.gateway.gate.usable and _saturated(target, fast, state.service.mean_seconds):
        # The pods alone count what they complete: at saturation that is their capacity, not the demand.
        fast, base = fast * SATURATED_GROWTH, max(base, fast * SATURATED_GROWTH)
    if observation.blind:
        fast, base = max(fast, state.own_base), max(base, state.own_base)
    return changed(state, own_fast=fast, own_base=base)


def _saturated(target: Target, rate: float, service_seconds: float | None) -> bool:
    """Whether the ready replicas have no time left, as far as pure times of work tell."""
    workload = target.workload
    if workload is None or workload.ready < 1 or service_seconds is None:
        return False
    return target.profile.durations == "service" and rate * service_seconds / workload.ready > SATURATED

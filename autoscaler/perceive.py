"""What one tick sees of each target, and learns of its work."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from autoscaler.crowd import crowd_after
from autoscaler.demand import GATEWAY_MEMORY_SECONDS, USUAL_STARTS
from autoscaler.learn import FirstScrapes
from autoscaler.lessons import Lesson, account, lesson_of, taught, work_behind
from autoscaler.sampled import Sampled
from autoscaler.signals.expected import Expectation
from autoscaler.signals.observe import NOTHING_MISSING, Missing, Observation, observe
from autoscaler.signals.queries import Windows
from autoscaler.signals.views import Signals
from autoscaler.state import TargetState
from autoscaler.targets import Target
from autoscaler.values import changed

SATURATED: Final = 0.93
"""Busy share of the replicas from which completions say nothing about the demand."""
SATURATED_GROWTH: Final = 1.5
"""Demand is then taken for so many times the completions."""


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
        lesson = lesson_of(target, kept[uid], seen[uid], windows, elapsed, now) if elapsed > 0 else None
        lessons += [] if lesson is None else [lesson]
    for lesson, work_seconds in zip(lessons, work_behind(lessons, kept), strict=True):
        uid = lesson.target.uid
        kept[uid] = taught(kept[uid], lesson, work_seconds, windows, elapsed, now)
    for target in targets:
        kept[target.uid] = _with_own_rates(target, kept[target.uid], seen[target.uid])
    return kept, seen


def _see(
    target: Target, before: TargetState, signals: Signals, windows: Windows, elapsed: float, now: float
) -> tuple[TargetState, Observation]:
    workload = target.workload
    assert workload is not None
    ready_since = _since(before.ready_since, workload.ready > 0, now)
    settled = workload.ready == workload.wanted == (before.replicas or workload.wanted) and workload.ready > 0
    incomplete_since = _since(before.incomplete_since, 0 < workload.ready < workload.wanted, now)
    # So late that they are missing for another reason than their start, and those that are there are all there are.
    stuck = incomplete_since is not None and now - incomplete_since > USUAL_STARTS * before.start.seconds
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
    sampled, at_gateway = _sampled(before, observation, signals, target)
    missing = Missing(at_gateway.missing(windows, now), sampled.missing(windows, now))
    if missing != NOTHING_MISSING:
        observation = changed(observation, missing=missing)
    served_since = before.served_since
    # A gateway counts requests also where no pod is left to answer them.
    if served_since is None and (workload.ready > 0 or observation.gateway.arrivals_base > 0):
        # So already when it was first seen: it may have been so for as long as it exists.
        served_since = workload.created if before.replicas is None else now - elapsed
    view = account(target, observation)
    crowd = crowd_after(
        before.crowd,
        now,
        workload.ready,
        view.in_flight,
        view.unanswered,
        view.completions,
        before.service.mean_seconds or math.inf,
        windows.fast,
    )
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
        incomplete_since=incomplete_since,
        quiet_since=_since(before.quiet_since, (settled or stuck) and crowd is None, now),
        crowd=crowd,
        contention=before.contention.relieved(now),
        gateway_seen_at=now if observation.gateway.sampled_at is not None else before.gateway_seen_at,
        gateway_since=_since(before.gateway_since, observation.gateway.sampled_at is not None, now),
        sampled=sampled,
        sampled_at_gateway=at_gateway,
        complete_since=_since(before.complete_since, not observation.blind, now),
    )
    return state, observation


def _since(before: float | None, holds: bool, now: float) -> float | None:
    """Since when something holds without a break."""
    if not holds:
        return None
    return before if before is not None else now


def _sampled(
    before: TargetState, observation: Observation, signals: Signals, target: Target
) -> tuple[Sampled, Sampled]:
    """What is known of the samples at the pods and at the gateway."""
    gateway, at_gateway = observation.gateway, before.sampled_at_gateway
    sampled = before.sampled.seeing(
        observation.pods, signals.samples_per_minute(target.key), signals.freshness
    )
    # What is rare by itself is no gap, so that first the interval has to be known.
    if signals.gateway_is_known:
        at_gateway = at_gateway.seeing(gateway, gateway.samples_per_minute, signals.freshness_at_gateway)
    return sampled, at_gateway


def _first_scrapes(target: Target, signals: Signals) -> FirstScrapes | None:
    at, count = signals.scraped_at(target.key), signals.samples_per_minute(target.key)
    return None if at is None or count is None else FirstScrapes(at, count)


def _with_own_rates(target: Target, state: TargetState, observation: Observation) -> TargetState:
    """This target's requests per second in both windows; while it is blind, the last that were known."""
    if not observation.usable:
        return changed(state, own_fast=state.own_base)
    fast, base = observation.arrivals_now, observation.arrivals_base
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

"""Demand of each target and each service: seen, learned from, summed over revisions, looked ahead."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from autoscaler import status as statuses
from autoscaler.capacity import service_time_from_sojourn
from autoscaler.experience import experienced
from autoscaler.forecast import Forecast, forecast
from autoscaler.learn import (
    FAILED_RATIO_LIMIT,
    FEWEST_REQUESTS,
    PRIOR_PESSIMISM,
    FirstScrapes,
    ServiceTime,
    StartTime,
)
from autoscaler.signals.observe import Observation, bounds_around, observe
from autoscaler.signals.queries import Windows
from autoscaler.signals.views import Expectation, Signals, View
from autoscaler.state import LoopState, TargetState
from autoscaler.targets import Target

GATEWAY_MEMORY_SECONDS: Final = 600.0
"""For which a gateway's account that has vanished is missed; then its route is taken for removed."""
SATURATED: Final = 0.93
"""Busy share of the replicas from which completions say nothing about the demand."""
SATURATED_GROWTH: Final = 1.5
"""Demand is then taken for so many times the completions."""
UP_BAND, DOWN_BAND, SERVICE_BAND = 0.03, 0.10, 0.05
"""Fractions by which demand must rise or fall, and work change, before numbers move."""
LONGEST_COVERED: Final = 2.0
"""Windows per span with requests: `Coverage` counts no shorter spans, so that rates at it are too low."""
QUIET_SECONDS, QUIET_PER_REPLICA = 30.0, 2.0
"""When means that include waiting teach about the work: so long, and all of their window, so few in flight."""
DECISION_SECONDS: Final = 5.0
"""From a change of demand to the decision that sees it: about a tick."""


@dataclass(frozen=True)
class Coverage:
    """Seconds of the two windows in which there were requests to count: a rate is over all of its window."""

    fast: float
    base: float

    @classmethod
    def of(cls, states: Iterable[TargetState], windows: Windows, now: float) -> Coverage:
        """Since the first of these served. At least half the fast window: of one sample no rate can be told."""
        since = min((state.served_since for state in states if state.served_since is not None), default=now)
        seconds = max(now - since, windows.fast / LONGEST_COVERED)
        return cls(min(seconds, windows.fast), min(seconds, windows.base))


def first_seen(target: Target, targets: Sequence[Target], state: LoopState, now: float) -> TargetState:
    """Start from what the status remembers, else from what another revision of the service has learned."""
    learned = statuses.previous(target).get("learned") or {}
    siblings = [state.targets[uid] for uid in target.members if uid in state.targets]
    fresh = TargetState(first_seen=now)
    if siblings:
        oldest = siblings[0]
        fresh = TargetState(
            first_seen=now,
            service=ServiceTime.prior(oldest.service.mean_seconds, PRIOR_PESSIMISM),
            start=StartTime(oldest.start.samples_seconds),
            history=oldest.history,
            expected=oldest.expected,
            level=oldest.level,
            expected_band=oldest.expected_band,
            complete_since=oldest.complete_since,
            asked=oldest.asked,
            came=oldest.came,
            surprises=oldest.surprises,
            seasons=oldest.seasons,
            seasonal=oldest.seasonal,
            stand_by=oldest.stand_by,
        )
    if milliseconds := learned.get("serviceTimeMilliseconds"):
        known = ServiceTime.prior(milliseconds / 1000)
        fresh = replace(fresh, service=replace(known, observed=float(FEWEST_REQUESTS)))
    if started := learned.get("startTimeSeconds"):
        fresh = replace(fresh, start=StartTime((float(started),)))
    workload = target.workload
    if workload is not None and workload.ready < workload.wanted:
        fresh = replace(fresh, start=fresh.start.waiting_since(workload.created, workload.wanted))
    return fresh


def perceive(
    target: Target, before: TargetState, signals: Signals, windows: Windows, elapsed: float, now: float
) -> tuple[TargetState, Observation]:
    """See one target, and learn from it."""
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
        weighted=target.weight_percent > 0,
    )
    threshold = target.spec.objective.threshold_milliseconds / 1000
    observation = observe(signals, target.key, target.profile, expected, threshold, windows.base)
    state = replace(
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
        gateway_seen_at=now if observation.gateway.sampled_at is not None else before.gateway_seen_at,
        complete_since=_since(before.complete_since, not observation.blind, now),
    )
    account = observation.gateway if target.profile.source == "gateway" else observation.pods
    quiet = settled and (account.in_flight is None or account.in_flight <= QUIET_PER_REPLICA * workload.ready)
    state = replace(state, quiet_since=_since(before.quiet_since, quiet, now))
    state = replace(
        state, service=_learn(target, state, account, observation.failed_ratio, windows, elapsed, now)
    )
    return _with_own_rates(target, state, observation), observation


def _since(before: float | None, holds: bool, now: float) -> float | None:
    """Since when something holds without a break."""
    if not holds:
        return None
    return before if before is not None else now


def _first_scrapes(target: Target, signals: Signals) -> FirstScrapes | None:
    at, count = signals.scraped_at(target.key), signals.samples_per_minute(target.key)
    return None if at is None or count is None else FirstScrapes(at, count)


def _learn(
    target: Target,
    state: TargetState,
    view: View,
    failed_ratio: float,
    windows: Windows,
    elapsed: float,
    now: float,
) -> ServiceTime:
    service, workload = state.service, target.workload
    if workload is None or not view.gate.usable or view.work_seconds is None or elapsed <= 0:
        return service
    if workload.ready < 1 or failed_ratio > FAILED_RATIO_LIMIT or view.completions <= 0:
        return service
    windows_covered = windows.fast / Coverage.of([state], windows, now).fast
    completions = view.completions * windows_covered
    requests = completions * elapsed
    mean = view.work_seconds
    if target.profile.durations == "sojourn":
        patience = max(QUIET_SECONDS, windows.fast)
        if service.learned and (state.quiet_since is None or now - state.quiet_since < patience):
            return service  # the mean still holds a queue from the time of fewer replicas
        if windows_covered >= LONGEST_COVERED:
            return service  # of too few completions all of the stay looks like work
        mean = float(
            service_time_from_sojourn(
                np.array([mean]),
                np.array([completions]),
                np.array([workload.ready]),
                np.array([service.variability]),
            )[0]
        )
    if not math.isfinite(mean) or mean <= 0:
        return service
    service = service.with_requests(mean, requests, elapsed)
    threshold = target.spec.objective.threshold_milliseconds / 1000
    below, _ = bounds_around(view.within, threshold)
    if target.profile.durations == "service" and below is not None and view.arrivals_base > 0:
        beyond = min(max(1 - view.within[below] / view.arrivals_base, 0.0), 1.0)
        service = service.with_tail(below, beyond, requests)
    return service


def _with_own_rates(target: Target, state: TargetState, observation: Observation) -> TargetState:
    """This target's requests per second in both windows; while it is blind, the last that were known."""
    if not observation.usable:
        return replace(state, own_fast=state.own_base)
    fast, base = observation.arrivals_now, observation.arrivals_base
    if not observation.gateway.gate.usable and _saturated(target, fast, state.service.mean_seconds):
        # The pods alone count what they complete: at saturation that is their capacity, not the demand.
        fast, base = fast * SATURATED_GROWTH, max(base, fast * SATURATED_GROWTH)
    if observation.blind:
        fast, base = max(fast, state.own_base), max(base, state.own_base)
    return replace(state, own_fast=fast, own_base=base)


def _saturated(target: Target, rate: float, service_seconds: float | None) -> bool:
    """Whether the ready replicas have no time left, as far as pure times of work tell."""
    workload = target.workload
    if workload is None or workload.ready < 1 or service_seconds is None:
        return False
    return target.profile.durations == "service" and rate * service_seconds / workload.ready > SATURATED


def project(
    target: Target,
    kept: Mapping[str, TargetState],
    seen: Mapping[str, Observation],
    windows: Windows,
    elapsed: float,
    now: float,
) -> tuple[TargetState, Forecast]:
    """Sum the demand of the service's revisions, look ahead, and hold the highest."""
    state = kept[target.uid]
    members = [uid for uid in target.members if uid in kept]
    covered = Coverage.of((kept[uid] for uid in members), windows, now)
    fast = sum(kept[uid].own_fast for uid in members) * windows.fast / covered.fast
    base = sum(kept[uid].own_base for uid in members)
    horizon = horizon_seconds(state)
    history = state.history.with_rate(now, fast, keep_seconds=3.0 * windows.fast)
    ahead = forecast(fast, base, history, now, covered.fast, horizon)
    blind = any(seen[uid].blind for uid in members)
    # While blind nothing is let go of: the time without data is not time without demand.
    hold = math.inf if blind else state.start.hold_seconds(target.spec.scale_down_hold_seconds)
    expected = state.expected.with_value(now, ahead.expected, hold)
    level = state.level.with_value(now, ahead.level, hold)
    service_band = state.service_band
    if state.service.learned and (cautious := state.service.cautious_seconds) is not None:
        service_band = service_band.following(cautious, SERVICE_BAND, 2 * SERVICE_BAND)
    projected = replace(
        state,
        history=history,
        expected=expected,
        level=level,
        expected_band=state.expected_band.following(expected.highest or 0.0, UP_BAND, DOWN_BAND),
        service_band=service_band,
    )
    seen_seconds = 0.0 if blind else elapsed
    return experienced(target, projected, fast, covered.fast, seen_seconds, horizon, now), ahead


def horizon_seconds(state: TargetState) -> float:
    """How far ahead a decision must look: the start of a pod, and the tick that decides."""
    return state.start.seconds + DECISION_SECONDS

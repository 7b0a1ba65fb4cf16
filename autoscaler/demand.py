"""Demand of each service: summed over its revisions, looked ahead."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from autoscaler import status as statuses
from autoscaler.experience import experienced
from autoscaler.forecast import Forecast, forecast
from autoscaler.learn import (
    FEWEST_REQUESTS,
    PRIOR_PESSIMISM,
    START_LIMIT_SECONDS,
    START_PRIOR_SECONDS,
    ServiceTime,
    StartTime,
)
from autoscaler.signals.observe import Observation
from autoscaler.signals.queries import LONGEST_COVERED, Windows
from autoscaler.state import LoopState, TargetState
from autoscaler.targets import Target, Workload, seconds_of
from autoscaler.values import changed

GATEWAY_MEMORY_SECONDS: Final = 600.0
"""For which a gateway's account that has vanished is missed; then its route is taken for removed."""
UP_BAND, DOWN_BAND, SERVICE_BAND = 0.03, 0.10, 0.05
"""Fractions by which demand must rise or fall, and work change, before numbers move."""
USUAL_STARTS: Final = 3.0
"""Of a rise that is older than so many usual starts, whoever comes anew does not take the rest of it for one."""
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


def first_seen(target: Target, state: LoopState, now: float) -> TargetState:
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
        fresh = changed(fresh, service=replace(known, observed=float(FEWEST_REQUESTS)))
    if started := learned.get("startTimeSeconds"):
        fresh = changed(fresh, start=StartTime((float(started),)))
    workload = target.workload
    if workload is not None and workload.ready < workload.wanted:
        raised_at = _raised_at(target, workload, now)
        if raised_at is not None:
            fresh = changed(fresh, start=fresh.start.waiting_since(raised_at, workload.wanted))
    return fresh


def _raised_at(target: Target, workload: Workload, now: float) -> float | None:
    """When the replicas that are not ready yet were asked for, as status tells it, or by their Deployment's creation. None: unknown."""
    status = statuses.previous(target)
    last = status.get("lastDecision") or {}
    asked = status.get("desiredReplicas") == workload.wanted
    if asked and last.get("previousReplicas", workload.wanted) < workload.wanted:
        at, has = seconds_of(last["time"]), (status.get("reserve") or {}).get("readyReplicas", 0)
        usual = (status.get("learned") or {}).get("startTimeSeconds") or START_LIMIT_SECONDS
        # Ready once, or asked for so long ago: pods are missing for another reason than their start.
        return at if has < workload.wanted and now - at <= USUAL_STARTS * usual else None
    # One that had served before, scaled by whomever, has lost a pod, or all: its age is no start.
    made_together = workload.created >= seconds_of(target.autoscaler.created) - START_PRIOR_SECONDS
    first_start = workload.ready == 0 and made_together and not status.get("learned")
    return workload.created if first_start else None


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
    projected = changed(
        state,
        history=history,
        expected=expected,
        level=level,
        expected_band=state.expected_band.following(expected.highest or 0.0, UP_BAND, DOWN_BAND),
        service_band=service_band,
    )
    seen_seconds = 0.0 if blind else elapsed
    return experienced(target, projected, fast, covered.fast, seen_seconds, horizon, now), ahead


def demand_here(summed: float, weight_percent: int) -> float:
    """A target's part of the demand of its service."""
    return summed * weight_percent / 100


def horizon_seconds(state: TargetState) -> float:
    """How far ahead a decision must look: the start of a pod, and the tick that decides."""
    return state.start.seconds + DECISION_SECONDS

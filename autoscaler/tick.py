"""All of the policy as one function of values: (answers, objects, state, now) → (writes, state, reports)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from autoscaler.budget import by_name, decide_together
from autoscaler.cases import Scene, case_of, with_urgency
from autoscaler.decide import Decision
from autoscaler.demand import first_seen, project
from autoscaler.experience import LONGEST_TICK_SECONDS
from autoscaler.forecast import Forecast
from autoscaler.learn import scrape_seconds
from autoscaler.perceive import perceive
from autoscaler.signals.expected import Freshness
from autoscaler.signals.observe import Observation, bounds_around
from autoscaler.signals.profiles import ENVOY, in_use
from autoscaler.signals.queries import BOUNDS, bounds_question, questions
from autoscaler.signals.views import Answers, Failure, Signals
from autoscaler.state import LoopState, TargetState, known_bounds
from autoscaler.targets import ApiObjects, Target, targets_of
from autoscaler.values import changed
from autoscaler.writes import Scale, Write, conclude, without_decision

GAP_INTERVALS: Final = 1.5
"""Scrape intervals after the newest sample of a target from which on one is taken to be missing."""
BOUNDS_SECONDS: Final = 600.0
"""How often the bounds of the histograms are read."""
BOUNDS_RETRY_SECONDS: Final = 30.0
"""How often while some profile has none: its first series may be minutes away."""


@dataclass(frozen=True)
class Report:
    """The numbers of one target in this tick, for metrics."""

    target: Target
    decision: Decision
    observation: Observation
    arrivals: float
    forecast: float
    service_seconds: float | None
    start_seconds: float | None
    signal_age_seconds: float | None


@dataclass(frozen=True)
class Result:
    """What a tick leads to."""

    writes: Sequence[Write]
    state: LoopState
    reports: Sequence[Report]
    unreadable: Sequence[str] = ()


def ask(objects: ApiObjects, state: LoopState, now: float, matcher: str = "") -> dict[str, str]:
    """The questions of the next tick, at most six whatever the number of targets."""
    targets, _ = targets_of(objects)
    if not targets:
        return {}
    profiles = in_use(target.profile for target in targets)
    wanted: dict[str, set[str]] = {profile.id: set() for profile in profiles}
    thresholds = {
        (target.profile.id, target.spec.objective.threshold_milliseconds / 1000) for target in targets
    }
    for profile in profiles:
        known = known_bounds(state, profile)
        for of, threshold in thresholds:
            if profile.id in (ENVOY.id, of):
                wanted[profile.id] |= {known[b] for b in bounds_around(known, threshold) if b is not None}
    asked = questions(profiles, state.windows, wanted, matcher)
    patience = (
        BOUNDS_SECONDS if all(state.bounds.get(p.id) for p in profiles if p.buckets) else BOUNDS_RETRY_SECONDS
    )
    if state.bounds_read_at is None or now - state.bounds_read_at >= patience:
        asked[BOUNDS] = bounds_question(profiles, matcher)
    return asked


def tick(answers: Answers, objects: ApiObjects, state: LoopState, now: float) -> Result:
    """Decide for all targets at once."""
    targets, unreadable = targets_of(objects)
    targets = [_as_written(target, state.targets.get(target.uid)) for target in targets]
    state = _with_bounds(answers, state, now)
    of_gateway = state.gateway_scrape_seconds
    signals = Signals(
        answers, now, Freshness(state.scrape_seconds), None if of_gateway is None else Freshness(of_gateway)
    )
    elapsed = min(max(now - state.ticked_at, 0.0), LONGEST_TICK_SECONDS) if state.ticked_at else 0.0
    windows = state.windows
    scaled = [target for target in targets if target.workload is not None and target.conflict is None]
    before = {each.uid: state.targets.get(each.uid) or first_seen(each, state, now) for each in scaled}
    kept, seen = perceive(scaled, before, signals, windows, elapsed, now)
    forecasts: dict[str, Forecast] = {}
    for target in scaled:
        kept[target.uid], forecasts[target.uid] = project(target, kept, seen, windows, elapsed, now)
    named, by_uid = by_name(targets), {target.uid: target for target in targets}
    scene = Scene(by_uid, named, kept, seen, forecasts, windows, signals.freshness, now)
    cases = [case_of(target, scene) for target in scaled]
    for row, target in enumerate(scaled):
        kept[target.uid], cases[row] = with_urgency(kept[target.uid], cases[row], windows, now)
    decisions = decide_together(named, scaled, cases)
    writes: list[Write] = []
    reports = []
    for target, case, decision in zip(scaled, cases, decisions, strict=True):
        observation = seen[target.uid]
        kept[target.uid], found = conclude(
            target, kept[target.uid], case, decision, observation, forecasts[target.uid], state, now
        )
        writes += found
        reports.append(_report(target, kept[target.uid], decision, observation, forecasts[target.uid], now))
    for target in targets:
        if target.uid not in kept:
            writes += without_decision(target, now)
    return Result(
        writes,
        replace(
            state,
            targets=kept,
            ticked_at=now,
            scrape_seconds=_scrape_seconds(scaled, kept, signals, state.scrape_seconds, now),
            gateway_scrape_seconds=_gateway_scrape_seconds(scaled, kept, seen, of_gateway, now),
        ),
        reports,
        unreadable,
    )


def with_written(state: LoopState, scaled: Iterable[Scale]) -> LoopState:
    """The state after Deployments have been scaled."""
    targets = dict(state.targets)
    for write in scaled:
        uid, workload = write.target.uid, write.target.workload
        if workload is not None and uid in targets:
            targets[uid] = changed(targets[uid], written=(workload.resource_version, write.replicas))
    return replace(state, targets=targets)


def _as_written(target: Target, before: TargetState | None) -> Target:
    """With the replicas that were written, while the watch tells the Deployment as it was before that."""
    workload = target.workload
    if workload is None or before is None or before.written is None:
        return target
    version, replicas = before.written
    if version != workload.resource_version:
        return target
    return changed(target, workload=changed(workload, wanted=replicas, ours=True))


def _scrape_seconds(
    targets: Sequence[Target], kept: Mapping[str, TargetState], signals: Signals, before: float, now: float
) -> float:
    settled, young = [], []
    for target in targets:
        state, count = kept[target.uid], signals.samples_per_minute(target.key)
        if not count:
            continue
        if state.ready_since is not None and now - state.ready_since >= 60:
            # A minute with a gap tells nothing of the interval, and an interval taken for long makes all windows long.
            newest = signals.scraped_at(target.key)
            goes_on = newest is None or now - newest <= GAP_INTERVALS * before
            since = max(state.sampled.since, state.sampled_at_gateway.since)
            if goes_on and now - since >= 60:
                settled.append(count)
            continue
        young.append(60 / count)
        newest, first = signals.scraped_at(target.key), state.first_scrapes
        if newest is not None and first is not None:
            proven = first.interval_seconds(newest, count)
            young += [] if proven is None else [proven]
    return scrape_seconds(settled, young, before)


def _gateway_scrape_seconds(
    targets: Sequence[Target],
    kept: Mapping[str, TargetState],
    seen: Mapping[str, Observation],
    before: float | None,
    now: float,
) -> float | None:
    counts = []
    for target in targets:
        state, view = kept[target.uid], seen[target.uid].gateway
        if not view.samples_per_minute or view.sampled_at is None or state.gateway_since is None:
            continue
        goes_on = now - view.sampled_at <= GAP_INTERVALS * (before or 60 / view.samples_per_minute)
        if goes_on and now - max(state.gateway_since, state.sampled_at_gateway.since) >= 60:
            counts.append(view.samples_per_minute)
    return scrape_seconds(counts, (), 0.0) if counts else before


def _with_bounds(answers: Answers, state: LoopState, now: float) -> LoopState:
    answer = answers.get(BOUNDS)
    if answer is None or isinstance(answer, Failure):
        return state
    bounds: dict[str, set[str]] = {}
    for sample in answer.samples:
        le, profile = sample.labels.get("le"), sample.labels.get("profile", "")
        if le is not None:
            bounds.setdefault(profile, set()).add(le)
    found = {profile: tuple(sorted(values)) for profile, values in bounds.items()}
    return replace(state, bounds={**state.bounds, **found}, bounds_read_at=now)


def _report(
    target: Target,
    state: TargetState,
    decision: Decision,
    observation: Observation,
    ahead: Forecast,
    now: float,
) -> Report:
    return Report(
        target=target,
        decision=decision,
        observation=observation,
        arrivals=observation.arrivals_now,
        forecast=ahead.expected * target.weight_percent / 100,
        service_seconds=state.service.mean_seconds if state.service.learned else None,
        start_seconds=state.start.seconds if state.start.measured else None,
        signal_age_seconds=None if observation.sampled_at is None else max(now - observation.sampled_at, 0.0),
    )

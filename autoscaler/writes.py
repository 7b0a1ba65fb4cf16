"""What a decision leads to: writes as values, for the shell to send."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from autoscaler import status as statuses
from autoscaler.case import Case
from autoscaler.conditions import Finding, findings
from autoscaler.decide import Decision
from autoscaler.demand import GATEWAY_MEMORY_SECONDS
from autoscaler.forecast import Forecast
from autoscaler.lateness import not_capacity_bound
from autoscaler.signals.observe import Observation, bounds_around, exact_bound
from autoscaler.signals.profiles import BUILT_IN, ENVOY, GATEWAY, Profile
from autoscaler.signals.views import View
from autoscaler.state import LoopState, TargetState, known_bounds
from autoscaler.targets import Target
from autoscaler.values import changed


@dataclass(frozen=True)
class Scale:
    """Set the replicas of a Deployment; with the number that it has, only take the field over."""

    target: Target
    replicas: int
    sentence: str = ""
    hand_over: bool = False


@dataclass(frozen=True)
class Event:
    """Tell people what happened to an InferenceAutoscaler."""

    type: Literal["Normal", "Warning"]
    reason: str
    note: str


@dataclass(frozen=True)
class WriteStatus:
    """Replace the status of an InferenceAutoscaler, then tell of the transitions in it."""

    target: Target
    status: dict[str, Any]
    events: Sequence[Event] = ()


Write = Scale | WriteStatus

_GOOD = ("ScalingActive", "SignalsAvailable")


def conclude(
    target: Target,
    state: TargetState,
    case: Case,
    decision: Decision,
    observation: Observation,
    ahead: Forecast,
    loop: LoopState,
    now: float,
) -> tuple[TargetState, list[Write]]:
    writes: list[Write] = []
    workload = target.workload
    assert workload is not None
    if target.spec.mode == "Auto":
        if not workload.ours:
            # The number that is there: taking the field over changes nothing; what follows is a decision.
            writes.append(Scale(target, workload.wanted, hand_over=True))
        elif decision.desired != workload.wanted:
            writes.append(Scale(target, decision.desired, decision.sentence))
            start = state.start.with_replicas(decision.desired, workload.wanted, workload.ready, now)
            state = changed(state, start=start, replicas=decision.desired)
            if decision.desired < workload.wanted:
                state = changed(state, lowered_at=now)
    numbers = statuses.Numbers(
        service_seconds=state.service.mean_seconds if state.service.learned else None,
        start_seconds=state.start.seconds if state.start.measured else None,
        capacity_per_second=decision.next_carries,
        arrivals=observation.arrivals_now,
        forecast=ahead.expected,
        prepared=case.expected,
    )
    found = findings(
        target,
        observation,
        decision,
        unmeasurable=_unmeasurable(target, observation, state, loop, now),
        not_capacity=not_capacity_bound(case),
        in_vain=case.in_vain_beyond is not None,
        gpu_unseen=case.gpu_unseen,
    )
    due = now >= statuses.fresh_until(target.uid, state.numbers_written_at or state.first_seen)
    wanted = statuses.status_of(target, decision, found, numbers, now, due=due)
    if statuses.worth_writing(target, wanted) or (due and wanted != statuses.previous(target)):
        writes.append(WriteStatus(target, wanted, _events(target, found)))
        state = changed(state, numbers_written_at=now)
    return state, writes


def without_decision(target: Target, now: float) -> list[Write]:
    found = findings(target, None, None, unmeasurable=None, not_capacity=None)
    wanted = statuses.status_of(target, None, found, None, now)
    if not statuses.worth_writing(target, wanted):
        return []
    return [WriteStatus(target, wanted, _events(target, found))]


def _events(target: Target, found: list[Finding]) -> list[Event]:
    return [
        Event(
            "Normal" if (finding.status == "True") == (finding.type in _GOOD) else "Warning",
            finding.reason,
            f"{finding.type} is {finding.status}: {finding.message}",
        )
        for finding in statuses.transitions(target, found)
    ]


def _unmeasurable(
    target: Target, observation: Observation, state: TargetState, loop: LoopState, now: float
) -> Finding | None:
    """Why lateness cannot be counted at the threshold; None where it can, or where that is not known yet."""
    threshold = target.spec.objective.threshold_milliseconds / 1000
    sources: list[tuple[Profile, View]] = []
    if target.profile.id == GATEWAY or (
        state.gateway_seen_at is not None and now - state.gateway_seen_at <= GATEWAY_MEMORY_SECONDS
    ):
        sources.append((ENVOY, observation.gateway))
    if target.profile.durations == "sojourn" and target.profile.id != GATEWAY:
        sources.append((target.profile, observation.pods))
    known = {source.id: known_bounds(loop, source) for source, _ in sources}
    others_have = {source.id: exact_bound(view.lacking, threshold) is not None for source, view in sources}
    if any(exact_bound(known[id], threshold) is not None and not others_have[id] for id in known):
        return None
    sized = "; replicas are sized by the model meanwhile"
    for source, _ in sources:
        if source.buckets and (bounds := known[source.id]):
            missing = f"{source.buckets.name} has no bucket at {1000 * threshold:g} ms"
            remedy = _nearest(bounds, threshold)
            if others_have[source.id]:
                # Of its own histogram only those bounds are known that somebody's threshold asks for.
                remedy = " for this target, as it has for others: set the objective to one that is there"
            return _not_measurable("NoBucket", f"{missing}{remedy}, or add the bucket{sized}")
    if sources:
        return None  # its histogram has not been seen yet
    # A gateway knows no backend that it never sent a request to.
    if target.profile.id in BUILT_IN and state.service.learned:
        return _not_measurable(
            "WaitsNotSeen",
            f"{target.profile.id} does not see requests wait, and no gateway reports this backend: scrape the "
            f"gateway's statistics{sized}",
        )
    return None


def _nearest(bounds: Iterable[float], threshold: float) -> str:
    below, above = bounds_around(bounds, threshold)
    shown = [f"{1000 * b:g} ms" for b in (below, above) if b is not None]
    return f"; the nearest are {' and '.join(shown) or 'none'}: set the objective to one of them"


def _not_measurable(reason: str, message: str) -> Finding:
    return Finding("ObjectiveNotMeasurable", "True", reason, message)

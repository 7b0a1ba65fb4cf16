"""What was counted at the present step, which part of it counts, and how it is written down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from serving_api.names import REVISION_LABEL
from serving_api.rollout import Analysis
from serving_api.status import CanaryStatus, EvidenceStatus, Span
from serving_operator.judge.planner import Plan, plan
from serving_operator.judge.verdict import judge, limits_of
from serving_operator.judge.windows import GRID_SECONDS, Evidence, Finding, Window
from serving_operator.rollout import capacity, missed
from serving_operator.rollout.disrupted import disruption
from serving_operator.rollout.first_seen import watched
from serving_operator.rollout.live import Revision
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State, moment_of, text_of
from serving_operator.world import Manifest

GRID = timedelta(seconds=GRID_SECONDS)
SPANS = 10


def analysis_of(observed: Observed, canary: CanaryStatus) -> Analysis | None:
    """Return how the attempt is judged, as it was recorded at its start; None if a person judges it."""
    if observed.objective_of(canary.revision) is None:
        return None
    return observed.rollout_of(canary.revision).analysis


def counted(observed: Observed, canary: CanaryStatus) -> Evidence | None:
    """Return the evidence of this attempt at this step; what was counted for another one is none."""
    found = observed.world.evidence
    if found is None or found.attempt != canary.id or canary.step_started_at is None:
        return None
    started = moment_of(canary.step_started_at)
    return found if started <= found.started_at < started + GRID else None


def finding(observed: Observed, canary: CanaryStatus) -> Finding | None:
    """Return what the judge says of the present step; None while there is nothing to judge or a source is missing."""
    analysis, found = analysis_of(observed, canary), counted(observed, canary)
    objective = observed.objective_of(canary.revision)
    if analysis is None or objective is None or found is None or found.missing is not None:
        return None
    least = capacity.current_step(observed, canary).minimum_requests or 0
    limits = limits_of(objective.percent, analysis.unacceptable_percent, minimum_requests=least)
    windows = _fair(found, canary.uncounted or (), timedelta(seconds=analysis.window_seconds))
    return judge(windows, limits)


def outlook(observed: Observed, state: State) -> Plan | None:
    """Return what the present step takes at the rate that the autoscaler last measured; None while it knows none.

    No arrivals are no rate: until its first samples the autoscaler says the same.
    """
    canary = state.canary
    assert canary is not None
    analysis, objective = analysis_of(observed, canary), observed.objective_of(canary.revision)
    rates = [_arrivals_per_minute(observed.revision(name)) for name in capacity.live_revisions(state)]
    known = [rate for rate in rates if rate]
    if analysis is None or objective is None or not known:
        return None
    step = capacity.current_step(observed, canary)
    return plan(
        float(f"{sum(known) / 60:.1g}"),  # coarse, because each change of the sentence is a write
        step.weight,
        analysis.window_seconds,
        limits_of(
            objective.percent, analysis.unacceptable_percent, minimum_requests=step.minimum_requests or 0
        ),
        deadline_seconds=analysis.step_deadline_seconds,
    )


def _arrivals_per_minute(revision: Revision) -> int | None:
    decision = ((revision.autoscaler or {}).get("status") or {}).get("lastDecision") or {}
    found: int | None = decision.get("arrivalsPerMinute")
    return found


def _fair(found: Evidence, spans: Sequence[Span], length: timedelta) -> list[Window]:
    """Leave out windows in which the canary lacked its need or lost pods to others: what went wrong says nothing of it."""
    kept = []
    for index, window in enumerate(found.windows):
        begins = found.started_at + index * length
        ends = begins + length + GRID
        if not any(_overlaps(span, begins - GRID, ends) for span in spans):
            kept.append(window)
    return kept


def _overlaps(span: Span, begins: datetime, ends: datetime) -> bool:
    return moment_of(span.since) < ends and (span.until is None or moment_of(span.until) > begins)


def blind(observed: Observed, canary: CanaryStatus) -> timedelta:
    """Return for how long of the present step Prometheus has scraped nothing, by the windows read since."""
    analysis, found = analysis_of(observed, canary), counted(observed, canary)
    if analysis is None or found is None:
        return timedelta()
    return found.blind_windows * timedelta(seconds=analysis.window_seconds)


def noted(observed: Observed, state: State) -> State:
    """Note when the canary begins and ceases to lack replicas for the weight that it has, and when pods of it were taken."""
    canary = state.canary
    if canary is None or analysis_of(observed, canary) is None or not canary.weight:
        return state
    known = list(canary.uncounted or ())
    leaving = _taken(observed.world.pods, canary, gone=False)
    gone = _taken(observed.world.disrupted_pods, canary, gone=True)
    ended = [*known, *_missed(observed, state, known), *leaving, *gone]
    lasting = [span for span in known if span.until is None]
    ready = observed.revision(canary.revision).ready
    lacks = capacity.lacks_need(observed, state, canary.revision, canary.weight, ready)
    if lacks and not lasting:
        lasting = [Span(since=text_of(observed.now))]
    elif lasting and not lacks:
        ended.append(Span(since=lasting.pop().since, until=text_of(observed.now)))
    # A pod that is gone before the end of its grace loses nothing more.
    spans = [*_joined(ended, None if leaving else observed.now), *lasting]
    if spans == known:
        return state
    while len(spans) > SPANS:
        spans[:2] = [Span(since=spans[0].since, until=spans[1].until)]
    return state.with_canary(uncounted=spans)


def _missed(observed: Observed, state: State, known: Sequence[Span]) -> list[Span]:
    """Return when the canary lacked replicas before this process looked, as far as that is not known yet."""
    canary = state.canary
    assert canary is not None
    if canary.step_started_at is None:
        return []
    begins = moment_of(canary.step_started_at)
    ends = observed.first_seen(watched(canary.id)).replace(microsecond=0)
    times = missed.lacking(observed, state, canary.weight or 0, begins, ends) if begins < ends else ()
    return [
        Span(since=text_of(since), until=text_of(until))
        for since, until in times
        if not any(_overlaps(span, since, until) for span in known)
    ]


def _taken(pods: Sequence[Manifest], canary: CanaryStatus, *, gone: bool) -> list[Span]:
    """Return when requests of the present step may be lost with pods that are taken from the canary."""
    if canary.step_started_at is None:
        return []
    begins = moment_of(canary.step_started_at)
    ours = [
        pod for pod in pods if (pod["metadata"].get("labels") or {}).get(REVISION_LABEL) == canary.revision
    ]
    times = [found for pod in ours if (found := disruption(pod, gone=gone)) is not None]
    return [
        Span(since=text_of(max(since, begins)), until=text_of(until))
        for since, until in times
        if until >= begins
    ]


def _joined(spans: Sequence[Span], latest: datetime | None) -> list[Span]:
    """Return the spans that have ended, oldest first, those that overlap as one, and none that ends after the latest."""
    found: list[tuple[datetime, datetime]] = []
    for since, until in sorted(
        (moment_of(span.since), moment_of(span.until)) for span in spans if span.until
    ):
        ends = until if latest is None else min(until, latest)
        if found and since <= found[-1][1]:
            found[-1] = found[-1][0], max(ends, found[-1][1])
        else:
            found.append((since, ends))
    return [Span(since=text_of(since), until=text_of(until)) for since, until in found]


def lacking_since(canary: CanaryStatus) -> datetime | None:
    """Return since when the canary has lacked replicas; None if it does not."""
    last = canary.uncounted[-1] if canary.uncounted else None
    return moment_of(last.since) if last is not None and last.until is None else None


def lacking(canary: CanaryStatus, now: datetime) -> timedelta:
    """Return for how long of the present step nothing counts: for want of replicas, or because pods were taken."""
    ends = [(span, moment_of(span.until) if span.until else now) for span in canary.uncounted or ()]
    return sum((end - moment_of(span.since) for span, end in ends), timedelta())


def recorded(observed: Observed, state: State, found: Finding) -> State:
    """Write down what a verdict rests on, unless this verdict of this step is written down already."""
    canary = state.canary
    assert canary is not None
    analysis = analysis_of(observed, canary)
    assert analysis is not None
    if has_said(observed, canary, found.verdict):
        return state
    measured = counted(observed, canary)
    evidence = EvidenceStatus(
        verdict=found.verdict,
        source=measured.source if measured is not None else analysis.source,
        step=_counted_step(observed, canary),
        windows=found.windows,
        requests=found.requests,
        bad_requests=found.bad,
        stable_requests=found.stable_requests,
        stable_bad_requests=found.stable_bad,
        worse_than_stable=f"{found.worse:.3g}",
        good_enough=f"{found.good_enough:.3g}",
    )
    return state.with_canary(evidence=evidence)


def has_said(observed: Observed, canary: CanaryStatus, verdict: str) -> bool:
    """Whether this verdict of the step that is counted was written down."""
    said = canary.evidence
    return said is not None and (said.step, said.verdict) == (_counted_step(observed, canary), verdict)


def _counted_step(observed: Observed, canary: CanaryStatus) -> int:
    """The step whose weight the traffic has; while the next one is prepared it is not the attempt's step."""
    steps = observed.rollout_of(canary.revision).steps
    reached = [index for index, step in enumerate(steps) if step.weight <= (canary.weight or 0)]
    return reached[-1] if reached else 0


def in_numbers(said: EvidenceStatus) -> str:
    """Tell the numbers of a verdict in a sentence."""
    return (
        f"{said.bad_requests} of {said.requests} requests of the canary were late or failed, and "
        f"{said.stable_bad_requests} of {said.stable_requests} of the stable revision, in {said.windows} windows "
        f"(source {said.source}; evidence for worse than stable {said.worse_than_stable}, for good enough "
        f"{said.good_enough})."
    )

"""The end of a step: good evidence goes on, bad evidence aborts, too little of it waits until the step's deadline."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from serving_api.rollout import Analysis
from serving_api.status import Abort, Promotion
from serving_operator.judge.windows import NOT_YET_READ, Finding, Missing
from serving_operator.rollout import capacity, crashes, deadlines, evidence, passing
from serving_operator.rollout.commands import label_command
from serving_operator.rollout.loading import extended
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.rollforward import roll_forward, stable_is_broken
from serving_operator.rollout.state import OPEN, Gate, Move, State, Wait

COLLECTING = "CollectingEvidence"
TOO_FEW_REQUESTS = "TooFewRequests"
INCONCLUSIVE: Final = "Inconclusive"
WORSE_THAN_STABLE = "WorseThanStable"
CANARY_BELOW_NEED = "CanaryBelowNeed"
WAITING_FOR_PROMOTION = "WaitingForPromotion"
_NOTHING = Finding("Inconclusive", 0, 0, 0, 0, 0, 1.0, 1.0)


def verdict(observed: Observed, state: State, analysis: Analysis) -> Move:
    """Judge the step that the traffic has arrived at, by evidence that is noted and has not turned bad."""
    canary = state.canary
    assert canary is not None
    found = evidence.finding(observed, canary)
    if evidence.lacking_since(canary) is not None:
        # Also of a good one that waits for its label: nobody may keep traffic for ever without a pod that answers.
        return _below_need(observed, state)
    if evidence.has_said(observed, canary, "Good"):
        return _good(observed, state, analysis)
    if stable_is_broken(observed):
        return roll_forward(observed, state)
    paused = evidence.has_said(observed, canary, INCONCLUSIVE) and analysis.on_inconclusive == "Pause"
    if paused:
        return _paused(observed, state, analysis)
    counted = evidence.counted(observed, canary)
    if counted is not None and counted.missing is not None:
        return _without_source(observed, state, counted.missing)
    settled = deadlines.accounted(state, None, observed.now)
    assert settled.canary is not None
    pause_ends = _pause_ends(observed, settled)
    crash = crashes.crash(observed, settled, analysis)
    earliest = max(pause_ends, crash.matters_until) if crash is not None else pause_ends
    if found is not None and found.verdict == "Good" and observed.now >= earliest:
        return _good(observed, evidence.recorded(observed, settled, found), analysis)
    ends = _deadline(observed, settled, analysis)
    if observed.now >= ends:
        said = replace(found or _NOTHING, verdict=INCONCLUSIVE)
        return _inconclusive(observed, evidence.recorded(observed, settled, said), analysis)
    return _collecting(
        observed, settled, analysis, (pause_ends, ends, *([crash.matters_until] if crash else ()))
    )


def has_a_say(state: State) -> bool:
    """Whether evidence counts: until the attempt is promoted for another reason than that it was good enough."""
    promotion = state.promoted()
    return promotion is None or (isinstance(promotion, Promotion) and promotion.reason == "GoodEnough")


def heard(observed: Observed, state: State) -> tuple[State, Move | None]:
    """Note what bears on the evidence, and abort what is found worse than stable, whatever the rollout waits for."""
    if not has_a_say(state):
        return state, None
    noted = evidence.noted(observed, state)
    return noted, turned_bad(observed, noted)


def turned_bad(observed: Observed, state: State) -> Move | None:
    """Abort what is found worse than stable; `state` has what is noted of the evidence."""
    canary = state.canary
    if canary is None or not canary.weight or canary.weight >= 100:
        return None
    found = evidence.finding(observed, canary)
    if found is None or found.verdict != "Bad":
        return None
    return _abort(observed, state, found)


def unread_gate(observed: Observed, state: State) -> Gate:
    """Hold while an operator that has just started reads what it missed: what was good then may be bad by now."""
    assert state.canary is not None
    found = evidence.counted(observed, state.canary)
    if found is None or found.missing != NOT_YET_READ:
        return OPEN
    return Gate(False, NOT_YET_READ.reason, NOT_YET_READ.message, Wait.BRIEF)


def _abort(observed: Observed, state: State, found: Finding) -> Move:
    told = evidence.recorded(observed, state, found)
    assert told.canary is not None
    assert told.canary.evidence is not None
    message = (
        f"Revision {told.canary.revision} is worse than stable: {evidence.in_numbers(told.canary.evidence)}"
    )
    why = Abort(reason=WORSE_THAN_STABLE, message=message, rejects=True)
    return Move(told, why.reason, why.message, abort=why)


def _good(observed: Observed, state: State, analysis: Analysis) -> Move:
    canary = state.canary
    assert canary is not None
    rollout = observed.rollout_of(canary.revision)
    step = (canary.step or 0) + 1
    if step < len(rollout.steps):
        advanced = deadlines.new_phase(state, observed.now, step=step)
        words = capacity.preparing(canary.revision, rollout.steps[step].weight)
        return Move(advanced, deadlines.ADVANCING, words, passes=passing.can_be_written(observed, canary))
    if rollout.promotion == "Automatic":
        promoted = deadlines.promotion(observed, state, "GoodEnough")
        return replace(promoted, passes=passing.can_be_written(observed, canary))
    message = (
        f"Revision {canary.revision} is good enough at {canary.weight}% and waits for its promotion. "
        f"{ways_out(observed, canary.id)}"
    )
    held = deadlines.accounted(state, None, observed.now)
    return Move(held, WAITING_FOR_PROMOTION, message, waits_for_person=True)


def _below_need(observed: Observed, state: State) -> Move:
    """Wait for the canary's replicas; one that stays without them is rejected as one that never had them."""
    canary = state.canary
    assert canary is not None
    since = evidence.lacking_since(canary)
    assert since is not None
    message = (
        f"Revision {canary.revision} has fewer ready replicas than {canary.weight}% of the demand takes; what is late "
        f"for that is no evidence. {ways_out(observed, canary.id)}"
    )
    gate = capacity.capacity_gate(observed, state, canary.revision, capacity.next_weight(observed, state))
    if not gate.open and gate.wait is Wait.LOST:
        return deadlines.waiting(observed, state, gate, COLLECTING)
    held = deadlines.accounted(state, None, observed.now)
    patience = timedelta(seconds=observed.rollout_of(canary.revision).progress_deadline_seconds)
    ends = extended(observed, canary.revision, since + patience)
    return Move(held, CANARY_BELOW_NEED, message, overdue=observed.now >= ends, look_again=(ends,))


def _without_source(observed: Observed, state: State, missing: Missing) -> Move:
    """Hold while the source of evidence is missing: that is nobody's fault, and its time is not counted."""
    assert state.canary is not None
    message = f"The evidence is inconclusive. {missing.message} {ways_out(observed, state.canary.id)}"
    waiting = deadlines.waiting(observed, state, Gate(False, missing.reason, message, Wait.LOST), COLLECTING)
    return replace(waiting, stalled=missing.needs_person)


def _collecting(observed: Observed, state: State, analysis: Analysis, moments: tuple[datetime, ...]) -> Move:
    canary = state.canary
    assert canary is not None
    expected = evidence.outlook(observed, state)
    ahead = f" {expected.sentence}" if expected is not None else ""
    hopeless = expected is not None and not expected.can_conclude
    extended = " Its deadline was extended." if evidence.has_said(observed, canary, INCONCLUSIVE) else ""
    message = (
        f"Revision {canary.revision} has {canary.weight}% of the traffic; its requests are counted in windows of "
        f"{analysis.window_seconds} s (source {analysis.source}) until the evidence suffices.{extended}{ahead}"
        f"{_crashed(observed, state, analysis)} {ways_out(observed, canary.id)}"
    )
    future = tuple(moment for moment in moments if moment > observed.now)
    return Move(state, TOO_FEW_REQUESTS if hopeless else COLLECTING, message, look_again=future)


def _inconclusive(observed: Observed, state: State, analysis: Analysis) -> Move:
    canary = state.canary
    assert canary is not None
    if analysis.on_inconclusive == "Pause":
        return _paused(observed, state, analysis)
    if analysis.on_inconclusive == "Extend":
        seconds = (canary.held_seconds or 0) + analysis.step_deadline_seconds
        return _collecting(observed, state.with_canary(held_seconds=seconds), analysis, ())
    assert canary.evidence is not None
    message = (
        f"Revision {canary.revision} was neither good nor bad at {canary.weight}% by the step's deadline: "
        f"{evidence.in_numbers(canary.evidence)}{_crashed(observed, state, analysis)}"
    )
    why = Abort(reason=INCONCLUSIVE, message=message, rejects=True)
    return Move(state, why.reason, why.message, abort=why)


def _paused(observed: Observed, state: State, analysis: Analysis) -> Move:
    canary = state.canary
    assert canary is not None
    assert canary.evidence is not None
    message = (
        f"Revision {canary.revision} was neither good nor bad at {canary.weight}% by the step's deadline, and waits for "
        f"a person: {evidence.in_numbers(canary.evidence)}{_crashed(observed, state, analysis)} "
        f"{ways_out(observed, canary.id)}"
    )
    settled = deadlines.accounted(state, None, observed.now)
    return Move(settled, INCONCLUSIVE, message, waits_for_person=True)


def _crashed(observed: Observed, state: State, analysis: Analysis) -> str:
    crash = crashes.crash(observed, state, analysis)
    return f" {crash.said}" if crash is not None else ""


def ways_out(observed: Observed, attempt: str) -> str:
    """Return the commands that end the wait for a verdict."""
    return (
        f"Promote: {label_command(observed, 'Promote', attempt)} "
        f"Abort: {label_command(observed, 'Abort', attempt)}"
    )


def _pause_ends(observed: Observed, state: State) -> datetime:
    assert state.canary is not None
    seconds = capacity.current_step(observed, state.canary).pause_seconds or 0
    return (deadlines.phase_started(state) or observed.now) + timedelta(seconds=seconds)


def _deadline(observed: Observed, state: State, analysis: Analysis) -> datetime:
    """Return when the evidence must suffice: time lost to others and to want of replicas does not count."""
    canary = state.canary
    assert canary is not None
    counted = timedelta(seconds=analysis.step_deadline_seconds)
    # An outage of Prometheus is noticed later than it begins: of the hold and the windows the longer one is its time.
    held = max(deadlines.lost(canary, observed.now), evidence.blind(observed, canary))
    lost = held + evidence.lacking(canary, observed.now)
    return _pause_ends(observed, state) + counted + lost

"""How long an attempt has had, without the time that was lost to others."""

from __future__ import annotations

from datetime import datetime, timedelta

from serving_api.status import CanaryStatus, Hold, Promotion
from serving_operator.rollout.capacity import WAITING_FOR_CAPACITY, preparing
from serving_operator.rollout.loading import extended
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import Gate, Move, State, Wait, moment_of, text_of

PREPARING = "Preparing"
ADVANCING = "Advancing"
PROMOTING = "Promoting"


def waiting(observed: Observed, state: State, gate: Gate, stage: str, words: str | None = None) -> Move:
    """Wait at a closed gate of a stage: a lost wait stops the clock, want of nodes has a deadline of its own.

    Only a lost wait is named as the reason: the others belong to the stage and pass without a word. `words` is what
    the stage says of a wait of seconds, so that it is not news in itself.
    """
    is_lost = gate.wait is Wait.LOST
    held = accounted(state, gate if is_lost else None, observed.now)
    stalled, overdue, ends = False, False, None
    assert held.canary is not None
    if gate.reason == WAITING_FOR_CAPACITY and held.canary.hold is not None:
        patience = timedelta(seconds=observed.rollout_of(held.canary.revision).capacity_deadline_seconds)
        ends = moment_of(held.canary.hold.since) + patience
        stalled = observed.now >= ends
    elif gate.wait is Wait.OWN:
        ends = extended(observed, held.canary.revision, deadline(observed, held))
        overdue = observed.now >= ends
    ahead = (ends,) if ends is not None and observed.now < ends else ()
    return Move(
        state=held,
        reason="Unschedulable" if stalled else gate.reason if is_lost else stage,
        message=words if words is not None and gate.wait is Wait.BRIEF else gate.message,
        stalled=stalled,
        overdue=overdue,
        look_again=(*gate.look_again, *ahead),
    )


def accounted(state: State, hold: Gate | None, now: datetime) -> State:
    """Book the wait under way: continue it, end it, or begin another."""
    canary = state.canary
    if canary is None:
        return state
    if hold is not None and canary.hold is not None and canary.hold.reason == hold.reason:
        return state
    seconds = canary.held_seconds
    if canary.hold is not None:
        seconds = (seconds or 0) + max(0, int((now - moment_of(canary.hold.since)).total_seconds()))
    begun = Hold(reason=hold.reason, since=text_of(now)) if hold is not None else None
    return state.with_canary(hold=begun, held_seconds=seconds)


def phase_started(state: State) -> datetime | None:
    """Return when the attempt's clock began: at its start, and anew for each step and when its promotion was accepted."""
    if state.canary is None:
        return None
    promotion = state.promoted()
    if promotion is not None:
        return moment_of(promotion.time)
    began = state.canary.phase_started_at or state.canary.started_at
    return moment_of(began) if began else None


def new_phase(state: State, now: datetime, **changes: object) -> State:
    """Begin the clock anew, with nothing lost so far."""
    return state.with_canary(phase_started_at=text_of(now), held_seconds=None, hold=None, **changes)


def lost(canary: CanaryStatus, now: datetime) -> timedelta:
    """Return the time lost to others so far."""
    lost = timedelta(seconds=canary.held_seconds or 0)
    return lost + (max(timedelta(), now - moment_of(canary.hold.since)) if canary.hold else timedelta())


def deadline(observed: Observed, state: State) -> datetime:
    """Return when the attempt's time is up, if no more of it is lost."""
    canary, started = state.canary, phase_started(state)
    assert canary is not None
    allowed = timedelta(seconds=observed.rollout_of(canary.revision).progress_deadline_seconds)
    return (started or observed.now) + allowed + lost(canary, observed.now)


def promotion(observed: Observed, state: State, reason: str) -> Move:
    """Record a promotion that no label asked for, in a write of its own: it is neither lost nor done twice."""
    assert state.canary is not None
    decided = Promotion.model_validate({"reason": reason, "time": text_of(observed.now)})
    begun = new_phase(state, observed.now, promotion=decided)
    return Move(begun, PROMOTING, preparing(state.canary.revision, 100))

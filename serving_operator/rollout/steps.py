"""Advance: capacity first, then the step's weight, then its acknowledgement, then the evidence."""

from __future__ import annotations

from dataclasses import replace

from serving_operator.rollout import (
    acknowledge,
    bluegreen,
    budget,
    capacity,
    deadlines,
    evidence,
    judgement,
    routing,
)
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.rollforward import broken_at, roll_forward, stable_is_broken
from serving_operator.rollout.state import OPEN, Gate, Move, State, Wait, text_of

PREPARING = deadlines.PREPARING
ADVANCING = deadlines.ADVANCING


def advance(observed: Observed, state: State) -> Move:
    """Take the canary to the weight of its step."""
    assert state.canary is not None
    assert state.stable is not None
    if not observed.routed:
        return bluegreen.advance(observed, state)
    canary, stable = state.canary, state.stable
    target = capacity.next_weight(observed, state)
    # A first weight ends a preparation of minutes, and is said. Later ones are one stage, from verdict to arrival.
    is_first = not canary.weight
    preparing = PREPARING if is_first else ADVANCING
    words = None if is_first else capacity.preparing(canary.revision, target)
    state, bad = judgement.heard(observed, state)
    if bad is not None:
        return bad
    if observed.weights.get(canary.revision, 0) >= target:
        gate = arrival_gate(observed, state, target)
        if gate.open:
            return verdict(observed, arrived(observed, state, target))
        return deadlines.waiting(observed, state, gate, ADVANCING, words)
    gate = canary_gate(observed, state, target)
    if not gate.open:
        return deadlines.waiting(observed, state, gate, preparing, words)
    if stable_is_broken(observed):
        return roll_forward(observed, state)
    gate = capacity.stable_gate(observed, state, 100 - target)
    if gate.open:
        gate = route_gate(observed)
    if gate.open:
        gate = judgement.unread_gate(observed, state)
    if not gate.open:
        waiting = deadlines.waiting(observed, state, gate, preparing, words)
        return replace(waiting, look_again=(*waiting.look_again, *broken_at(observed)))
    weights = {stable.revision: 100 - target, canary.revision: target}
    return Move(
        state=deadlines.accounted(state, None, observed.now),
        reason=ADVANCING,
        message=words or travelling(observed),
        writes=(
            routing.write(
                observed,
                routing.with_leaving(observed, weights),
                f"attempt {canary.id} advances to {target}%",
            ),
        ),
    )


def canary_gate(observed: Observed, state: State, percent: int) -> Gate:
    """Hold until the canary has the replicas for this percent of the demand; with a budget perhaps for want of room."""
    assert state.canary is not None
    gate = capacity.capacity_gate(observed, state, state.canary.revision, percent)
    if gate.open or gate.reason == capacity.AUTOSCALER_UNAVAILABLE:
        return gate
    room = budget.gate(observed, state, percent)
    return gate if room.open else room


def arrival_gate(observed: Observed, state: State, weight: int) -> Gate:
    """Hold until a weight in the route is also the weight of the traffic.

    Once that is so it is kept in the status, so that a restart does not wait again.
    """
    assert state.canary is not None
    known = state.canary.weight == weight and state.canary.step_started_at is not None
    if known and acknowledge.raised(observed).given:
        return OPEN
    return route_gate(observed)


def arrived(observed: Observed, state: State, weight: int) -> State:
    """Return the state in which the traffic has the weight, since now if that is news."""
    assert state.canary is not None
    if state.canary.weight == weight and state.canary.step_started_at is not None:
        return state
    return deadlines.new_phase(
        state, observed.now, weight=weight, step_started_at=text_of(observed.now), uncounted=None
    )


def travelling(observed: Observed) -> str:
    """Say that a write which moves traffic is on its way to the proxies."""
    if not observed.routed:
        return "The stable Service selects another revision; its endpoints and every node's proxy are given time to follow."
    return "New weights are in the route; every Gateway and its proxies are given time to follow."


def route_gate(observed: Observed) -> Gate:
    """Hold until what carries the traffic is carried out as it is, and the proxies have had the time to follow."""
    answer = acknowledge.raised(observed)
    if answer.given:
        settles = acknowledge.settled_at(observed)
        if observed.now >= settles:
            return OPEN
        return Gate(False, "Propagating", travelling(observed), Wait.BRIEF, (settles,))
    overdue = acknowledge.overdue_at(observed)
    if observed.now < overdue:
        return Gate(False, "Propagating", travelling(observed), Wait.BRIEF, (overdue,))
    reason = "RouteNotAcknowledged" if observed.routed else answer.reason
    return Gate(False, reason, answer.message, Wait.LOST)


def no_route(observed: Observed) -> Gate:
    """Hold until what carries the traffic is as the operator wrote it: before that nothing moves, forward or back."""
    what = "route" if observed.routed else "stable Service"
    return Gate(False, "RouteEdited", f"The {what} was edited or removed and is put back.", Wait.BRIEF)


def verdict(observed: Observed, state: State) -> Move:
    """Judge the step: by evidence if the rollout has an analysis; without one a person gives the verdict."""
    assert state.canary is not None
    gate = capacity.autoscaler_gate(observed)
    if not gate.open:
        return deadlines.waiting(observed, state, gate, ADVANCING)
    analysis = evidence.analysis_of(observed, state.canary)
    if analysis is not None:
        return judgement.verdict(observed, state, analysis)
    weight = observed.weights.get(state.canary.revision, 0)
    message = (
        f"Revision {state.canary.revision} has {weight}% of the traffic and waits for a verdict. "
        f"{judgement.ways_out(observed, state.canary.id)}"
    )
    settled = deadlines.accounted(state, None, observed.now)
    return Move(settled, judgement.WAITING_FOR_PROMOTION, message, waits_for_person=True)

"""Advance: capacity first, then the step's weight, then its acknowledgement, then the evidence."""

from __future__ import annotations

from dataclasses import replace

from serving_operator.rollout import acknowledge, capacity, deadlines, evidence, judgement, routing
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.rollforward import broken_at, roll_forward, stable_is_broken
from serving_operator.rollout.state import OPEN, Gate, Move, State, Wait, text_of

PREPARING = deadlines.PREPARING
ADVANCING = deadlines.ADVANCING
TRAVELLING = "New weights are in the route; every Gateway and its proxies are given time to follow."


def advance(observed: Observed, state: State) -> Move:
    """Take the canary to the weight of its step."""
    assert state.canary is not None
    assert state.stable is not None
    canary, stable = state.canary, state.stable
    target = capacity.next_weight(observed, state)
    # A first weight ends a preparation of minutes, and is said. Later ones are one stage, from verdict to arrival.
    is_first = not canary.weight
    preparing = PREPARING if is_first else ADVANCING
    words = None if is_first else capacity.preparing(canary.revision, target)
    if observed.weights.get(canary.revision, 0) >= target:
        gate = arrival_gate(observed, state, target)
        if gate.open:
            return verdict(observed, arrived(observed, state, target))
        return deadlines.waiting(observed, state, gate, ADVANCING, words)
    state = evidence.noted(observed, state)
    bad = judgement.turned_bad(observed, state)
    if bad is not None:
        return bad
    gate = capacity.capacity_gate(observed, state, canary.revision, target)
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
        message=words or TRAVELLING,
        writes=(
            routing.write(
                observed,
                routing.with_leaving(observed, weights),
                f"attempt {canary.id} advances to {target}%",
            ),
        ),
    )


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


def route_gate(observed: Observed) -> Gate:
    """Hold until every Gateway carries out the route as it is, and its proxies have had the time to follow."""
    answer = acknowledge.raised(observed)
    if answer.given:
        settles = acknowledge.settled_at(observed)
        if observed.now >= settles:
            return OPEN
        return Gate(False, "Propagating", TRAVELLING, Wait.BRIEF, (settles,))
    overdue = acknowledge.overdue_at(observed)
    if observed.now < overdue:
        return Gate(False, "Propagating", TRAVELLING, Wait.BRIEF, (overdue,))
    return Gate(False, "RouteNotAcknowledged", answer.message, Wait.LOST)


def no_route(observed: Observed) -> Gate:
    """Hold until the route is what the operator wrote: before that nothing can move, neither forward nor back."""
    if observed.world.routes_served:
        return Gate(False, "RouteEdited", "The route was edited or removed and is put back.", Wait.BRIEF)
    message = (
        "The CustomResourceDefinition httproutes.gateway.networking.k8s.io is gone; install the Gateway API."
    )
    return Gate(False, "GatewayAPIMissing", message, Wait.LOST)


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

"""Advance: capacity first, then the step's weight, then its acknowledgement, then the evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from serving_operator.rollout import acknowledge, capacity, deadlines, routing
from serving_operator.rollout.commands import label_command
from serving_operator.rollout.first_seen import STABLE_BROKEN
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import OPEN, Gate, Move, State, Wait, text_of

PREPARING = "Preparing"
ADVANCING = "Advancing"
TRAVELLING = "New weights are in the route; every Gateway and its proxies are given time to follow."
WAITING_FOR_PROMOTION = "WaitingForPromotion"
ROLL_FORWARD = "RollForward"


def advance(observed: Observed, state: State) -> Move:
    """Take the canary to the weight of its step."""
    assert state.canary is not None
    assert state.stable is not None
    canary, stable = state.canary, state.stable
    target = capacity.next_weight(observed, state)
    if observed.weights.get(canary.revision, 0) >= target:
        gate = arrival_gate(observed, state, target)
        if gate.open:
            return verdict(observed, arrived(observed, state, target))
        return deadlines.waiting(observed, state, gate, ADVANCING)
    gate = capacity.capacity_gate(observed, state, canary.revision, target)
    if not gate.open:
        return deadlines.waiting(observed, state, gate, PREPARING)
    if stable_is_broken(observed):
        return roll_forward(observed, state)
    gate = capacity.stable_gate(observed, state, 100 - target)
    if gate.open:
        gate = route_gate(observed)
    if not gate.open:
        waiting = deadlines.waiting(observed, state, gate, PREPARING)
        return replace(waiting, look_again=(*waiting.look_again, *_broken_at(observed)))
    weights = {stable.revision: 100 - target, canary.revision: target}
    return Move(
        state=deadlines.accounted(state, None, observed.now),
        reason=ADVANCING,
        message=TRAVELLING,
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
    settled = deadlines.accounted(state, None, observed.now)
    if state.canary.weight == weight and state.canary.step_started_at is not None:
        return settled
    return settled.with_canary(weight=weight, step_started_at=text_of(observed.now))


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
    """Judge the step. This is where evidence is asked; under promotion Manual a person gives the verdict."""
    assert state.canary is not None
    gate = capacity.autoscaler_gate(observed)
    if not gate.open:
        return deadlines.waiting(observed, state, gate, ADVANCING)
    weight = observed.weights.get(state.canary.revision, 0)
    message = (
        f"Revision {state.canary.revision} has {weight}% of the traffic and waits for a verdict. "
        f"Promote: {label_command(observed, 'Promote', state.canary.id)} "
        f"Abort: {label_command(observed, 'Abort', state.canary.id)}"
    )
    settled = deadlines.accounted(state, None, observed.now)
    return Move(settled, WAITING_FOR_PROMOTION, message, waits_for_person=True)


def stable_is_broken(observed: Observed) -> bool:
    """Whether stable has had no ready pod for so long that a canary cannot be compared with it."""
    patience = timedelta(seconds=observed.settings.stable_broken_seconds)
    since = observed.world.since.get(STABLE_BROKEN)
    return _stable_has_no_pod(observed) and since is not None and observed.now - since >= patience


def roll_forward(observed: Observed, state: State) -> Move:
    """Waive step and stable gate for a broken stable; under promotion Manual it waits for the label all the same."""
    assert state.canary is not None
    assert state.stable is not None
    message = (
        f"Revision {state.stable.revision} (stable) has no ready pod, and revision {state.canary.revision} is ready: "
        f"promote it straight to 100%: {label_command(observed, 'Promote', state.canary.id)}"
    )
    ready = deadlines.accounted(state, None, observed.now)
    return Move(ready, ROLL_FORWARD, message, waits_for_person=True)


def _stable_has_no_pod(observed: Observed) -> bool:
    stable = State.of(observed.world.service.get("status") or {}).stable
    return stable is not None and not observed.revision(stable.revision).has_ready_pod


def _broken_at(observed: Observed) -> tuple[datetime, ...]:
    since = observed.world.since.get(STABLE_BROKEN)
    return (since + timedelta(seconds=observed.settings.stable_broken_seconds),) if since else ()

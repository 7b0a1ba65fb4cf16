"""Promote: capacity for all of the traffic, all of the traffic, a soak, and then the commit."""

from __future__ import annotations

from datetime import timedelta

from serving_api.names import Attempt
from serving_operator.rollout import (
    capacity,
    deadlines,
    evidence,
    judgement,
    previous,
    rollforward,
    routing,
    steps,
)
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import OPEN, Move, State, moment_of

PROMOTING = deadlines.PROMOTING
COMMITTED = "Committed"


def promote(observed: Observed, state: State) -> Move:
    """Take the canary to 100 percent and commit it. Steps and evidence are skipped, capacity and soak are not."""
    assert state.canary is not None
    assert state.stable is not None
    canary, stable = state.canary, state.stable
    words = capacity.preparing(canary.revision, 100)
    if observed.weights.get(canary.revision, 0) >= 100:
        gate = steps.arrival_gate(observed, state, 100)
        if not gate.open:
            return deadlines.waiting(observed, state, gate, PROMOTING, words)
        arrived = steps.arrived(observed, state, 100)
        return _soak(observed, deadlines.accounted(arrived, None, observed.now))
    on_evidence = judgement.has_a_say(state)
    if on_evidence:
        state = evidence.noted(observed, state)
        bad = judgement.turned_bad(observed, state)
        if bad is not None:
            return bad
    is_warm = state.rolls_back and capacity.is_warm(observed, canary.revision)
    gate = OPEN if is_warm else steps.canary_gate(observed, state, 100)
    if gate.open:
        gate = steps.route_gate(observed)
    if gate.open and on_evidence:
        gate = judgement.unread_gate(observed, state)
    if not gate.open:
        return deadlines.waiting(observed, state, gate, PROMOTING, words)
    forward = rollforward.stable_is_broken(observed)
    return Move(
        state=deadlines.accounted(state, None, observed.now),
        reason=rollforward.ROLL_FORWARD if forward else PROMOTING,
        message=words,
        writes=(
            routing.write(
                observed,
                routing.with_leaving(observed, {stable.revision: 0, canary.revision: 100}),
                f"attempt {canary.id} is promoted to 100%",
            ),
        ),
    )


def _soak(observed: Observed, state: State) -> Move:
    assert state.canary is not None
    assert state.canary.step_started_at is not None
    seconds = observed.rollout_of(state.canary.revision).soak_seconds
    ends = moment_of(state.canary.step_started_at) + timedelta(seconds=seconds)
    recorded = State.of(observed.world.service.get("status") or {}).canary
    if observed.now < ends or recorded is None or recorded.weight != 100:
        message = f"Revision {state.canary.revision} has all of the traffic; it is committed after {seconds} s of it."
        return Move(state, "Soaking", message, look_again=(ends,))
    attempt = Attempt.parse(state.canary.id)
    assert attempt is not None
    committed = previous.committed(observed, state, attempt)
    return Move(committed, COMMITTED, f"Revision {attempt.revision} is the stable revision.")

"""Promote: capacity for all of the traffic, all of the traffic, a soak, and then the commit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from serving_api.names import Attempt
from serving_operator.rollout import (
    capacity,
    deadlines,
    judgement,
    previous,
    rollforward,
    routing,
    steps,
)
from serving_operator.rollout.commands import label_command
from serving_operator.rollout.live import Revision, has_ceased_to_be_ready
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import OPEN, Gate, Move, State, Wait, moment_of
from serving_operator.status.diagnosis import diagnose

PROMOTING = deadlines.PROMOTING
COMMITTED = "Committed"
CANARY_NOT_READY = "CanaryNotReady"


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
        return _soak(observed, steps.arrived(observed, state, 100))
    state, bad = judgement.heard(observed, state)
    if bad is not None:
        return bad
    is_warm = state.rolls_back and capacity.is_warm(observed, canary.revision)
    gate = OPEN if is_warm else steps.canary_gate(observed, state, 100)
    if gate.open:
        gate = steps.route_gate(observed)
    if gate.open and judgement.has_a_say(state):
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
        soaking = deadlines.accounted(state, None, observed.now)
        return Move(soaking, "Soaking", message, look_again=(ends,))
    held = _held(observed, state)
    if held is not None:
        return held
    attempt = Attempt.parse(state.canary.id)
    assert attempt is not None
    committed = previous.committed(observed, state, attempt)
    return Move(committed, COMMITTED, f"Revision {attempt.revision} is the stable revision.")


def _held(observed: Observed, state: State) -> Move | None:
    """Hold the commit of a canary whose pods fail: before it the way back is one write, after it a model's load.

    A stable revision that answers nobody is no way back.
    """
    assert state.canary is not None
    assert state.stable is not None
    canary, seen = state.canary, observed.revision(state.canary.revision)
    is_well = seen.answers and not _fails(observed, state, seen)
    if is_well or rollforward.stable_is_broken(observed):
        return None
    cause = diagnose(seen.pods, seen.deployment)
    message = (
        f"Revision {seen.revision} has all of the traffic and has soaked, but its pods are not ready: it is committed "
        f"when they are, and revision {state.stable.revision} (stable) stays until then."
    )
    if cause is not None:
        message = f"{message} {cause.message}"
    if not state.rolls_back:
        message = f"{message} Abort: {label_command(observed, 'Abort', canary.id)}"
    wants_nodes = cause is not None and cause.wants_nodes
    reason = capacity.WAITING_FOR_CAPACITY if wants_nodes else CANARY_NOT_READY
    waiting = deadlines.waiting(observed, state, Gate(False, reason, message, Wait.LOST), PROMOTING)
    if cause is None or not cause.needs_person:
        return waiting
    return replace(waiting, stalled=True, cause=cause.reason)


def _fails(observed: Observed, state: State, seen: Revision) -> bool:
    """Whether the canary lacks replicas because pods of it fail, or do not stand the traffic that it has now.

    Pods that crash are ready by turns, so that one of them is not enough. Those that a risen need asks for may start as
    any others, or want the room that stable has: for them nobody waits.
    """
    cause = diagnose(seen.pods, None)
    crashes = cause is not None and cause.needs_person
    if not crashes and not any(has_ceased_to_be_ready(pod) for pod in seen.pods):
        return False
    return capacity.lacks_need(observed, state, seen.revision, 100, seen.available)

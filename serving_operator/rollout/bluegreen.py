"""Blue/green: where nothing weighs the traffic a canary gets all of its capacity, and waits for its label without any."""

from __future__ import annotations

from serving_operator.rollout import capacity, deadlines, evidence, judgement, selection
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.rollforward import roll_forward, stable_is_broken
from serving_operator.rollout.state import Move, State, text_of


def adapted(observed: Observed, state: State) -> State:
    """Begin the steps of the attempt under way anew when the route that weighs the traffic has come or gone.

    A weight that only the route gave is no longer one, and evidence counted at it is not continued: a route that
    comes back begins with all of the traffic at stable.
    """
    canary = state.canary
    if canary is None or state.stable is None or canary.abort is not None:
        return state
    if observed.routed:
        outdated = canary.weight == 0 and canary.step_started_at is not None
    else:
        outdated = bool(canary.weight) and selection.wanted(observed, state) != canary.revision
    if not outdated:
        return state
    return deadlines.new_phase(
        state, observed.now, step=0, weight=0, step_started_at=None, uncounted=None, evidence=None
    )


def advance(observed: Observed, state: State) -> Move:
    """Get the canary its replicas for 100 percent; the label alone gives it traffic."""
    assert state.canary is not None
    canary = state.canary
    was_ready = canary.step_started_at is not None
    gate = capacity.capacity_gate(observed, state, canary.revision, 100)
    if not gate.open and not was_ready:
        return deadlines.waiting(observed, state, gate, deadlines.PREPARING)
    if gate.open and stable_is_broken(observed):
        return roll_forward(observed, state)
    gate = capacity.autoscaler_gate(observed)
    if not gate.open:
        return deadlines.waiting(observed, state, gate, deadlines.PREPARING)
    if not was_ready:
        # Recorded, so that a pod that fails while the label is waited for does not meet the deadline of the start.
        state = deadlines.new_phase(state, observed.now, step_started_at=text_of(observed.now))
    return _waiting(observed, deadlines.accounted(state, None, observed.now))


def _waiting(observed: Observed, state: State) -> Move:
    assert state.canary is not None
    canary = state.canary
    reason, remedy = selection.lack(observed)
    ready = f"Revision {canary.revision} has its replicas for 100% of the demand and no traffic."
    ways_out = judgement.ways_out(observed, canary.id)
    if evidence.analysis_of(observed, canary) is not None:
        message = (
            f"{ready} Its rollout.analysis compares revisions that share the traffic by weight. {remedy} The rollout "
            f"goes on by itself then; or decide for it. {ways_out}"
        )
        return Move(state, reason, message, stalled=True)
    message = f"{ready} Without weights there are no steps: the label gives it all of it. {remedy} {ways_out}"
    return Move(state, judgement.WAITING_FOR_PROMOTION, message, waits_for_person=True)

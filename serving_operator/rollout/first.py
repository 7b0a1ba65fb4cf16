"""The first revision: there is nothing to compare with and nothing to go back to."""

from __future__ import annotations

from serving_api.names import Attempt
from serving_operator.children.services import stable_service
from serving_operator.rollout import abort, attempts, capacity, deadlines, previous, promote, routing, steps
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import Move, State
from serving_operator.world import Write

OPENING = "Opening"


def serve(observed: Observed, state: State) -> Move:
    """Bring the newest spec into service; an older candidate gives way to it."""
    canary = state.canary
    if canary is None or canary.revision != observed.wanted:
        unserved = attempts.unserved(observed, state)
        if unserved is not None:
            return unserved
        return attempts.begin(observed, state, capacity.preparing(observed.wanted, 100))
    gate = capacity.capacity_gate(observed, state, canary.revision, 100)
    if not gate.open:
        # A late first revision is not rejected: a new spec, or its pods getting well, is all that helps.
        waiting = deadlines.waiting(observed, state, gate, steps.PREPARING)
        return abort.not_rejected(observed, waiting) if waiting.overdue else waiting
    writes = _opening(observed, canary.revision)
    if writes:
        ready = deadlines.accounted(state, None, observed.now)
        return Move(ready, OPENING, steps.travelling(observed), writes=writes)
    if observed.routed:
        gate = steps.route_gate(observed)
        if not gate.open:
            return deadlines.waiting(observed, state, gate, OPENING)
    attempt = Attempt.parse(canary.id)
    assert attempt is not None
    committed = previous.committed(observed, state, attempt)
    return Move(committed, promote.COMMITTED, f"Revision {attempt.revision} is the stable revision.")


def _opening(observed: Observed, revision: str) -> tuple[Write, ...]:
    writes: list[Write] = []
    why = f"revision {revision} has its need ready"
    if observed.routed and observed.weights.get(revision) != 100:
        writes.append(routing.write(observed, routing.with_leaving(observed, {revision: 100}), why))
    if observed.selected != revision:
        wanted = stable_service(observed.service, revision)
        writes.append(Write.upon(observed.stable_service, wanted, why))
    return tuple(writes)

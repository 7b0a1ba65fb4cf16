"""No attempt is under way: whether one ought to begin."""

from __future__ import annotations

from datetime import timedelta

from serving_operator.rollout import attempts, budget, capacity, previous
from serving_operator.rollout.commands import label_command
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import Move, State
from serving_operator.status.quota import refusal

SETTLED = "Settled"
REJECTED = "Rejected"


def begin_if_asked(observed: Observed, state: State) -> Move:
    """Begin an attempt if the spec asks for a revision that is neither stable nor rejected."""
    assert state.stable is not None
    if observed.wanted == state.stable.revision:
        return Move(state, SETTLED, f"Revision {state.stable.revision} is what the spec asks for.")
    rejection = state.rejection_of(observed.wanted)
    if rejection is not None:
        message = (
            f"{rejection.message or rejection.reason} Change the spec, or try the same again: "
            f"{label_command(observed, 'Retry', rejection.id)}"
        )
        reason = previous.ROLLED_BACK if rejection.reason == previous.ROLLED_BACK else REJECTED
        return Move(state, reason, message, stalled=True, cause=rejection.reason)
    unserved = attempts.unserved(observed, state)
    if unserved is not None:
        return unserved
    has_pods = previous.kept_warm(observed, state) == observed.wanted
    refused = None if has_pods else refusal(observed)
    if refused is not None:
        again = observed.now + timedelta(seconds=attempts.UNWATCHED_AGAIN_SECONDS)
        return Move(state, "QuotaExceeded", refused, stalled=True, look_again=(again,))
    shares = observed.routed and observed.service.spec.rollout.surge == "Budget" and not observed.automatic
    if shares and observed.external_replicas < 2:
        return Move(state, budget.TOO_SMALL, budget.external_too_small(observed), stalled=True)
    first_weight = observed.service.spec.rollout.steps[0].weight if observed.routed else 100
    return attempts.begin(observed, state, capacity.preparing(observed.wanted, first_weight))

"""Surge Budget: whether both revisions fit side by side, who gives way if not, and what the autoscaler is told of it.

Class Auto: `predictor.maxReplicas` bounds stable and canary together, and the autoscaler, which alone sets their
replicas, keeps the sum below it (`share.budgetReplicas`). Class External: the total is somebody else's, and the
operator splits it.
"""

from __future__ import annotations

from serving_operator.rollout import capacity, surge
from serving_operator.rollout.live import Revision
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.rollforward import stable_is_broken
from serving_operator.rollout.state import OPEN, Gate, State, Wait

TOO_SMALL = "BudgetTooSmall"
WAITING_FOR_ROOM = "WaitingForRoom"


def replicas(observed: Observed, state: State) -> int | None:
    """Return the replicas that stable and canary may have together; None if nothing bounds the sum."""
    bound = surge.is_budget(observed, state) and observed.automatic and not observed.advised
    return max(2, observed.max_replicas) if bound else None


def has_room(observed: Observed, state: State, revision: str) -> bool:
    """Whether a Deployment that is not there may be made: with a budget, once stable is known to leave it a replica."""
    total = _shared_by(observed, state, revision)
    if total is None:
        return True
    stable = _stable(observed, state)
    told = ((stable.autoscaler or {"spec": {}})["spec"].get("share") or {}).get("budgetReplicas") == total
    # An answer to the present spec: from then on no decision made without the budget is under way.
    return told and capacity.answer(stable) is not None and asked(observed, stable) < total


def room(observed: Observed, state: State, revision: str) -> int | None:
    """Return the replicas that stable leaves to a canary that is made (again); None without a budget."""
    total = _shared_by(observed, state, revision)
    return None if total is None else total - asked(observed, _stable(observed, state))


def gate(observed: Observed, state: State, percent: int) -> Gate:
    """Say whether the canary lacks replicas for `percent` because stable's are in the way; OPEN if that is not why."""
    assert state.canary is not None
    if not surge.is_budget(observed, state):
        return OPEN
    if not observed.automatic and surge.external_total(observed, state) < 2 and percent < 100:
        return Gate(False, TOO_SMALL, external_too_small(observed), Wait.LOST)
    total, stable = replicas(observed, state), _stable(observed, state)
    said = capacity.answer(stable)
    if total is None or said is None:
        return OPEN
    kept = min(said.replicas, most(observed, state, stable.revision))
    kept = max(kept, min(capacity.bounds(observed, state, stable.revision)[0], total - 1))
    canary = observed.revision(state.canary.revision)
    wants = _wanted(observed, state, canary, percent)
    if kept + wants > observed.max_replicas:
        return Gate(False, TOO_SMALL, _too_small(observed, state, kept, wants, percent), Wait.LOST)
    if asked(observed, stable) + max(wants, asked(observed, canary)) > total:
        message = (
            f"Revision {stable.revision} (stable) still has replicas beyond its need, and predictor.maxReplicas "
            f"({total}) bounds both; revision {canary.revision} gets its own when the autoscaler has let go of them. "
            f"See: kubectl -n {observed.world.key.namespace} get infas {stable.name} -o wide"
        )
        return Gate(False, WAITING_FOR_ROOM, message, Wait.LOST)
    return OPEN


def most(observed: Observed, state: State, revision: str) -> int:
    """Return the most replicas of a live revision by itself; with a budget a revision that serves no good gives way."""
    total = replicas(observed, state)
    bound = observed.max_replicas
    if total is None or state.canary is None or state.stable is None:
        return bound
    canary = observed.revision(state.canary.revision)
    if revision == state.stable.revision and state.canary.abort is None and stable_is_broken(observed):
        wants = _wanted(observed, state, canary, capacity.next_weight(observed, state))
        return max(1, min(bound, total - wants))
    return bound


def external_too_small(observed: Observed) -> str:
    """Say that a total of one replica cannot be shared, and what helps."""
    key = observed.world.key
    return (
        "With rollout.surge Budget two revisions share scaling.external.replicas, which is 1. Raise it: "
        f"kubectl -n {key.namespace} scale infsvc {key.name} --replicas=2; or set rollout.surge Full."
    )


def asked(observed: Observed, seen: Revision) -> int:
    """Return the replicas that a revision is told to have, or had when its Deployment was last there."""
    return seen.asked if seen.asked is not None else observed.world.last_replicas.get(seen.name, 0)


def _shared_by(observed: Observed, state: State, revision: str) -> int | None:
    """Return the budget if the revision is the canary that comes into it."""
    is_canary = state.canary is not None and revision == state.canary.revision
    return replicas(observed, state) if is_canary else None


def _stable(observed: Observed, state: State) -> Revision:
    assert state.stable is not None
    return observed.revision(state.stable.revision)


def _wanted(observed: Observed, state: State, canary: Revision, percent: int) -> int:
    said = capacity.answer(canary, percent)
    if said is None:
        return 1
    return max(capacity.bounds(observed, state, canary.revision)[0], said.replicas)


def _too_small(observed: Observed, state: State, kept: int, wants: int, percent: int) -> str:
    assert state.canary is not None
    return (
        f"With rollout.surge Budget both revisions together have at most predictor.maxReplicas ({observed.max_replicas}): "
        f"stable needs {kept} for what it keeps, and revision {state.canary.revision} needs {wants} for {percent}%. "
        f"{capacity.raise_max_replicas(observed, kept + wants)}; or take smaller steps."
    )

"""Abort: traffic goes back first, then everything else; what began is carried through."""

from __future__ import annotations

from dataclasses import replace

from serving_api.status import Abort, Rejected
from serving_operator.rollout import (
    acknowledge,
    capacity,
    deadlines,
    giving_back,
    rollforward,
    routing,
    surge,
)
from serving_operator.rollout.commands import label_command
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import Move, State, text_of
from serving_operator.status.diagnosis import diagnose

BY_LABEL = "AbortedByLabel"


def cause(observed: Observed, state: State) -> Abort | None:
    """Return why the attempt under way is, or must be, aborted."""
    assert state.canary is not None
    assert state.stable is not None
    canary = state.canary
    if state.commanded("Abort", canary.id):
        return Abort(reason=BY_LABEL, message=f"Attempt {canary.id} was aborted by its label.", rejects=True)
    if canary.abort is not None:
        return canary.abort
    carried = routing.aborting(observed)
    if carried is not None and carried.id == canary.id:
        return Abort(reason=carried.reason, message=carried.message, rejects=carried.rejects)
    if state.promoted() is None and observed.wanted != canary.revision:
        if observed.wanted == state.stable.revision:
            message = f"The spec is back at revision {state.stable.revision} (stable)."
            return Abort(reason="Reverted", message=message, rejects=False)
        if rollforward.stable_is_broken(observed) and _would_go_dark(observed, state):
            return None  # the canary has the only pods that answer: it rolls forward, and what the spec asks for follows
        return Abort(
            reason="Superseded", message=f"The spec asks for revision {observed.wanted}.", rejects=False
        )
    return None


def carry_out(observed: Observed, state: State, why: Abort) -> Move:
    """Take the traffic from the canary, wait until no Gateway sends any, and end the attempt."""
    assert state.canary is not None
    assert state.stable is not None
    canary, stable = state.canary, state.stable
    weight = _weight(observed, state)
    if weight > 0 and why.reason != BY_LABEL and _would_go_dark(observed, state):
        message = (
            f"{why.message} But revision {stable.revision} (stable) has no ready pod, so that no traffic is moved to "
            f"it. Abort all the same: {label_command(observed, 'Abort', canary.id)}"
        )
        return Move(state, "StableNotReady", message, look_again=rollforward.broken_at(observed))
    begun = deadlines.accounted(state, None, observed.now).with_canary(abort=why)
    kept = giving_back.kept_weight(observed, begun, weight, insists=why.reason == BY_LABEL) if weight else 0
    if weight > 0 and (kept == 0 or not _is_under_way(observed, state, kept)):
        carried = routing.Aborting(canary.id, why.reason, why.message, why.rejects)
        weights = {stable.revision: 100 - kept, canary.revision: kept}
        write = routing.write(
            observed, routing.with_leaving(observed, weights), f"attempt {canary.id} is aborted", carried
        )
        return Move(begun, why.reason, why.message, writes=(write,))
    if kept > 0:
        return _returning(observed, begun, why, kept)
    # A route that is gone is made again: until a Gateway has seen that, its proxies may go on as they were told.
    was_told = observed.route is None and bool(canary.weight)
    may_get_requests = canary.revision in observed.weights or not observed.routed or was_told
    if may_get_requests and not acknowledge.settled(observed, draining=True):
        answer = acknowledge.drained(observed)
        moments = (acknowledge.settled_at(observed, draining=True),) if answer.given else ()
        return Move(begun, why.reason, f"{why.message} {answer.message}", look_again=moments)
    rejection = Rejected(
        id=canary.id,
        revision=canary.revision,
        reason=why.reason,
        message=why.message,
        time=text_of(observed.now),
    )
    return Move(begun.without_canary(rejection if why.rejects else None), why.reason, why.message)


def _weight(observed: Observed, state: State) -> int:
    """Return the weight to be taken back: of what the route has and ought to have, so that an edit ends no abort.

    With surge Budget it is what the route ought to have: an edit that raised it is no reason to leave it there.
    """
    assert state.canary is not None
    ought = routing.backends(observed, state).get(state.canary.revision, 0)
    if surge.is_budget(observed, state):
        return ought
    return max(ought, observed.weights.get(state.canary.revision, 0))


def _is_under_way(observed: Observed, state: State, kept: int) -> bool:
    """Whether the route has this weight already, and says why."""
    assert state.canary is not None
    carried = routing.aborting(observed)
    told = carried is not None and carried.id == state.canary.id
    has = observed.weights.get(state.canary.revision, 0)
    return told and has == kept and not routing.is_drifted(observed, state)


def _returning(observed: Observed, begun: State, why: Abort, kept: int) -> Move:
    """Wait until stable carries more; what the proxies carry out by now is told."""
    assert begun.stable is not None
    settled = acknowledge.settled(observed, draining=True)
    state = begun.with_canary(weight=kept) if settled else begun
    moments = (acknowledge.settled_at(observed, draining=True),) if not settled else ()
    message = (
        f"{why.message} Revision {begun.stable.revision} (stable) carries {100 - kept}% of the demand; the rest goes "
        "back to it as it gets its replicas back."
    )
    gate = capacity.autoscaler_gate(observed)
    if not gate.open:
        message = f"{message} {gate.message}"
    stable = observed.revision(begun.stable.revision)
    found = diagnose(stable.pods, stable.deployment)
    if found is None or not found.needs_person:
        return Move(state, why.reason, message, look_again=moments)
    message = f"{message} {found.message}"
    # Where only room is wanted the canary gives way; whatever else stable's pods lack, nobody here can give them.
    stalled, cause = (False, None) if found.wants_room else (True, found.reason)
    return Move(state, why.reason, message, stalled=stalled, cause=cause, look_again=moments)


def _would_go_dark(observed: Observed, state: State) -> bool:
    assert state.canary is not None
    assert state.stable is not None
    stable_answers = observed.revision(state.stable.revision).has_ready_pod
    return not stable_answers and observed.revision(state.canary.revision).has_ready_pod


def overdue(observed: Observed, state: State) -> Abort:
    """Say why an attempt whose time is up was not ready: the cause that its pods show, if they show one."""
    assert state.canary is not None
    revision = state.canary.revision
    seen = observed.revision(revision)
    found = diagnose(seen.pods, seen.deployment)
    seconds = observed.rollout_of(revision).progress_deadline_seconds
    late = f"Revision {revision} was not ready within {seconds} s (rollout.progressDeadlineSeconds)."
    if found is None or not found.final:
        late = f"{late} If its model only needs longer to load, predictor.modelLoadSeconds gives it the time."
    if found is None:
        return Abort(reason="ProgressDeadlineExceeded", message=late, rejects=True)
    return Abort(reason=found.reason, message=f"{late} {found.message}", rejects=True)


def not_rejected(observed: Observed, waiting: Move) -> Move:
    """Let an attempt whose time is up wait on, and say that it will not get well by itself."""
    late = overdue(observed, waiting.state)
    return replace(
        waiting, reason=late.reason, message=late.message, stalled=True, overdue=False, look_again=()
    )

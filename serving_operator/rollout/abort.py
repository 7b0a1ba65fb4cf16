"""Abort: traffic goes back first, then everything else; what began is carried through."""

from __future__ import annotations

from dataclasses import replace

from serving_api.status import Abort, Rejected
from serving_operator.rollout import acknowledge, deadlines, routing
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
        return Abort(
            reason="Superseded", message=f"The spec asks for revision {observed.wanted}.", rejects=False
        )
    return None


def carry_out(observed: Observed, state: State, why: Abort) -> Move:
    """Take the traffic from the canary, wait until no Gateway sends any, and end the attempt."""
    assert state.canary is not None
    assert state.stable is not None
    canary, stable = state.canary, state.stable
    # Of what the route has and what it ought to have: an edit by somebody else ends no abort.
    weight = max(
        found.get(canary.revision, 0) for found in (observed.weights, routing.backends(observed, state))
    )
    if weight > 0 and why.reason != BY_LABEL and _would_go_dark(observed, state):
        message = (
            f"{why.message} But revision {stable.revision} (stable) has no ready pod, so that no traffic is moved to "
            f"it. Abort all the same: {label_command(observed, 'Abort', canary.id)}"
        )
        return Move(state, "StableNotReady", message)
    begun = deadlines.accounted(state, None, observed.now).with_canary(abort=why)
    if weight > 0:
        carried = routing.Aborting(canary.id, why.reason, why.message, why.rejects)
        weights = {stable.revision: 100, canary.revision: 0}
        write = routing.write(
            observed, routing.with_leaving(observed, weights), f"attempt {canary.id} is aborted", carried
        )
        return Move(begun, why.reason, why.message, writes=(write,))
    may_get_requests = canary.revision in observed.weights or not observed.routed
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
    late = f"Revision {revision} was not ready within {seconds} s."
    if found is None:
        return Abort(reason="ProgressDeadlineExceeded", message=late, rejects=True)
    return Abort(reason=found.reason, message=f"{late} {found.message}", rejects=True)


def not_rejected(observed: Observed, waiting: Move) -> Move:
    """Let an attempt whose time is up wait on, and say that it will not get well by itself."""
    late = overdue(observed, waiting.state)
    return replace(
        waiting, reason=late.reason, message=late.message, stalled=True, overdue=False, look_again=()
    )

"""The revision that was committed before: for how long a label brings it back, and for how long its pods stay."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from serving_api.names import Attempt
from serving_api.status import PreviousStatus, Rejected
from serving_operator.rollout.capacity import live_revisions
from serving_operator.rollout.live import is_leaving
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State, moment_of, text_of

ROLLED_BACK = "RolledBack"


class NoWayBack(NamedTuple):
    """Why the committed attempt cannot be rolled back, as the end of a sentence about its label."""

    reason: str
    words: str


def committed(observed: Observed, state: State, attempt: Attempt) -> State:
    """Return the state in which this attempt is stable and knows the one before it.

    After a rollback that one is rejected instead: nobody goes back to it but by a retry.
    """
    former, at = state.stable, text_of(observed.now)
    made = state.committed(attempt)
    if former is None or not state.rolls_back:
        previous = PreviousStatus(id=former.id, revision=former.revision) if former else None
        return made.with_stable(committed_at=at, previous=previous)
    rejection = rejected(Attempt.parse(former.id) or Attempt(former.revision, 1), at)
    return made.with_stable(committed_at=at).without_canary(rejection)


def rejected(attempt: Attempt, at: str) -> Rejected:
    """Return why an attempt that was rolled back is not tried again."""
    message = f"Attempt {attempt} was committed, and rolled back by its abort label."
    return Rejected(id=str(attempt), revision=attempt.revision, reason=ROLLED_BACK, message=message, time=at)


def standing(observed: Observed, state: State) -> list[str]:
    """Return the revisions whose children are kept whole: the live ones, and one that is kept warm."""
    warm = kept_warm(observed, state)
    return live_revisions(state) + ([warm] if warm is not None else [])


def kept_warm(observed: Observed, state: State) -> str | None:
    """Return the former revision while its pods are kept; what is gone of them stays gone.

    A canary ends that, and a spec that asks for one: it may wait for the room that these pods take.
    """
    return _with_pods(observed, state, warm_until(observed, state))


def spared(observed: Observed, state: State) -> str | None:
    """Return the former revision while a label brings it back and the committed one answers nobody.

    Then its pods, if they are still there, are the way back that takes no start.
    """
    if state.stable is None or observed.revision(state.stable.revision).answers:
        return None
    return _with_pods(observed, state, window_ends(observed, state))


def _with_pods(observed: Observed, state: State, until: datetime | None) -> str | None:
    if until is None or observed.now >= until or state.canary is not None:
        return None
    assert state.stable is not None
    assert state.stable.previous is not None
    standing_for = (state.stable.revision, state.stable.previous.revision)
    if observed.wanted not in standing_for and state.rejection_of(observed.wanted) is None:
        return None
    seen = observed.revision(state.stable.previous.revision)
    return None if seen.deployment is None or is_leaving(seen.deployment) else seen.revision


def warm_until(observed: Observed, state: State) -> datetime | None:
    """Return when the former revision's time with pods ends, by the spec as it is now; None without one."""
    return _after_commit(state, observed.service.spec.rollout.keep_warm_seconds)


def window_ends(observed: Observed, state: State) -> datetime | None:
    """Return until when a label brings the former revision back, by the spec as it is now; None without one."""
    return _after_commit(state, observed.service.spec.rollout.rollback_window_seconds)


def within_window(observed: Observed, state: State) -> str | None:
    """Return the former revision while a label brings it back: so long its record is kept."""
    ends = window_ends(observed, state)
    if ends is None or observed.now >= ends:
        return None
    assert state.stable is not None
    assert state.stable.previous is not None
    return state.stable.previous.revision


def no_way_back(observed: Observed, state: State) -> NoWayBack | None:
    """Return why the committed attempt cannot be rolled back now; None if it can."""
    previous = state.stable.previous if state.stable else None
    if state.stable is None or previous is None or state.stable.committed_at is None:
        words = "it has no former revision to go back to; change the spec instead"
        return NoWayBack("NothingToGoBackTo", words)
    revision, seconds = previous.revision, observed.service.spec.rollout.rollback_window_seconds
    if within_window(observed, state) is None:
        ended = f"it was committed at {state.stable.committed_at}, and rollout.rollbackWindowSeconds allows {seconds} s"
        words = f"{ended}; apply the spec of revision {revision} instead"
        return NoWayBack("RollbackWindowOver", words)
    seen = observed.revision(revision)
    remembered = seen.record or observed.last_record(revision) or seen.deployment
    if remembered is None and observed.wanted != revision:
        words = f"neither ControllerRevision nor Deployment of revision {revision} is left; apply its spec instead"
        return NoWayBack("RevisionLost", words)
    return None


def _after_commit(state: State, seconds: int) -> datetime | None:
    stable = state.stable
    if stable is None or stable.previous is None or stable.committed_at is None:
        return None
    return moment_of(stable.committed_at) + timedelta(seconds=seconds)

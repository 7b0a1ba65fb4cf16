"""Roll forward: a stable revision that answers nobody is no measure for a canary, and no place to go back to."""

from __future__ import annotations

from datetime import datetime, timedelta

from serving_operator.rollout import deadlines
from serving_operator.rollout.commands import label_command
from serving_operator.rollout.first_seen import stable_broken
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import Move, State

ROLL_FORWARD = "RollForward"


def stable_is_broken(observed: Observed) -> bool:
    """Whether stable has had no ready pod for so long that a canary cannot be compared with it."""
    since = _broken_since(observed)
    return since is not None and observed.now - since >= _patience(observed)


def roll_forward(observed: Observed, state: State) -> Move:
    """Waive step and stable gate for a broken stable; under promotion Manual it waits for the label all the same."""
    assert state.canary is not None
    assert state.stable is not None
    canary = state.canary
    if observed.rollout_of(canary.revision).promotion == "Automatic":
        return deadlines.promotion(observed, state, "RollForward")
    message = (
        f"Revision {state.stable.revision} (stable) has no ready pod, and revision {canary.revision} is ready: "
        f"promote it straight to 100%: {label_command(observed, 'Promote', canary.id)}"
    )
    ready = deadlines.accounted(state, None, observed.now)
    return Move(ready, ROLL_FORWARD, message, waits_for_person=True)


def broken_at(observed: Observed) -> tuple[datetime, ...]:
    """Return when a stable without a ready pod counts as broken, if it has none."""
    since = _broken_since(observed)
    return (since + _patience(observed),) if since else ()


def _patience(observed: Observed) -> timedelta:
    return timedelta(seconds=observed.settings.stable_broken_seconds)


def _broken_since(observed: Observed) -> datetime | None:
    stable = State.of(observed.world.service.get("status") or {}).stable
    if stable is None or observed.revision(stable.revision).has_ready_pod:
        return None
    return observed.world.since.get(stable_broken(stable.revision))

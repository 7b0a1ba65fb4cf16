"""Rollback: the abort label of the committed attempt brings the former revision back as a new attempt.

It is promoted straight. If its pods were kept warm, the first write after the command is that of the route.
"""

from __future__ import annotations

from dataclasses import replace

from serving_api.names import Attempt
from serving_api.status import CanaryStatus, Command, Promotion
from serving_operator.children.revision import attempt_of
from serving_operator.rollout import abort, attempts, previous, promote
from serving_operator.rollout.commands import label_command
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.rollforward import ROLL_FORWARD
from serving_operator.rollout.state import Move, State, text_of
from serving_operator.world import Manifest

ROLLING_BACK = "RollingBack"


def is_asked(state: State, command: Command) -> bool:
    """Whether a command that is accepted just now aborts the committed attempt."""
    stable, canary = state.stable, state.canary
    return command.kind == "Abort" and stable is not None and command.id == stable.id and canary is None


def begin(observed: Observed, state: State) -> Move:
    """Begin the attempt in the write that records its command; its record follows behind the route."""
    assert state.stable is not None
    assert state.stable.previous is not None
    attempt = Attempt(state.stable.previous.revision, attempts.next_number(observed, state))
    begun = replace(state, canary=_attempt(attempt, text_of(observed.now), 0))
    return Move(begun, ROLLING_BACK, _what(begun))


def advance(observed: Observed, state: State) -> Move:
    """Take the former revision to all of the traffic and commit it; it waits as long as that takes.

    A person has asked for it and nothing better is there, so that it is never rejected for being late.
    """
    move = promote.promote(observed, state)
    if move.state.canary is None:
        return move
    if move.overdue:
        move = abort.not_rejected(observed, move)
    assert state.canary is not None
    give_up = f"Give the rollback up: {label_command(observed, 'Abort', state.canary.id)}"
    reason = ROLLING_BACK if move.reason in (promote.PROMOTING, ROLL_FORWARD) else move.reason
    return replace(move, reason=reason, message=f"{_what(state)} {move.message} {give_up}")


def unrecorded(observed: Observed, state: State, revision: str) -> Attempt | None:
    """Return the rollback under way at a revision whose record still tells of an earlier attempt."""
    canary = state.canary
    if canary is None or not state.rolls_back or canary.revision != revision:
        return None
    attempt = Attempt.parse(canary.id)
    return attempt if attempt != observed.recorded_attempt(revision) else None


def described(observed: Observed, state: State, attempt: Attempt) -> Manifest:
    """Return what the record says of the attempt; a lost status finds the rollback by it."""
    assert state.canary is not None
    assert state.stable is not None
    began = state.canary.started_at or text_of(observed.now)
    return attempts.described(observed, attempt, began) | {"rollsBack": state.stable.id}


def recovered(observed: Observed, state: State) -> State:
    """Return the state with the rollback that a lost status told of: one under way, or what the last one rejects."""
    live = observed.world.service.get("status") or {}
    if live.get("stable") or live.get("canary") or state.stable is None:
        return state
    at = text_of(observed.now)
    undone = Attempt.parse(attempt_of(observed.records[state.stable.revision]).get("rollsBack"))
    if undone is not None and all(entry.id != str(undone) for entry in state.rejected):
        state = replace(state, rejected=(*state.rejected, previous.rejected(undone, at)))
    record = max(observed.records.values(), key=lambda found: int(found.get("revision", 0)))
    attempt = Attempt.parse(attempt_of(record).get("id"))
    assert state.stable is not None
    if attempt is None or attempt_of(record).get("rollsBack") != state.stable.id:
        return state
    if any(entry.id == str(attempt) for entry in state.rejected):
        return state
    return replace(state, canary=_attempt(attempt, at, observed.weights.get(attempt.revision, 0)))


def _attempt(attempt: Attempt, at: str, weight: int) -> CanaryStatus:
    return CanaryStatus(
        id=str(attempt),
        revision=attempt.revision,
        step=0,
        weight=weight,
        started_at=at,
        promotion=Promotion(reason="Rollback", time=at),
    )


def _what(state: State) -> str:
    assert state.canary is not None
    assert state.stable is not None
    return f"Attempt {state.stable.id} is rolled back to revision {state.canary.revision}."

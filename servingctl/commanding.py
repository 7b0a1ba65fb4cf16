"""Which attempt a command is for, and whether the operator would obey it: by the operator's own judgement."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from serving_api.names import COMMAND_LABELS
from serving_api.service import InferenceService
from serving_operator.rollout.commands import LABELS, hear
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State
from serving_operator.world import DEFAULT_SETTINGS, World

Kind = Literal["Promote", "Abort", "Retry"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A command that would be obeyed."""

    kind: Kind
    attempt: str
    label: str
    accepted_at: str | None = None
    """When it was accepted already: there is nothing left to do."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command cannot be given, in a sentence with the way out."""

    reason: str
    message: str


def choose(
    kind: Kind, world: World, now: datetime, *, attempt: str | None = None, committed: bool = False
) -> Chosen | Refusal:
    """Return the command for the attempt under way, or `committed` one, or the named one. Raises pydantic.ValidationError."""
    service = InferenceService.parse(world.service)
    state = State.of(world.service.get("status") or {})
    observed = Observed(world, DEFAULT_SETTINGS, now, service)
    named = attempt or _candidate(kind, observed, state, committed)
    if isinstance(named, Refusal):
        return named
    label = dict(LABELS)[kind]
    command = state.commanded(kind, named)
    labelled = copy.deepcopy(world.service)
    kept = {
        key: value
        for key, value in (labelled["metadata"].get("labels") or {}).items()
        if key not in COMMAND_LABELS
    }
    labelled["metadata"]["labels"] = kept | {label: named}
    asked = Observed(
        replace(world, service=labelled), DEFAULT_SETTINGS, now, InferenceService.parse(labelled)
    )
    heard = hear(asked, state)
    if heard.ignored:
        return Refusal(heard.ignored[0].reason, heard.ignored[0].message)
    return Chosen(kind, named, label, command.time if command is not None else None)


def _candidate(kind: Kind, observed: Observed, state: State, committed: bool) -> str | Refusal:
    name = f"{observed.world.key}"
    if kind == "Retry":
        entry = state.rejection_of(observed.wanted)
        if entry is not None:
            return entry.id
        return Refusal(
            "NothingToRetry",
            f"{name}: the revision that the spec asks for is not rejected; there is nothing to retry.",
        )
    if committed and state.stable is not None:
        return state.stable.id
    if state.canary is None and state.stable is not None and kind == "Abort":
        return Refusal(
            "NothingToAbort",
            f"{name}: there is no canary to abort. To go back from the committed attempt {state.stable.id}, add --committed.",
        )
    if state.canary is None:
        until = (
            ""
            if state.stable is None
            else f"; attempt {state.stable.id} is committed and has all of the traffic"
        )
        return Refusal(f"NothingTo{kind}", f"{name}: there is no canary to {kind.lower()}{until}.")
    if state.stable is None:
        return Refusal(
            "FirstRevision",
            f"{name}: attempt {state.canary.id} is the first revision: it needs no promotion and has nothing to go back to. "
            "Change the spec instead.",
        )
    return state.canary.id

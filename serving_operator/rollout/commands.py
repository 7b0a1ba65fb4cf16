"""Commands by label: which are accepted, once, and what to say of the others."""

from __future__ import annotations

from typing import Literal, NamedTuple

from serving_api.names import ABORT_LABEL, PROMOTE_LABEL, RETRY_LABEL, USER_SUFFIX
from serving_api.status import Command
from serving_operator.rollout import previous
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State, text_of
from serving_operator.world import Manifest

Kind = Literal["Promote", "Abort", "Retry"]

LABELS: tuple[tuple[Kind, str], ...] = (
    ("Abort", ABORT_LABEL),
    ("Promote", PROMOTE_LABEL),
    ("Retry", RETRY_LABEL),
)
"""In the order in which they count: an abort beats a promotion."""


class Ignored(NamedTuple):
    """A label that changes nothing, and why."""

    reason: str
    message: str


class Heard(NamedTuple):
    """What the labels ask for: the state with newly accepted commands, and what is ignored."""

    state: State
    accepted: tuple[Command, ...]
    ignored: tuple[Ignored, ...]


def hear(observed: Observed, state: State) -> Heard:
    """Read the labels. An accepted command acts only once it is read back from the status."""
    accepted: list[Command] = []
    ignored: list[Ignored] = []
    for kind, label in LABELS:
        value = observed.service.labels.get(label)
        if value is None:
            continue
        refusal = _refusal(observed, state, kind, value)
        if refusal is not None:
            ignored.append(refusal)
        elif state.commanded(kind, value) is None:
            command = Command(kind=kind, id=value, time=text_of(observed.now))
            accepted.append(command)
            state = state.with_command(command)
            if kind == "Promote":
                # The promotion has the whole of the deadline to get its capacity.
                state = state.with_canary(held_seconds=None, hold=None)
    return Heard(state, tuple(accepted), tuple(ignored))


def given_by(service: Manifest, kind: Kind) -> str:
    """Return who set a command label: the user whom an admission policy noted, and the field manager; perhaps empty."""
    label, metadata = dict(LABELS)[kind], service["metadata"]
    managers = [
        entry["manager"]
        for entry in metadata.get("managedFields") or ()
        if f"f:{label}" in ((entry["fieldsV1"].get("f:metadata") or {}).get("f:labels") or {})
    ]
    user = (metadata.get("annotations") or {}).get(label + USER_SUFFIX)
    tool = ", ".join(dict.fromkeys(managers))
    return f"{user} ({tool})" if user and tool else user or tool


def label_command(observed: Observed, kind: Kind, attempt: str) -> str:
    """Return the command that gives a command label, ready to be pasted."""
    key, label = observed.world.key, dict(LABELS)[kind]
    return f"kubectl -n {key.namespace} label --overwrite infsvc {key.name} {label}={attempt}"


def _refusal(observed: Observed, state: State, kind: Kind, value: str) -> Ignored | None:
    canary = state.canary
    current = canary.id if canary is not None and state.stable is not None else None
    if kind == "Retry":
        return _refused_retry(observed, state, value)
    names_stable = kind == "Abort" and state.stable is not None and value == state.stable.id
    being_rolled_back = names_stable and state.rolls_back
    if being_rolled_back or (state.commanded(kind, value) is not None and current in (None, value)):
        return None  # done, or being done
    if names_stable:
        return _refused_rollback(observed, state, value)
    label = dict(LABELS)[kind]
    if value != current:
        return Ignored(
            "StaleLabel" if _was_known(state, value) else "UnknownAttempt",
            _name_current(observed, state, kind, value),
        )
    if kind == "Promote" and (state.commanded("Abort", value) or canary is None or canary.abort):
        return Ignored("Aborting", f"Label {label}={value} comes too late: this attempt is being aborted.")
    return None


def _refused_rollback(observed: Observed, state: State, value: str) -> Ignored | None:
    said = f"Label {ABORT_LABEL}={value} names the stable revision"
    if state.canary is not None:
        canary, former = state.canary, previous.within_window(observed, state)
        kind: Kind = "Promote" if canary.revision == former else "Abort"
        way_out = label_command(observed, kind, canary.id)
        message = f"{said} while attempt {canary.id} is under way; end that one first: {way_out}"
        return Ignored("AttemptUnderWay", message)
    refused = previous.no_way_back(observed, state)
    return None if refused is None else Ignored(refused.reason, f"{said}; {refused.words}.")


def _refused_retry(observed: Observed, state: State, value: str) -> Ignored | None:
    if state.commanded("Retry", value) is not None:
        return None
    entry = state.rejection_of(observed.wanted)
    if entry is not None and entry.id == value:
        return None
    if entry is None:
        remedy = "the revision that the spec asks for is not rejected, so there is nothing to retry"
    else:
        remedy = f"retry it by: {label_command(observed, 'Retry', entry.id)}"
    return Ignored("UnknownAttempt", f"Label {RETRY_LABEL}={value} names no attempt to retry; {remedy}.")


def _name_current(observed: Observed, state: State, kind: Kind, value: str) -> str:
    said = f"Label {dict(LABELS)[kind]}={value} names no attempt under way"
    if state.canary is None:
        return f"{said}; there is no canary to {kind.lower()}."
    if state.stable is None:
        return f"{said}; a first revision needs no promotion and has nothing to go back to: change the spec instead."
    return f"{said}; use {state.canary.id}: {label_command(observed, kind, state.canary.id)}"


def _was_known(state: State, value: str) -> bool:
    known = [*(entry.id for entry in state.rejected), *(entry.id for entry in state.commands)]
    return value in known or (state.stable is not None and value == state.stable.id)

"""Events: one for each transition of the status, none for what stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from serving_api.status import EvidenceStatus
from serving_operator.rollout.commands import given_by
from serving_operator.rollout.evidence import in_numbers
from serving_operator.rollout.judgement import TOO_FEW_REQUESTS
from serving_operator.world import EventNote, Manifest

_WARNS_IF_TRUE = ("Stalled", "CommandIgnored", "NameConflict", "ReserveLimited")
_FOUND = {"Good": "good enough", "Bad": "worse than stable", "Inconclusive": "neither good nor bad"}
_WHY = {
    "GoodEnough": "every step was good",
    "RollForward": "stable has no ready pod, and the canary is ready",
    "Rollback": "the attempt that was committed after it is rolled back",
    "Restored": "its promotion was under way when the status was lost",
}


def transitions(before: Manifest, after: Manifest, service: Manifest) -> tuple[EventNote, ...]:
    """Return what happened between two statuses of a service."""
    return (*_of_the_rollout(before, after, service), *_of_conditions(before, after))


def _of_the_rollout(before: Manifest, after: Manifest, service: Manifest) -> Iterator[EventNote]:
    had, has = before.get("canary") or {}, after.get("canary") or {}
    for command in after.get("commands") or ():
        if command not in (before.get("commands") or ()):
            author = given_by(service, command["kind"])
            told = f", given by {author}" if author else ""
            message = f"{command['kind']} {command['id']} was accepted{told}; its label may stay or go."
            yield EventNote("Normal", "CommandAccepted", message, "Rollout")
    if has and has["id"] != had.get("id"):
        yield EventNote("Normal", "AttemptStarted", f"Attempt {has['id']} has begun.", "Rollout")
    if has and has.get("weight") and (had.get("id"), had.get("weight")) != (has["id"], has["weight"]):
        message = f"Attempt {has['id']} has {has['weight']}% of the traffic."
        yield EventNote("Normal", "WeightReached", message, "Rollout")
    said = has.get("evidence")
    if said and (had.get("id"), had.get("evidence")) != (has["id"], said):
        numbers = in_numbers(EvidenceStatus.model_validate(said))
        message = f"Attempt {has['id']} is {_FOUND[said['verdict']]} at step {said['step']}: {numbers}"
        kind: Literal["Normal", "Warning"] = "Normal" if said["verdict"] == "Good" else "Warning"
        yield EventNote(kind, f"Step{said['verdict']}", message, "Rollout")
    promotion = has.get("promotion")
    if promotion and (had.get("id"), had.get("promotion")) != (has["id"], promotion):
        message = f"Attempt {has['id']} is promoted without a label: {_WHY[promotion['reason']]}."
        yield EventNote("Normal", "Promoted", message, "Rollout")
    if has.get("abort") and not had.get("abort"):
        message = f"Attempt {has['id']} is aborted: {has['abort']['message']}"
        yield EventNote("Warning", "Aborting", message, "Rollout")
    for entry in after.get("rejected") or ():
        if entry not in (before.get("rejected") or ()):
            message = f"Attempt {entry['id']} is rejected: {entry.get('message') or entry['reason']}"
            yield EventNote("Warning", "Rejected", message, "Rollout")
    stable = after.get("stable") or {}
    if stable and stable != before.get("stable"):
        yield EventNote("Normal", "Committed", f"Attempt {stable['id']} is the stable revision.", "Rollout")


def _of_conditions(before: Manifest, after: Manifest) -> Iterator[EventNote]:
    known = {entry["type"]: entry for entry in before.get("conditions") or ()}
    for entry in after.get("conditions") or ():
        was = known.get(entry["type"], {})
        changed = was.get("status") != entry["status"]
        if entry["type"] == "UpToDate" and entry["reason"] == TOO_FEW_REQUESTS != was.get("reason"):
            yield EventNote("Warning", TOO_FEW_REQUESTS, entry["message"][:1024], "Rollout")
        if entry["type"] in _WARNS_IF_TRUE:
            if entry["status"] == "True" and (changed or was.get("reason") != entry["reason"]):
                yield EventNote("Warning", f"{entry['type']}{entry['reason']}"[:128], entry["message"][:1024])
        elif (
            entry["type"] in ("Servable", "RouteProgrammed")
            and changed
            and (was or entry["status"] == "True")
        ):
            kind = "Normal" if entry["status"] == "True" else "Warning"
            yield EventNote(
                "Normal" if kind == "Normal" else "Warning", entry["reason"], entry["message"][:1024]
            )

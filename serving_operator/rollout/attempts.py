"""Attempts: which one the spec asks for, what its id is, and how it begins."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta

from pydantic import ValidationError

from serving_api.names import ABORT_LABEL, OPERATOR, PROMOTE_LABEL, RETRY_LABEL, STORAGE_LABEL, Attempt
from serving_api.status import CanaryStatus, Promotion, Rejected
from serving_operator.children.revision import attempt_of, restated
from serving_operator.rollout import committed, routing
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.recording import rendered
from serving_operator.rollout.state import HISTORY, Move, State, text_of
from serving_operator.runtimes.catalogue import Unresolved
from serving_operator.runtimes.resolve import resolve
from serving_operator.world import Manifest, Write

UNWATCHED_AGAIN_SECONDS = 15.0
"""Neither Secrets nor quotas are watched: what is missing of one is looked at again so often."""
_LARGEST_NUMBER_BELIEVED = 99_999_999
"""A label may hold any number; one near the end of the range must not exhaust it."""


def recovered(observed: Observed, state: State) -> State:
    """Return the state, with what an empty status lost taken from the records and the route.

    Only a status without any revision counts as lost: after a restore, or between the first write and the second.
    """
    if state.stable is not None or state.canary is not None:
        return state
    marked = observed.marked_stable()
    stable = None
    if marked is not None:
        attempt = observed.recorded_attempt(marked) or Attempt(marked, 1)
        stable = committed.of(observed.stable_service)
        if stable is None or stable.revision != marked:
            stable = committed.described(attempt, attempt_of(observed.records[marked]))
    record = observed.records.get(observed.wanted)
    latest = Attempt.parse(attempt_of(record).get("id")) if record else None
    canary = None
    state = replace(state, rejected=_recorded_rejections(observed))
    is_over = observed.wanted == marked or state.has_rejected(latest)
    if latest is not None and not is_over and latest.number >= _highest_recorded(observed):
        weight = observed.weights.get(latest.revision, 0)
        rollout = observed.rollout_of(latest.revision)
        reached = [index for index, step in enumerate(rollout.steps) if step.weight <= weight]
        canary = CanaryStatus(
            id=str(latest),
            revision=latest.revision,
            step=reached[-1] if reached else 0,
            weight=weight if stable is not None else None,
            started_at=text_of(observed.now),
        )
        written = routing.written(observed) or {}
        if stable is not None and rollout.promotion == "Automatic" and written.get(latest.revision) == 100:
            # Nothing but an accepted promotion writes this weight.
            promotion = Promotion(reason="Restored", time=text_of(observed.now))
            canary = canary.model_copy(update={"promotion": promotion})
    return replace(state, stable=stable, canary=canary)


def _recorded_rejections(observed: Observed) -> tuple[Rejected, ...]:
    """Return how attempts ended by what their records say, the latest last."""
    found = []
    for record in observed.records.values():
        with contextlib.suppress(ValidationError):
            found.append(Rejected.model_validate(attempt_of(record).get("rejected")))
    return tuple(sorted(found, key=lambda entry: entry.time))[-HISTORY:]


def next_number(observed: Observed, state: State) -> int:
    """Return a number that no attempt of this service ever had, as far as anything remembers."""
    known = [_highest_recorded(observed)]
    remembered = [
        *(entry.id for entry in (state.stable, state.canary) if entry is not None),
        *(entry.id for entry in state.rejected),
        *(entry.id for entry in state.commands),
        *(observed.service.labels.get(label) for label in (PROMOTE_LABEL, ABORT_LABEL, RETRY_LABEL)),
    ]
    for text in remembered:
        attempt = Attempt.parse(text)
        if attempt is not None and attempt.number <= _LARGEST_NUMBER_BELIEVED:
            known.append(attempt.number)
    return max(known) + 1


def unserved(observed: Observed, state: State) -> Move | None:
    """Return the wait for a runtime, where none serves the revision that the spec asks for and it has no record yet."""
    if observed.records.get(observed.wanted) or observed.last_record(observed.wanted):
        return None
    try:
        resolve(observed.service.spec.predictor, observed.world.runtimes)
    except Unresolved as missing:
        return Move(state, missing.reason, str(missing), stalled=True)
    return _closed(observed, state)


def _closed(observed: Observed, state: State) -> Move | None:
    """Return the wait for a Secret that the model's storage names and that no label, or no right, opens to downloads."""
    model = observed.service.spec.predictor.model
    state_of_secret = observed.world.storage_secret
    if model is None or model.storage is None or state_of_secret == "Labelled":  # noqa: S105  (no secret)
        return None
    name, namespace = model.storage.secret_name, observed.world.key.namespace
    role = "role" if observed.settings.one_namespace else "clusterrole"
    remedies = {
        "Missing": f"create it with the label {STORAGE_LABEL}=true",
        "Unlabelled": f"whoever owns it allows it: kubectl -n {namespace} label secret {name} {STORAGE_LABEL}=true",
        "Unreadable": "the operator may not look at its label: "
        f"kubectl -n {namespace} create rolebinding serving-operator-storage "
        f"--{role}=serving-operator-storage --serviceaccount={observed.settings.namespace}:{OPERATOR}",
    }
    found = state_of_secret or "Unreadable"
    message = f"Secret {name} of predictor.model.storage is not opened to downloads; {remedies[found]}"
    again = observed.now + timedelta(seconds=UNWATCHED_AGAIN_SECONDS)
    return Move(state, f"StorageSecret{found}", message, stalled=True, look_again=(again,))


def begin(observed: Observed, state: State, message: str) -> Move:
    """Begin an attempt at the revision that the spec asks for: record it, then everything else follows."""
    revision = observed.wanted
    attempt = Attempt(revision, next_number(observed, state))
    canary = CanaryStatus(
        id=str(attempt),
        revision=revision,
        step=None if state.stable is None else 0,
        weight=None if state.stable is None else 0,
        started_at=text_of(observed.now),
    )
    return Move(
        state=replace(state, canary=canary),
        reason="Preparing",
        message=message,
        writes=(_record(observed, attempt, described(observed, attempt, text_of(observed.now))),),
    )


def described(observed: Observed, attempt: Attempt, started_at: str) -> Manifest:
    """Return what the record of an attempt that begins now says of it."""
    return in_force(observed, attempt) | {"startedAt": started_at}


def in_force(observed: Observed, attempt: Attempt) -> Manifest:
    """Return an attempt's id with the rollout, objective and number of replicas that the spec has now."""
    spec = observed.service.spec
    found: Manifest = {"id": str(attempt), "rollout": spec.rollout.wire()}
    if not observed.automatic:
        found["replicas"] = observed.external_replicas
    return found | ({"objective": spec.objective.wire()} if spec.objective is not None else {})


def _record(observed: Observed, attempt: Attempt, described: Manifest) -> Write:
    why = f"attempt {attempt} begins"
    live = observed.records.get(attempt.revision)
    if live is not None:
        wanted = restated(observed.service, live, attempt.number, described, False)
        return Write("apply", wanted, why, uid=live["metadata"].get("uid"))
    lost = observed.last_record(attempt.revision)
    if lost is not None:
        return Write("create", restated(observed.service, lost, attempt.number, described, False), why)
    return Write("create", rendered(observed, attempt.revision, attempt.number, described, False), why)


def _highest_recorded(observed: Observed) -> int:
    records = [*observed.records.values(), *observed.world.last_revisions.values()]
    return max((int(record.get("revision", 0)) for record in records), default=0)

"""Capacity comes before traffic: what each revision must be ready for, and whether it is."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from serving_api.autoscaler import Reserve
from serving_api.rollout import Step
from serving_api.status import CanaryStatus
from serving_operator.rollout import routing, surge
from serving_operator.rollout.live import Revision, is_leaving
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import OPEN, Gate, State, Wait
from serving_operator.status.diagnosis import diagnose

WAITING_FOR_CAPACITY = "WaitingForCapacity"
AUTOSCALER_UNAVAILABLE = "AutoscalerUnavailable"
RESERVE_LIMITED = "ReserveLimited"


class Share(NamedTuple):
    """What a revision gets of the summed demand now, and what it must be ready for, in percent."""

    weight_percent: int | None
    """None: what the other live revisions leave of 100."""
    reserve_percent: int


def live_revisions(state: State) -> list[str]:
    """Return the revisions that the operator keeps whole: stable first, then the attempt under way."""
    found = [entry.revision for entry in (state.stable, state.canary) if entry is not None]
    return list(dict.fromkeys(found))


def next_weight(observed: Observed, state: State) -> int:
    """Return the weight that the attempt under way prepares for, or has."""
    if state.canary is None or state.stable is None or state.promoted() or not observed.routed:
        return 100
    step = current_step(observed, state.canary)
    return max(step.weight, routing.backends(observed, state).get(state.canary.revision, 0))


def current_step(observed: Observed, canary: CanaryStatus) -> Step:
    """Return the step that the attempt is at; a record that was made anew may have fewer."""
    steps = observed.rollout_of(canary.revision).steps
    return steps[min(canary.step or 0, len(steps) - 1)]


def share(observed: Observed, state: State, revision: str) -> Share:
    """Return the share of a live revision. Surge Full: stable stays ready for everything; Budget: for what it keeps.

    Stable states no weight, so that with Full nothing of it changes from step to step. A canary states the weight that it
    prepares for: one write a step, and a forecast that knows of the step before it comes. Only who is to take all states
    it when it has traffic: stable would be left with nothing before.
    """
    if revision not in live_revisions(state):
        return Share(0, 100)  # kept warm: ready for everything, and gets nothing
    if state.canary is None or state.stable is None:
        return Share(None, 100)
    if revision != state.canary.revision:
        return Share(None, surge.kept_percent(observed, state) if surge.is_budget(observed, state) else 100)
    target = next_weight(observed, state)
    has_traffic = routing.backends(observed, state).get(revision, 0) > 0
    return Share(target if has_traffic or target < 100 else 0, target)


def bounds(observed: Observed, state: State, revision: str) -> tuple[int, int]:
    """Return the least and the most replicas of a revision; in a rollout the least is its part of the user's."""
    least = observed.min_replicas
    if state.stable is not None and state.canary is not None:
        least = surge.percent_of(least, share(observed, state, revision).reserve_percent)
    return least, observed.max_replicas


def last_answer(revision: Revision) -> Reserve | None:
    """Return the autoscaler's last answer for a revision, whatever it was asked."""
    said = ((revision.autoscaler or {}).get("status") or {}).get("reserve")
    return Reserve.model_validate(said) if said else None


def answer(revision: Revision, reserve_percent: int | None = None) -> Reserve | None:
    """Return the answer to the InferenceAutoscaler as it is now, and to this reserve if one is given."""
    said = last_answer(revision)
    if said is None or revision.autoscaler is None or is_leaving(revision.autoscaler):
        return None
    asked = (revision.autoscaler["spec"].get("share") or {}).get("reservePercent")
    current = said.observed_generation >= int(revision.autoscaler["metadata"].get("generation", 1))
    fits = said.reserve_percent == asked and reserve_percent in (None, asked)
    return said if current and fits else None


def autoscaler_gate(observed: Observed) -> Gate:
    """Hold if the autoscaler has not renewed its Lease: its answers are no longer current."""
    if not observed.automatic:
        return OPEN
    renewed = observed.world.autoscaler_renewed
    limit = timedelta(seconds=observed.settings.autoscaler_lease_seconds)
    if renewed is not None and observed.now - renewed <= limit:
        return OPEN
    namespace = observed.settings.namespace
    message = (
        f"The autoscaler has not renewed its Lease for {int(limit.total_seconds())} s; the rollout holds until it "
        f"does. See: kubectl -n {namespace} get pods,lease"
    )
    return Gate(False, AUTOSCALER_UNAVAILABLE, message, Wait.LOST)


def capacity_gate(observed: Observed, state: State, revision: str, percent: int) -> Gate:
    """Whether a revision has the replicas ready that this percent of the demand takes."""
    seen = observed.revision(revision)
    if not observed.automatic:
        need = surge.external_need(observed, state, revision, percent)
        return _ready_gate(seen, need, percent)
    gate = autoscaler_gate(observed)
    if not gate.open:
        return gate
    said = answer(seen, percent)
    if said is None:
        return Gate(False, "WaitingForReserve", preparing(revision, percent), Wait.BRIEF)
    need = said.replicas
    if said.limited:
        if not _stable_is_limited(observed, state, revision):
            return Gate(False, RESERVE_LIMITED, reserve_limited_message(observed, seen), Wait.LOST)
        need = min(need, observed.max_replicas)
    return _ready_gate(seen, need, percent)


def is_warm(observed: Observed, revision: str) -> bool:
    """Whether a revision has the replicas ready that by the last answer all of the demand takes.

    The answer may be old: a rollback to kept pods waits for no autoscaler.
    """
    seen, need = observed.revision(revision), observed.external_replicas
    if observed.automatic:
        said = last_answer(seen)
        if said is None or said.reserve_percent != 100:
            return False
        need = min(said.replicas, observed.max_replicas)
    return seen.available >= need and seen.endpoints >= need


def stable_gate(observed: Observed, state: State, percent: int) -> Gate:
    """Whether the stable revision carries what is left to it."""
    assert state.stable is not None
    seen = observed.revision(state.stable.revision)
    if not observed.automatic:
        need = surge.external_need(observed, state, seen.revision, percent)
        enough, has = seen.available >= need, f"{seen.available} of {need} replicas ready"
    else:
        gate = autoscaler_gate(observed)
        if not gate.open:
            return gate
        said = answer(seen)
        if said is None:
            message = "The autoscaler has yet to say what share the stable revision carries."
            return Gate(False, "WaitingForReserve", message, Wait.BRIEF)
        at_most = said.limited and seen.available >= observed.max_replicas
        enough, has = said.carries_percent >= percent or at_most, f"capacity for {said.carries_percent}%"
        enough = enough and seen.available > 0
    if enough:
        return OPEN
    message = f"Revision {seen.revision} (stable) has {has}, and {percent}% of the demand is to stay with it."
    return Gate(False, "StableNotReady", message, Wait.LOST)


def lacks_need(observed: Observed, state: State, revision: str, percent: int, ready: int) -> bool:
    """Whether so many ready replicas of a revision are fewer than this percent of the demand takes."""
    if not observed.automatic:
        return ready < surge.external_need(observed, state, revision, percent)
    said = last_answer(observed.revision(revision))
    if said is None or ready >= said.replicas:
        return False
    if said.limited and _stable_is_limited(observed, state, revision) and ready >= observed.max_replicas:
        return False
    carries = said.carries_percent
    if ready < said.ready_replicas:
        carries = carries * ready // said.ready_replicas
    return carries < percent


def preparing(revision: str, percent: int) -> str:
    """Say that a revision waits for its own capacity."""
    return f"Revision {revision} gets its replicas for {percent}% of the demand before it gets the traffic."


def reserve_limited_message(observed: Observed, seen: Revision) -> str:
    """Say which bound cuts the need, and how to raise it."""
    said = last_answer(seen)
    need = said.replicas if said else 0
    return (
        f"Revision {seen.revision} needs more replicas than predictor.maxReplicas ({observed.max_replicas}) allows. "
        f"{raise_max_replicas(observed, max(need, observed.max_replicas + 1))}"
    )


def raise_max_replicas(observed: Observed, replicas: int) -> str:
    """Say how to allow so many replicas."""
    key = observed.world.key
    return (
        f"Raise it: kubectl -n {key.namespace} patch infsvc {key.name} --type merge "
        f"""-p '{{"spec":{{"predictor":{{"maxReplicas":{replicas}}}}}}}'"""
    )


def is_limited(observed: Observed, revision: str) -> bool:
    """Whether maxReplicas cuts what the reserve of a revision takes."""
    said = last_answer(observed.revision(revision)) if observed.automatic else None
    return said is not None and said.limited


def _stable_is_limited(observed: Observed, state: State, revision: str) -> bool:
    if state.stable is None or state.stable.revision == revision:
        return True
    return is_limited(observed, state.stable.revision)


def _ready_gate(seen: Revision, need: int, percent: int) -> Gate:
    if seen.available >= need and seen.endpoints >= need:
        return OPEN
    cause = diagnose(seen.pods, seen.deployment)
    if cause is not None and cause.wants_nodes:
        return Gate(False, WAITING_FOR_CAPACITY, cause.message, Wait.LOST)
    message = preparing(seen.revision, percent)
    return Gate(
        False, "WaitingForReplicas", f"{message} {cause.message}" if cause and cause.final else message
    )

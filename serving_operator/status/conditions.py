"""Conditions: what each one says, and why; docs/conditions.md is the same table in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from serving_api.names import ServiceKey
from serving_operator.rollout import acknowledge, capacity, previous, surge
from serving_operator.rollout.live import Revision
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.promote import COMMITTED
from serving_operator.rollout.selection import GATEWAY_API_MISSING
from serving_operator.rollout.settled import REJECTED, SETTLED
from serving_operator.rollout.state import Move, State, moment_of
from serving_operator.runtimes.catalogue import Unresolved
from serving_operator.runtimes.resolve import resolve
from serving_operator.status.diagnosis import diagnose

LEAVING: Final = timedelta(seconds=60)
"""For a Gateway to follow, and for pods to end, when a former revision's last requests are answered."""
Truth = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Said:
    """One condition, before it is compared with what was said before."""

    type: str
    status: Truth
    reason: str
    message: str


def servable(observed: Observed, state: State) -> Said:
    """Traffic is answered: a revision that the acknowledged route gives weight to has a ready pod."""
    serving = serving_revisions(observed)
    if not serving:
        message = "No revision gets traffic yet; see condition Reconciling or Stalled."
        return Said("Servable", "False", "NoRevisionServes", message)
    answering = [revision for revision in serving if observed.revision(revision).has_ready_pod]
    if not answering:
        revision = serving[0]
        return Said("Servable", "False", "NoReadyPod", _no_ready_pod(observed, observed.revision(revision)))
    if not observed.routed:
        return Said(
            "Servable", "True", "StableServiceOnly", "The stable Service answers, inside the cluster only."
        )
    if not _was_acknowledged(observed):
        message = "Pods are ready, but no Gateway carries the route; see condition RouteProgrammed."
        return Said("Servable", "False", "NoGateway", message)
    return Said("Servable", "True", "ReadyPods", "Requests are answered by ready pods.")


def serving_revisions(observed: Observed) -> list[str]:
    """Return the revisions that requests are sent to, the heaviest first."""
    weighted = [(-weight, revision) for revision, weight in observed.weights.items() if weight > 0]
    return [revision for _, revision in sorted(weighted)]


def ready(observed: Observed, state: State, is_servable: Said) -> Said:
    """Servable, and the stable revision has its need."""
    if state.stable is None:
        return Said("Ready", "False", "FirstRevision", "No revision is committed yet.")
    if is_servable.status != "True":
        return Said("Ready", "False", is_servable.reason, is_servable.message)
    seen = observed.revision(state.stable.revision)
    need = need_of(observed, state, seen)
    if seen.ready >= need:
        return Said(
            "Ready", "True", "NeedReady", f"Revision {seen.revision} (stable) has the replicas it needs."
        )
    cause = diagnose(seen.pods, seen.deployment)
    short = f"Revision {seen.revision} (stable) has fewer ready replicas than it needs."
    return Said("Ready", "False", "BelowNeed", f"{short} {cause.message}" if cause and cause.final else short)


def need_of(observed: Observed, state: State, seen: Revision) -> int:
    """Return the replicas that a stable revision needs: its lower bound."""
    if not observed.automatic:
        kept = capacity.share(observed, state, seen.revision).reserve_percent
        return surge.external_need(observed, state, seen.revision, kept)
    said = capacity.last_answer(seen)
    least, most = capacity.bounds(observed, state, seen.revision)
    return min(most, max(least, said.replicas if said else 0))


def up_to_date(observed: Observed, state: State, move: Move) -> Said:
    """The revision that the spec asks for has all of the traffic and is committed."""
    if move.reason in (REJECTED, "QuotaExceeded"):
        return Said("UpToDate", "False", move.reason, move.message)
    if state.stable is None:
        return Said("UpToDate", "False", "FirstRevision", move.message)
    if state.canary is not None or state.stable.revision != observed.wanted:
        return Said("UpToDate", "False", move.reason, move.message)
    revision = state.stable.revision
    if observed.routed and observed.weights.get(revision) != 100:
        return Said(
            "UpToDate", "False", "RouteMissing", f"Revision {revision} is not yet in the route with 100%."
        )
    return _runtime_outdated(observed, revision) or Said(
        "UpToDate", "True", "Committed", f"Revision {revision} has all of the traffic and is committed."
    )


def _runtime_outdated(observed: Observed, revision: str) -> Said | None:
    """The same spec would run another runtime today; running pods are left alone."""
    recorded = ((observed.records.get(revision) or {}).get("data") or {}).get("runtime") or {}
    if "name" not in recorded:
        return None
    try:
        today = resolve(observed.service.spec.predictor, observed.world.runtimes).record
    except Unresolved as missing:
        message = (
            f"Revision {revision} goes on with {recorded['name']}, and no new revision could begin. {missing}"
        )
        return Said("UpToDate", "True", "RuntimeOutdated", message)
    # What an earlier version of the operator did not record says nothing, nor does where the same runtime stands.
    compared = recorded.keys() & today.keys() - {"kind"}
    changed = {key for key in compared if recorded[key] != today[key]}
    if not changed:
        return None
    if changed & {"name", "image"}:
        was, new = (f"{record['image']} by runtime {record['name']}" for record in (recorded, today))
        told = f"Revision {revision} runs {was}; a new revision would run {new}."
    else:
        told = f"Runtime {today['name']} has changed since revision {revision} was made, which runs on as it was."
    remedy = "Start a new revision by a change of the predictor, for instance of an annotation in predictor.annotations."
    return Said("UpToDate", "True", "RuntimeOutdated", f"{told} {remedy}")


def route_programmed(observed: Observed) -> Said | None:
    """Every Gateway carries out the route as it is; nothing is said where none is asked for."""
    if observed.world.route_refused is not None:
        return Said("RouteProgrammed", "False", *observed.world.route_refused)
    if observed.service.spec.route is None:
        return None
    if not observed.world.routes_served:
        message = (
            "CustomResourceDefinition httproutes.gateway.networking.k8s.io is not installed: the service is reached "
            f"only inside the cluster, at http://{observed.name}.{observed.world.key.namespace}.svc, and a new revision "
            "gets all of its traffic at once, by its label. Install the Gateway API."
        )
        return Said("RouteProgrammed", "False", GATEWAY_API_MISSING, message)
    answer = acknowledge.raised(observed)
    if not answer.given and observed.route is not None and observed.now < acknowledge.overdue_at(observed):
        # A Gateway takes a moment after every write; only a missed acknowledgement is news.
        before = (observed.world.service.get("status") or {}).get("conditions") or ()
        for entry in before:
            if entry["type"] == "RouteProgrammed":
                return Said("RouteProgrammed", entry["status"], entry["reason"], entry["message"])
    return Said("RouteProgrammed", "True" if answer.given else "False", answer.reason, answer.message)


def canary_healthy(observed: Observed, state: State) -> Said | None:
    """The pods of the canary are well; said during a rollout only."""
    if state.canary is None or state.stable is None:
        return None
    seen = observed.revision(state.canary.revision)
    cause = diagnose(seen.pods, seen.deployment)
    if cause is not None and cause.final:
        return Said("CanaryHealthy", "False", cause.reason, cause.message)
    if seen.has_ready_pod:
        return Said("CanaryHealthy", "True", "PodsReady", f"Pods of revision {seen.revision} are ready.")
    return Said("CanaryHealthy", "Unknown", "Starting", f"No pod of revision {seen.revision} is ready yet.")


def progress(
    observed: Observed,
    state: State,
    move: Move,
    conflicts: tuple[str, ...] = (),
    lost: tuple[str, ...] = (),
) -> Said | None:
    """Reconciling or Stalled, as kstatus reads them; neither where all is done or a person is waited for."""
    if conflicts:
        return Said("Stalled", "True", "NameConflict", " ".join(conflicts))
    if lost:
        message = (
            f"Neither ControllerRevision nor Deployment of revision {', '.join(lost)} is left, so that its pods cannot "
            "be made again. Apply the spec of that revision, or promote another one; see condition UpToDate."
        )
        return Said("Stalled", "True", "RevisionLost", message)
    if observed.world.refused:
        return Said("Stalled", "True", "Refused", refusals(observed))
    if move.stalled:
        return Said("Stalled", "True", move.cause or move.reason, move.message)
    if move.reason in (SETTLED, COMMITTED) and state.stable is not None:
        kept = (*previous.standing(observed, state), previous.spared(observed, state))
        leaving = [entry for entry in observed.populated if entry not in kept]
        seen = observed.revision(state.stable.revision)
        cause = diagnose(seen.pods, seen.deployment)
        if cause is not None and cause.final and not seen.has_ready_pod:
            return Said("Stalled", "True", cause.reason, cause.message)
        if leaving and observed.now >= leaves_by(observed, state):
            message = f"Revision {', '.join(leaving)} finishes its last requests and is removed then."
            return Said("Reconciling", "True", "Draining", message)
        if observed.world.route_refused is not None:
            return Said("Stalled", "True", *observed.world.route_refused)
        return None
    if move.waits_for_person:
        return None
    return Said("Reconciling", "True", move.reason, move.message)


def leaves_by(observed: Observed, state: State) -> datetime:
    """Return when the former revision's pods ought to have left: until then nothing is said of what goes as it should."""
    stable = state.stable
    if stable is None or stable.committed_at is None:
        return observed.now
    seconds = observed.service.spec.predictor.timeout or 0
    return moment_of(stable.committed_at) + LEAVING + timedelta(seconds=seconds)


def refusals(observed: Observed) -> str:
    """Quote what the API server said to writes that it refuses."""
    said = [f"{kind} {name}: {message}" for (kind, name), message in sorted(observed.world.refused.items())]
    return (
        f"The API server refuses what is to be written; change the spec, or what forbids it. {' '.join(said)}"
    )


def reserve_limited(observed: Observed, state: State) -> Said | None:
    """A revision needs more replicas than the user allows."""
    for revision in reversed(capacity.live_revisions(state)):
        if capacity.is_limited(observed, revision):
            message = capacity.reserve_limited_message(observed, observed.revision(revision))
            return Said("ReserveLimited", "True", "MaxReplicas", message)
    return None


def only_if(type_: str, reason: str, messages: tuple[str, ...]) -> Said | None:
    """A condition that is there only while it has something to say."""
    return Said(type_, "True", reason, " ".join(messages)) if messages else None


def _was_acknowledged(observed: Observed) -> bool:
    """Whether some Gateway carries an earlier version of the route, so that requests still arrive."""
    parents = ((observed.route or {}).get("status") or {}).get("parents") or ()
    return any(
        condition["type"] == "Accepted" and condition["status"] == "True"
        for parent in parents
        for condition in parent.get("conditions") or ()
    )


def _no_ready_pod(observed: Observed, seen: Revision) -> str:
    cause = diagnose(seen.pods, seen.deployment)
    key: ServiceKey = observed.world.key
    short = f"Revision {seen.revision} gets the traffic and has no ready pod."
    see = f"See: kubectl -n {key.namespace} get pods -l serving-operator.dev/revision={seen.revision}"
    return f"{short} {cause.message if cause else see}"

"""Drift: every child of a live revision is put back as it was decided, whoever changed or removed it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from serving_api.names import PASSING_ANNOTATION, Attempt
from serving_operator.children.autoscaler import inference_autoscaler
from serving_operator.children.deployment import deployment
from serving_operator.children.disruption import disruption_budget
from serving_operator.children.revision import attempt_of, is_marked_stable, recovered, restated
from serving_operator.children.services import revision_service
from serving_operator.ensure import Ensured, ensure
from serving_operator.rollout import (
    attempts,
    budget,
    capacity,
    giving_back,
    passing,
    previous,
    replicas,
    rollback,
    routing,
    selection,
)
from serving_operator.rollout.live import Revision, is_leaving
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.recording import rendered
from serving_operator.rollout.state import State
from serving_operator.runtimes.catalogue import Unresolved
from serving_operator.world import Manifest, ObjectId, Write


def records(observed: Observed, state: State) -> dict[str, Manifest | None]:
    """Return the ControllerRevisions that all live and kept revisions ought to have; None where nothing remembers what its pods were."""
    standing = previous.standing(observed, state)
    return {revision: _record(observed, state, observed.revision(revision)) for revision in standing}


def repair(observed: Observed, state: State, recorded: Mapping[str, Manifest | None]) -> Iterator[Ensured]:
    """Yield what puts the children of revisions with such `records` back; one without a record has to get that first.

    What carries traffic comes first wherever it can: a refused child of a canary is the end of all that follows it.
    """
    traffic = list(_traffic(observed, state))
    can_be_first = all(_has_service(observed, revision) for revision in _with_traffic(observed, state))
    yield from traffic if can_be_first else ()
    for revision, wanted in recorded.items():
        if wanted is None:
            continue
        seen = observed.revision(revision)
        yield ensure(observed, wanted, f"record of revision {revision}")
        if seen.record is not None:
            yield from _children(observed, state, seen, seen.record)
    yield from () if can_be_first else traffic
    yield from rejections(observed, state)


def _traffic(observed: Observed, state: State) -> Iterator[Ensured]:
    if state.stable is not None:
        yield from _stable_service(observed, state)
    if state.stable is not None or observed.route is not None:
        yield from route(observed, state)


def _with_traffic(observed: Observed, state: State) -> list[str]:
    return [revision for revision, weight in routing.backends(observed, state).items() if weight]


def _has_service(observed: Observed, revision: str) -> bool:
    return observed.object("Service", observed.revision(revision).name) is not None


def rejections(observed: Observed, state: State) -> Iterator[Ensured]:
    """Yield what writes into the record of a rejected attempt that it was: a lost status must not begin it again."""
    for entry in state.rejected:
        kept = observed.records.get(entry.revision)
        described = attempt_of(kept) if kept is not None else {}
        if kept is None or described.get("id") != entry.id or "rejected" in described:
            continue
        said = described | {"rejected": entry.wire()}
        number = int(kept.get("revision", 0))
        wanted = restated(observed.service, kept, number, said, is_marked_stable(kept))
        yield ensure(observed, wanted, f"attempt {entry.id} is rejected")


def _record(observed: Observed, state: State, seen: Revision) -> Manifest | None:
    """Return the ControllerRevision that ought to be: the live one, a remembered one, or one from the Deployment."""
    kept = seen.record or observed.last_record(seen.revision)
    recorded = observed.recorded_attempt(seen.revision)
    marked = kept is not None and is_marked_stable(kept)  # by an earlier release: see Observed.marked_stable
    begun = rollback.unrecorded(observed, state, seen.revision)
    if kept is not None and begun is not None:
        described = rollback.described(observed, state, begun)
        return restated(observed.service, kept, begun.number, described, False)
    if kept is not None and recorded is not None:
        return restated(observed.service, kept, recorded.number, attempt_of(kept), marked)
    entries = (state.stable, state.canary, state.stable.previous if state.stable else None)
    entry = next(entry for entry in entries if entry is not None and entry.revision == seen.revision)
    attempt = Attempt.parse(entry.id) or Attempt(seen.revision, 1)
    described = attempts.in_force(observed, attempt)
    if kept is not None:
        return restated(observed.service, kept, attempt.number, described, marked)
    if seen.deployment is not None:
        return recovered(
            observed.service,
            seen.deployment,
            attempt.number,
            described,
            False,
            runtimes=observed.world.runtimes,
        )
    if observed.wanted == seen.revision:
        with contextlib.suppress(Unresolved):
            return rendered(observed, seen.revision, attempt.number, described, False)
    return None


def route(observed: Observed, state: State) -> Iterator[Ensured]:
    """Yield what puts the route back: what the user edits at once, the weights as they were acknowledged."""
    if not observed.routed:
        # The stable Service carries the traffic now. Without the Gateway API there is nothing to be seen, or deleted.
        unasked = observed.world.objects.get(ObjectId("HTTPRoute", observed.name))
        if unasked is not None and not is_leaving(unasked):
            yield Ensured(delete(unasked, "the service asks for no route"))
        return
    weights = routing.backends(observed, state)
    if observed.route is None or routing.is_drifted(observed, state):
        # A Gateway need not take a route that names a Service which is not there; a canary without one gets nothing yet.
        weights = {name: has for name, has in weights.items() if has or _has_service(observed, name)}
    if weights:
        wanted = routing.manifest(
            observed, routing.with_leaving(observed, weights), routing.aborting(observed)
        )
        yield ensure(observed, wanted, "the route is put back")


def _children(observed: Observed, state: State, seen: Revision, recorded: Manifest) -> Iterator[Ensured]:
    why = f"revision {seen.revision} is live"
    may_be_made = seen.deployment is not None or budget.has_room(observed, state, seen.revision)
    if may_be_made:
        number = replicas.stated(observed, state, seen.revision)
        yield ensure(
            observed,
            deployment(observed.service, recorded, number, settings=observed.settings),
            why,
            versioned=number is not None,
        )
    if _is_left_over(observed, state, seen):
        service = observed.world.objects[ObjectId("Service", seen.name)]
        yield Ensured(delete(service, f"what is left of an earlier attempt at {seen.revision} goes first"))
    elif seen.revision in observed.weights or (may_be_made and not is_leaving(seen.deployment)):
        yield ensure(observed, revision_service(observed.service, recorded), why)
    yield ensure(observed, disruption_budget(observed.service, seen.revision), why)
    if observed.automatic:
        wanted = autoscaler(observed, state, seen.revision, recorded) if may_be_made else None
        if wanted is not None:
            yield ensure(observed, wanted, why)
    elif seen.autoscaler is not None and not seen.autoscaler["metadata"].get("deletionTimestamp"):
        yield Ensured(delete(seen.autoscaler, "scaling class External has no autoscaler"))


def _is_left_over(observed: Observed, state: State, seen: Revision) -> bool:
    """Whether a canary's Service has outlived its Deployment: who cleaned up may have a deletion of it on the way.

    It would hit the Service in use: the uid is the same. A new one it leaves alone.
    """
    is_canary = state.canary is not None and state.canary.revision == seen.revision
    service = observed.world.objects.get(ObjectId("Service", seen.name))
    if not is_canary or service is None or is_leaving(service) or seen.revision in observed.weights:
        return False
    return seen.deployment is None or is_leaving(seen.deployment)


def passed(observed: Observed, state: State, recorded: Mapping[str, Manifest | None]) -> Ensured | None:
    """Return the write that records a passed step and asks for what follows from it; None where it cannot be written."""
    assert state.canary is not None
    record = recorded.get(state.canary.revision)
    wanted = autoscaler(observed, state, state.canary.revision, record) if record is not None else None
    if wanted is None:
        return None
    said = {"annotations": {PASSING_ANNOTATION: passing.annotation(state.canary)}}
    return ensure(
        observed,
        wanted | {"metadata": wanted["metadata"] | said},
        f"attempt {state.canary.id} has passed a step",
        versioned=True,
    )


def autoscaler(observed: Observed, state: State, revision: str, recorded: Manifest) -> Manifest | None:
    """Return the InferenceAutoscaler of a live or kept revision; None while it must not change (a canary being aborted).

    With surge Budget an aborted canary gives way to stable: that, and nothing else of it, changes.
    """
    canary = state.canary
    total = budget.replicas(observed, state)
    aborted = canary is not None and canary.abort is not None
    is_canary = canary is not None and revision == canary.revision
    if aborted and is_canary:
        return None if total is None else _giving_way(observed, state, revision)
    in_rollout = canary is not None and state.stable is not None
    # With a budget nobody keeps what the other might need; the autoscaler has its own reasons to be slow about it.
    moves = total is not None and not aborted
    # Who is to take all of the traffic is asked for what it keeps after the commit: that is no write of its own then.
    takes_all = is_canary and state.promoted() is not None and not state.rolls_back
    may_shrink = (moves or takes_all or not in_rollout) and revision in capacity.live_revisions(state)
    # A rollback is governed by the spec as it is; its record says so a write later.
    unrecorded = rollback.unrecorded(observed, state, canary.revision) if canary is not None else None
    governing = canary.revision if canary is not None and unrecorded is None else None
    objective = observed.objective_of(governing) if governing else observed.service.spec.objective
    assert objective is not None
    least, _ = capacity.bounds(observed, state, revision)
    most = budget.most(observed, state, revision)
    return inference_autoscaler(
        observed.service,
        revision,
        objective=objective,
        min_replicas=min(least, most),
        max_replicas=most,
        share=_share(observed, state, revision, total),
        scale_down="Allowed" if may_shrink else "Frozen",
        runtimes=observed.world.runtimes,
        revision_object=recorded,
        annotations=passing.kept(observed.revision(revision).autoscaler),
    )


def _share(observed: Observed, state: State, revision: str, budget_replicas: int | None) -> Manifest:
    """Return what the autoscaler is told of a revision's part; after a commit, what it was told before if that is as good."""
    share = capacity.share(observed, state, revision)
    wanted: Manifest = {
        "of": [observed.revision(name).name for name in previous.standing(observed, state)],
        "reservePercent": share.reserve_percent,
    }
    if share.weight_percent is not None:
        wanted["weightPercent"] = share.weight_percent
    if budget_replicas is not None:
        wanted["budgetReplicas"] = budget_replicas
    live: Manifest = ((observed.revision(revision).autoscaler or {}).get("spec") or {}).get("share") or {}
    # Names of those that have left say nothing, nor does a weight of 100 of who is alone.
    alone = state.canary is None and set(wanted["of"]) <= set(live.get("of") or ())
    if alone and live | {"of": wanted["of"]} == {**wanted, "weightPercent": 100}:
        return live
    return wanted


def _stable_service(observed: Observed, state: State) -> Iterator[Ensured]:
    revision = selection.wanted(observed, state)
    if revision is not None and revision in observed.records:
        wanted = selection.manifest(observed, revision, stable=state.stable)
        yield ensure(observed, wanted, f"the stable Service selects {revision}")


def _giving_way(observed: Observed, state: State, revision: str) -> Manifest | None:
    """Return an aborted canary's InferenceAutoscaler with fewer replicas allowed, if stable needs the room."""
    seen = observed.revision(revision)
    has = budget.asked(observed, seen)
    left = giving_back.replicas_left(observed, state, has)
    if seen.autoscaler is None or left >= has:
        return None
    live = seen.autoscaler
    metadata = {key: live["metadata"][key] for key in ("name", "namespace", "labels", "ownerReferences")}
    spec = live["spec"] | {"maxReplicas": left, "minReplicas": min(live["spec"].get("minReplicas", 1), left)}
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": metadata, "spec": spec}


def delete(live: Manifest, why: str) -> Write:
    """Delete exactly the object that was seen."""
    metadata = live["metadata"]
    manifest = {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
    }
    return Write(
        "delete", manifest, why, uid=metadata.get("uid"), resource_version=metadata.get("resourceVersion")
    )

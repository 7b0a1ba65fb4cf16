"""Writes that move traffic: of the route, or of the stable Service where no route carries it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from serving_api.names import ABORTING_ANNOTATION
from serving_operator.children import route as routes
from serving_operator.children import weights as carried_weights
from serving_operator.rollout import selection, surge
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State
from serving_operator.world import Manifest, Write


@dataclass(frozen=True, slots=True)
class Aborting:
    """An abort as the route carries it: it survives a lost status and a restart."""

    id: str
    reason: str
    message: str
    rejects: bool


def aborting(observed: Observed) -> Aborting | None:
    """Return the abort that the route carries, of whatever attempt."""
    text = _annotations(observed).get(ABORTING_ANNOTATION)
    try:
        return Aborting(**json.loads(text)) if text else None
    except (ValueError, TypeError):
        return None


def is_drifted(observed: Observed, state: State) -> bool:
    """Whether the weights are not those that the operator wrote, or go where nothing is kept alive."""
    if not observed.routed:
        return selection.is_drifted(observed, state)
    live = {entry.revision for entry in (state.stable, state.canary) if entry is not None}
    if state.stable is not None and any(observed.weights[name] for name in observed.weights.keys() - live):
        return True
    return observed.route is not None and written(observed) != observed.weights


def written(observed: Observed) -> Mapping[str, int] | None:
    """Return the weights that the operator wrote last, as the route, or without one the stable Service, carries them.

    They are in the same write: an edit by somebody else shows as a difference.
    """
    if not observed.routed:
        return selection.written(observed)
    return carried_weights.written(observed.route)


def backends(observed: Observed, state: State) -> dict[str, int]:
    """Return the weights that there ought to be now: those written, or after drift those acknowledged."""
    if not observed.routed:
        revision = selection.wanted(observed, state) or observed.selected
        return {revision: 100} if revision else {}
    if observed.route is not None and not is_drifted(observed, state):
        return observed.weights
    if state.stable is None:
        # Before the first commit a route exists only for a candidate that had its need ready: the newest may have none.
        return dict(written(observed) or observed.weights)
    canary = state.canary
    if canary is None:
        return {state.stable.revision: 100}
    # With surge Budget stable may not yet carry what an abort takes from the canary.
    gone = canary.abort is not None and not surge.is_budget(observed, state)
    weight = 0 if gone else canary.weight or 0
    return {state.stable.revision: 100 - weight, canary.revision: weight}


def with_leaving(observed: Observed, weights: Mapping[str, int]) -> dict[str, int]:
    """Add, at weight 0, the revisions that leave: proxies may still send requests to them."""
    leaving = {revision: 0 for revision in observed.weights if revision in observed.populated}
    return dict(weights) | {revision: 0 for revision in leaving if revision not in weights}


def manifest(observed: Observed, weights: Mapping[str, int], abort: Aborting | None) -> Manifest:
    """Return the route with these weights."""
    annotations = carried_weights.annotation(weights)
    if abort is not None:
        annotations[ABORTING_ANNOTATION] = json.dumps(asdict(abort), sort_keys=True, separators=(",", ":"))
    return routes.route(observed.service, list(weights.items()), annotations)


def write(observed: Observed, weights: Mapping[str, int], why: str, abort: Aborting | None = None) -> Write:
    """Write these weights, decided on the version that was observed; without a route all go to the heaviest."""
    if not observed.routed:
        return selection.write(observed, max(weights, key=lambda revision: weights[revision]), why)
    wanted = manifest(observed, weights, abort)
    return Write.upon(observed.route, wanted, why)


def _annotations(observed: Observed) -> Mapping[str, str]:
    return ((observed.route or {}).get("metadata") or {}).get("annotations") or {}

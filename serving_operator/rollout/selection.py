"""Where no route carries the traffic: the stable Service does, by its selector, all of it to one revision."""

from __future__ import annotations

from serving_api.names import COMMITTED_ANNOTATION
from serving_api.status import StableStatus
from serving_operator.children import weights
from serving_operator.children.services import stable_service
from serving_operator.rollout import committed
from serving_operator.rollout.live import is_leaving
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State
from serving_operator.world import Manifest, Write

GATEWAY_API_MISSING = "GatewayAPIMissing"
ROUTE_NOT_ASKED = "RouteNotAsked"


def lack(observed: Observed) -> tuple[str, str]:
    """Return why there are no weights, as a reason, and what would give them, as a sentence."""
    if observed.world.route_refused is not None:
        return observed.world.route_refused
    if observed.world.routes_served:
        return ROUTE_NOT_ASKED, "Weights need a route: add spec.route with a Gateway and a hostname."
    return GATEWAY_API_MISSING, (
        "Weights need the CustomResourceDefinition httproutes.gateway.networking.k8s.io, which is not installed: "
        "install the Gateway API and a Gateway."
    )


def wanted(observed: Observed, state: State) -> str | None:
    """Return the revision that the stable Service ought to select.

    Stable, but for a promoted canary that it was switched to and has not been switched from. The Service itself carries
    that, in the same write, so that neither a restart nor an edit of the selector by somebody else is taken for it.
    """
    if state.stable is None:
        return None
    canary = state.canary
    if canary is not None and state.promoted() and written(observed) == {canary.revision: 100}:
        return canary.revision
    return state.stable.revision


def written(observed: Observed) -> dict[str, int] | None:
    """Return the weights that the stable Service was switched to, as it carries them; None if it never was."""
    return weights.written(observed.stable_service)


def is_drifted(observed: Observed, state: State) -> bool:
    """Whether the stable Service is gone, or selects another revision than it ought to."""
    return is_leaving(observed.stable_service) or observed.selected != wanted(observed, state)


def manifest(
    observed: Observed, revision: str, *, switches: bool = False, stable: StableStatus | None = None
) -> Manifest:
    """Return the stable Service that selects a revision. What it says of its last switch stays while that is so.

    It carries which attempt is committed, for a status that is lost: `stable`, or if that is not given, the one that is there.
    """
    switched = {revision: 100}
    says = switches or written(observed) == switched
    annotations = dict(weights.annotation(switched)) if says else {}
    text = committed.text(stable) if stable is not None else committed.text_in(observed.stable_service)
    if text is not None:
        annotations[COMMITTED_ANNOTATION] = text
    return stable_service(observed.service, revision, annotations or None)


def write(observed: Observed, revision: str, why: str) -> Write:
    """Switch the stable Service to a revision, decided on the version that was observed."""
    return Write.upon(observed.stable_service, manifest(observed, revision, switches=True), why)

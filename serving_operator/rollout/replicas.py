"""Which number of replicas the operator states in a Deployment, if it states one: one writer per mode."""

from __future__ import annotations

from serving_api.names import AUTOSCALER
from serving_operator.rollout import budget, capacity, giving_back, surge
from serving_operator.rollout.live import Revision
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State
from serving_operator.world import Manifest


def autoscaler_owns(deployment: Manifest) -> bool:
    """Whether the autoscaler has written the Deployment's replicas, so that leaving them out keeps them."""
    return any(
        entry.get("manager") == AUTOSCALER
        and "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        for entry in deployment["metadata"].get("managedFields") or ()
    )


def stated(observed: Observed, state: State, revision: str) -> int | None:
    """Return the number to state; None if it is the autoscaler's."""
    seen = observed.revision(revision)
    if not observed.automatic:
        return _external(observed, state, seen)
    if observed.advised:
        return _advised(observed, state, seen)
    if seen.deployment is None:
        made = _at_creation(observed, seen)
        room = budget.room(observed, state, revision)
        return made if room is None else max(1, min(made, room))
    return None if autoscaler_owns(seen.deployment) else seen.asked


def _at_creation(observed: Observed, seen: Revision) -> int:
    """A new one starts with its need, if that is known; a lost one with what it had, within the bound as it is now."""
    said = capacity.answer(seen)
    status = (seen.autoscaler or {}).get("status") or {}
    wanted = max(
        said.replicas if said else 1,
        observed.world.last_replicas.get(seen.name, 0),
        int(status.get("observedReplicas") or 0),
    )
    return max(1, min(wanted, observed.max_replicas))


def _external(observed: Observed, state: State, seen: Revision) -> int:
    is_live = seen.revision in capacity.live_revisions(state)
    if is_live and (state.stable is None or state.canary is None):
        return observed.external_replicas
    had = budget.asked(observed, seen)
    if not is_live:  # kept warm, with what it had
        return max(had, observed.external_replicas)
    percent = capacity.share(observed, state, seen.revision).reserve_percent
    if surge.is_budget(observed, state):
        return _of_the_total(observed, state, seen, had, percent)
    # A lower number takes effect after the commit: until then nobody may lose what the split gave it.
    return max(had, surge.external_need(observed, state, seen.revision, percent))


def _of_the_total(observed: Observed, state: State, seen: Revision, had: int, percent: int) -> int:
    """Replicas move with the traffic: stable's go when it has lost the traffic, an aborted canary's too."""
    assert state.canary is not None
    if seen.revision != state.canary.revision:
        return surge.external_need(observed, state, seen.revision, percent)
    if state.canary.abort is None:
        return max(had, surge.external_need(observed, state, seen.revision, percent))
    keeps = surge.external_need(observed, state, seen.revision, min(99, state.canary.weight or 0))
    return max(1, min(keeps, giving_back.replicas_left(observed, state, had)))


def _advised(observed: Observed, state: State, seen: Revision) -> int:
    least, most = capacity.bounds(observed, state, seen.revision)
    said = capacity.last_answer(seen)
    need = max(least, said.replicas if said else 1)
    if seen.deployment is None:
        return min(most, max(need, _at_creation(observed, seen)))
    return min(most, need if _edited(observed, state, seen) else max(need, seen.asked or 1))


def _edited(observed: Observed, state: State, seen: Revision) -> bool:
    """Whether the user has edited the bounds; a canary's own bound also moves with its reserve, which is no edit."""
    if seen.autoscaler is None:
        return False
    spec = seen.autoscaler["spec"]
    reserve = capacity.share(observed, state, seen.revision).reserve_percent
    same_reserve = (spec.get("share") or {}).get("reservePercent") == reserve
    least, most = capacity.bounds(observed, state, seen.revision)
    return spec.get("maxReplicas") != most or (same_reserve and spec.get("minReplicas") != least)

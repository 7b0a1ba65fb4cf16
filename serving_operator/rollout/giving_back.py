"""An abort with surge Budget: traffic goes back as fast as stable gets its replicas back, and no faster.

Both need replicas meanwhile. Where stable finds no room for its own, the canary gives up some of those that it has left,
a quarter at a time; it is down to one replica before it has to give up traffic that stable does not carry yet.
"""

from __future__ import annotations

from serving_operator.rollout import acknowledge, budget, capacity, surge
from serving_operator.rollout.live import Revision, is_leaving
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State
from serving_operator.status.diagnosis import diagnose


def kept_weight(observed: Observed, state: State, weight: int, *, insists: bool) -> int:
    """Return the percent of the traffic that an aborted canary keeps for now, of the `weight` that it has.

    `insists`: a person asks for it, who is obeyed even if no pod of stable is ready.
    """
    if not surge.is_budget(observed, state):
        return 0
    assert state.stable is not None
    assert state.canary is not None
    stable, canary = observed.revision(state.stable.revision), observed.revision(state.canary.revision)
    if not canary.has_ready_pod or (insists and not stable.has_ready_pod):
        return 0
    if budget.asked(observed, canary) <= 1 and _is_stuck(observed, state, stable, canary):
        return 0
    carries = carried_percent(observed, state, stable)
    return weight if carries is None else min(weight, 100 - carries)


def carried_percent(observed: Observed, state: State, stable: Revision) -> int | None:
    """Return the percent of the demand that stable's ready replicas carry; None if nobody has ever said.

    It is the autoscaler's last answer, scaled by the replicas that are ready now: that holds while it is away, too,
    and errs on the safe side, since more replicas carry more than in proportion.
    """
    ready = 0 if is_leaving(stable.deployment) else min(stable.ready, stable.endpoints)
    if not observed.automatic:
        return min(100, 100 * ready // max(1, surge.external_total(observed, state)))
    said = capacity.last_answer(stable)
    if said is None:
        return None if capacity.autoscaler_gate(observed).open else 100
    if said.ready_replicas < 1:
        return 0
    return min(100, said.carries_percent * ready // said.ready_replicas)


def replicas_left(observed: Observed, state: State, has: int) -> int:
    """Return how many of the replicas that it `has` an aborted canary keeps."""
    assert state.stable is not None
    assert state.canary is not None
    stable, canary = observed.revision(state.stable.revision), observed.revision(state.canary.revision)
    weight = observed.weights.get(canary.revision, 0)
    if has <= 1 or weight == 0 or not acknowledge.settled(observed, draining=True):
        return has
    if kept_weight(observed, state, weight, insists=False) < weight:
        return has  # first the traffic, then what carried it
    return has - max(1, has // 4) if _is_stuck(observed, state, stable, canary) else has


def _is_stuck(observed: Observed, state: State, stable: Revision, canary: Revision) -> bool:
    """Whether stable gets no further beside the canary: no node or quota takes its pods, or no budget."""
    gone = len(canary.pods) <= budget.asked(observed, canary)
    cause = diagnose(stable.pods, stable.deployment)
    if cause is not None and cause.wants_room:
        return gone
    total, said = budget.replicas(observed, state), capacity.answer(stable, 100)
    if total is None or said is None:
        return False
    has = budget.asked(observed, stable)
    full = has + budget.asked(observed, canary) >= total
    return gone and full and stable.ready >= has and (said.replicas > has or said.limited)

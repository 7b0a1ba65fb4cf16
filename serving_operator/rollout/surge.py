"""How many replicas two revisions have side by side: as many as stable alone and more (Full), or a budget (Budget)."""

from __future__ import annotations

from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State


def is_budget(observed: Observed, state: State) -> bool:
    """Whether the rollout under way moves replicas along with the traffic, as it was asked to at its start.

    Without a route all of the traffic moves at once: there is nothing to move along with.
    """
    if state.stable is None or state.canary is None or not observed.routed:
        return False
    return observed.rollout_of(state.canary.revision).surge == "Budget"


def percent_of(total: int, percent: int) -> int:
    """Return `percent` of `total` replicas, rounded up, at least 1."""
    return max(1, -(-total * percent // 100))


def canary_of(total: int, percent: int) -> int:
    """Return the canary's replicas of a total that both revisions share, at `percent` of the traffic.

    Below 100 percent one is left for stable, which still gets requests; a total of 1 cannot be shared.
    """
    replicas = percent_of(total, percent)
    return replicas if percent >= 100 else max(1, min(total - 1, replicas))


def kept_percent(observed: Observed, state: State) -> int:
    """Return the percent of the traffic that stable has to be ready for, with surge Budget.

    It counts what the proxies are known to send, not what has been written into the route. On the way back it is
    everything.
    """
    assert state.canary is not None
    returns = state.canary.abort is not None
    return 100 if returns or observed.advised else 100 - (state.canary.weight or 0)


def external_total(observed: Observed, state: State) -> int:
    """Return the replicas that class External asks for. What is shared gets no smaller before the commit.

    Without a budget nobody's number falls in a rollout, so that there the present total is right.
    """
    total = observed.external_replicas
    if not is_budget(observed, state):
        return total
    assert state.canary is not None
    return max(total, observed.replicas_of(state.canary.revision))


def external_need(observed: Observed, state: State, revision: str, percent: int) -> int:
    """Return the replicas of a revision in class External that take `percent` of the traffic."""
    total = external_total(observed, state)
    if not is_budget(observed, state):
        return percent_of(total, percent)
    assert state.canary is not None
    if revision == state.canary.revision:
        return canary_of(total, percent)
    return total if percent >= 100 else max(1, total - canary_of(total, 100 - percent))

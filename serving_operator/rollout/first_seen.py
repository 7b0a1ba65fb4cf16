"""Facts whose age matters and that the API does not hold: since when they have been so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from serving_operator.rollout import acknowledge, capacity
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State


def stable_broken(revision: str) -> str:
    """Name the fact that nobody answers of the stable revision."""
    return f"stableBroken:{revision}"


def pods_counted(replicas: int) -> str:
    """Name the fact that the live revisions have so many pods."""
    return f"pods:{replicas}"


def unused(revision: str) -> str:
    """Name the fact that no request is sent to a revision any more."""
    return f"unused:{revision}"


def watched(attempt: str) -> str:
    """Name the fact that this process watches an attempt."""
    return f"watched:{attempt}"


def facts(observed: Observed) -> dict[str, datetime]:
    """Return every fact that holds, with the moment at which it was first seen to.

    The answer comes back as `world.since` of the next look. What is lost with a restart begins anew, which only makes
    a wait longer.
    """
    return {fact: observed.first_seen(fact) for fact in _holding(observed)}


def _holding(observed: Observed) -> Iterator[str]:
    state = State.of(observed.world.service.get("status") or {})
    answers = {
        "generation": True,
        "acknowledged": acknowledge.raised(observed).given,
        "drained": acknowledge.drained(observed).given,
    }
    for purpose, is_so in answers.items():
        if is_so and (fact := acknowledge.fact(observed, purpose)) is not None:
            yield fact
    if state.stable is not None and not observed.revision(state.stable.revision).has_ready_pod:
        yield stable_broken(state.stable.revision)
    if state.canary is not None:
        yield watched(state.canary.id)
    yield pods_counted(sum(observed.revision(name).replicas for name in capacity.live_revisions(state)))
    for revision in observed.populated:
        if is_unused(observed, revision):
            yield unused(revision)


def is_unused(observed: Observed, revision: str) -> bool:
    """Whether neither the acknowledged route nor the stable Service sends a request to a revision."""
    if observed.weights.get(revision, 0) > 0 or observed.selected == revision:
        return False
    if observed.selected is not None and not observed.stable_service_only_selects(observed.selected):
        return False
    if observed.route is not None and not observed.routed:
        return False  # a route that is no longer asked for is deleted first
    return observed.route is None or acknowledge.drained(observed).given

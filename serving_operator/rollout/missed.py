"""What a canary went without while no operator looked: its pods tell since when they have been ready."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from serving_operator.rollout import capacity
from serving_operator.rollout.live import is_leaving
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State, moment_of
from serving_operator.world import Manifest


class Start(NamedTuple):
    """A pod that had yet to become ready, from its creation or the end of its last container."""

    begun: datetime
    ready: datetime | None


def lacking(
    observed: Observed, state: State, percent: int, begins: datetime, ends: datetime
) -> list[tuple[datetime, datetime]]:
    """Return the times between two moments in which the canary had fewer ready replicas than its weight takes.

    A pod that started within them took the place of one that was gone; without it there was one replica less. What
    was ready and went without a successor is not seen.
    """
    assert state.canary is not None
    seen = observed.revision(state.canary.revision)
    starts = [start for pod in seen.pods if (start := _start_of(pod)) and start.begun >= begins]
    moments = {begins, ends, *(start.begun for start in starts), *(s.ready for s in starts if s.ready)}
    found: list[tuple[datetime, datetime]] = []
    for since, until in pairwise(sorted(moment for moment in moments if begins <= moment <= ends)):
        starting = sum(s.begun <= since and (s.ready is None or s.ready >= until) for s in starts)
        ready = seen.replicas - starting
        if starting and capacity.lacks_need(observed, state, seen.revision, percent, ready):
            joins = bool(found) and found[-1][1] == since
            found[-1:] = [(found[-1][0], until)] if joins else [*found[-1:], (since, until)]
    return found


def _start_of(pod: Manifest) -> Start | None:
    if is_leaving(pod):
        return None
    status = pod.get("status") or {}
    ends = [
        ended["finishedAt"]
        for container in status.get("containerStatuses") or ()
        if (ended := (container.get("lastState") or {}).get("terminated") or {}).get("finishedAt")
    ]
    begun = max(map(moment_of, [pod["metadata"]["creationTimestamp"], *ends]))
    for condition in status.get("conditions") or ():
        if condition["type"] == "Ready" and condition["status"] == "True":
            since = condition.get("lastTransitionTime")
            return Start(begun, moment_of(since)) if since else None
    return Start(begun, None)

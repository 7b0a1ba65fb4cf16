"""What the model of capacity cannot see: a queue that has formed, requests that are late, and whether more replicas help."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from autoscaler.capacity import Demand, floor_late, smallest_replicas
from autoscaler.case import Case
from autoscaler.contention import most_in_vain

HELPED: Final = 0.6
"""Of the lateness with as many as arrivals justify: if so little is left, more replicas do help."""
LATE_FACTOR: Final = 2.0
"""Of the allowed late fraction: above it a settled target gets a replica more than the model says. Where that is more than half-way
to all requests, half-way there."""
LONGEST_WORK: Final = 2.0
"""Means of the work in which nearly all requests are done."""
IDLE_UTILIZATION: Final = 0.3
"""Below it, lateness is not for want of replicas."""

Uncapacity = Literal["IdleButLate", "MoreDidNotHelp"]


def urgent_replicas(case: Case) -> int:
    """Replicas for what the model cannot see: a queue that has formed, or lateness in a settled state."""
    if case.ready < 1:
        return 0
    if case.service_seconds is None:
        return _without_capacity(case)
    asked = 0
    if backlogged(case):
        work = (case.in_flight or 0.0) * case.service_seconds
        drain = max(case.threshold_seconds, case.horizon_seconds / 2)
        asked = math.ceil(case.own_rate * case.service_seconds + work / drain)
    if case.settled and is_late(case) and not_capacity_bound(case) is None:
        asked = max(asked, case.ready + 1)
    return asked


def _without_capacity(case: Case) -> int:
    """As many replicas more as requests are late: pods that are too busy to be scraped teach nothing until they are less so."""
    idle = case.gpu_utilization is not None and case.gpu_utilization < IDLE_UTILIZATION
    if idle or not (case.settled and is_late(case)):
        return 0
    return case.ready + math.ceil((case.late_ratio or 0.0) * case.ready)


def backlogged(case: Case) -> bool:
    """Whether what is in flight takes the ready replicas longer than the threshold."""
    if case.in_flight is None or case.service_seconds is None or case.ready < 1:
        return False
    return case.in_flight * case.service_seconds / case.ready > case.threshold_seconds


def occupied(case: Case) -> int:
    """Replicas below which the requests in flight would be a queue, or have none that works on them.

    Arrivals tell of requests only for a hold. Of those that take longer each keeps a replica, whatever came since; of
    servers that work on several at once the time that is learned is what one occupies, and so soon less than a hold.
    """
    if case.in_flight is None or case.service_seconds is None:
        return 0
    # One request on each replica is no queue, even if it takes longer than it may.
    queued = case.in_flight * case.service_seconds / max(case.threshold_seconds, case.service_seconds)
    outlives = case.service_seconds * LONGEST_WORK > case.hold_seconds
    return math.ceil(case.in_flight if outlives else queued)


def avoidably_late(case: Case) -> float:
    """Fraction of the requests that are late for another reason than that their work alone takes too long."""
    late = case.late_ratio or 0.0
    if late <= case.late_allowed or case.service_seconds is None:
        return late
    if not floor_known(case):
        return late
    floor = float(floor_late(demand_of([case]))[0])
    return max(late - floor, 0.0) if floor >= case.late_allowed else late


def floor_known(case: Case) -> bool:
    """Whether the model may say how many requests are late by their work alone: of a tail that is only assumed nothing
    follows, unless the mean is too long already.
    """
    return case.tail_measured or (case.service_seconds or 0.0) >= case.threshold_seconds


def is_late(case: Case) -> bool:
    """Whether clearly more requests are late than the objective allows, and than the work alone makes so."""
    return avoidably_late(case) > clearly_late(case.late_allowed)


def clearly_late(allowed: float) -> float:
    """The late fraction that is clearly more than what is allowed."""
    return min(LATE_FACTOR * allowed, (1 + allowed) / 2)


def first_lateness(case: Case) -> float | None:
    """The late fraction to compare later ones with: that of as few replicas as arrivals justify, or the first that is known."""
    if not (case.settled and is_late(case)):
        # As few as arrivals justify, and nobody is late: what was before is over.
        in_time = case.settled and case.late_ratio is not None and avoidably_late(case) <= case.late_allowed
        over = case.late_first is not None and in_time and case.ready <= _justified(case)
        return None if over else case.late_first
    few = case.late_first is None or case.ready <= _justified(case)
    return avoidably_late(case) if few else case.late_first


def not_capacity_bound(case: Case) -> Uncapacity | None:
    """Why requests are late for another reason than too few replicas; None where they are not, or that reason may be.

    `IdleButLate`: the replicas have little to do. `MoreDidNotHelp`: there are as many more than arrivals justify as
    lateness may ask for, and requests are late as before; or the last that were added have made each slower.
    """
    if is_late(case) and case.in_vain_beyond is not None and case.ready >= case.in_vain_beyond:
        return "MoreDidNotHelp"
    if not (case.settled and is_late(case)) or backlogged(case) or case.ready < 1:
        return None
    if case.service_seconds is None:
        return None
    if idle_for_long(case):
        return "IdleButLate"
    most = most_in_vain(_justified(case))
    helped = case.late_first is not None and avoidably_late(case) <= HELPED * case.late_first
    return "MoreDidNotHelp" if case.ready >= most and not helped else None


def idle_for_long(case: Case) -> bool:
    """Whether the replicas have little to do in a settled state, and no queue: then fewer make nobody late."""
    if not case.settled or case.ready < 1 or case.service_seconds is None or backlogged(case):
        return False
    busy = case.own_rate * case.service_seconds / case.ready
    return max(busy, case.gpu_utilization or 0.0) < IDLE_UTILIZATION


def _justified(case: Case) -> int:
    """Replicas that arrivals justify by the model alone."""
    rate = np.array([case.level * case.weight_percent / 100])
    return int(smallest_replicas(rate, demand_of([case]))[0])


def demand_of(cases: Sequence[Case]) -> Demand:
    """The columns that the model of capacity takes."""
    return Demand(
        np.array([case.service_seconds or 1.0 for case in cases]),
        np.array([case.variability for case in cases]),
        np.array([case.threshold_seconds for case in cases]),
        np.array([case.late_allowed for case in cases]),
    )

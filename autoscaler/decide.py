"""From demand and capacity to a number of replicas, with every bound that it must keep, and why.

Columnar where it costs: the model is asked once for all targets. The rules after it are per target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from autoscaler.capacity import Demand, carried_percent, floor_late, largest_rate, smallest_replicas
from autoscaler.case import Case, sentence
from autoscaler.contention import most_in_vain

CEILING_FACTOR: Final = 2
"""No evidence but a user's bound raises the replicas above this multiple of what arrivals justify."""
FIRST_STEP_UP: Final = 4
"""A decision may double the replicas, or add so many."""
STEP_DOWN_FRACTION: Final = 0.2
STEP_DOWN_PERIOD_SECONDS: Final = (10.0, 60.0)
HELPED: Final = 0.6
"""Of the lateness with as many as arrivals justify: if so little is left, more replicas do help."""
LATE_FACTOR: Final = 2.0
"""Of the allowed late fraction: above it a settled target gets a replica more than the model says."""
IDLE_UTILIZATION: Final = 0.3
"""Below it, lateness is not for want of replicas."""
GPU_BUSY: Final = 0.9
GPU_IDLE: Final = 0.02


Uncapacity = Literal["IdleButLate", "MoreDidNotHelp"]


@dataclass(frozen=True)
class Decision:
    """Replicas, the answer to the share, and why."""

    desired: int
    needed: int
    """What demand alone takes."""
    target: int
    """What the evidence asks for, before holds and rates of change."""
    reason: str
    sentence: str
    reserve_replicas: int
    carries_percent: int
    reserve_limited: bool
    limited: bool
    """Whether maxReplicas cut what the evidence asks for."""
    infeasible: bool
    next_carries: float | None = None
    """Requests per second that one more replica carries; None while nothing is learned."""
    held_by: str | None = None


def decide(cases: Sequence[Case]) -> list[Decision]:
    """One decision per case."""
    if not cases:
        return []
    demand = _demand(cases)
    expected = np.array([case.expected for case in cases])
    weight = np.array([case.weight_percent / 100 for case in cases])
    reserve = np.array([case.reserve_percent / 100 for case in cases])
    level = np.array([case.level for case in cases])
    rates = np.concatenate([expected * weight, expected * reserve, level * weight])
    now, reserved, justified = np.split(smallest_replicas(rates, demand.repeated(3)), 3)
    ready = np.array([case.ready for case in cases], dtype=np.int64)
    carried, with_next = np.split(largest_rate(np.concatenate([ready, ready + 1]), demand.repeated(2)), 2)
    carries = carried_percent(ready, carried, expected)
    next_carries = with_next - carried
    infeasible = floor_late(demand) >= demand.late_allowed
    columns = zip(now, reserved, justified, carries, next_carries, infeasible, strict=True)
    models = [_Model(int(n), int(r), int(j), int(c), float(x), bool(i)) for n, r, j, c, x, i in columns]
    return [_decision(case, model) for case, model in zip(cases, models, strict=True)]


def urgent_replicas(case: Case) -> int:
    """Replicas for what the model cannot see: a queue that has formed, or lateness in a settled state."""
    if case.service_seconds is None or case.ready < 1:
        return 0
    asked = 0
    if backlogged(case):
        work = (case.in_flight or 0.0) * case.service_seconds
        drain = max(case.threshold_seconds, case.horizon_seconds / 2)
        asked = math.ceil(case.own_rate * case.service_seconds + work / drain)
    if case.settled and is_late(case) and not_capacity_bound(case) is None:
        asked = max(asked, case.ready + 1)
    return asked


def gpu_replicas(case: Case) -> int:
    """Replicas that bring the accelerators to the utilisation that the user wants."""
    if case.gpu_target_ratio is None or case.gpu_utilization is None:
        return 0
    return math.ceil(case.ready * case.gpu_utilization / case.gpu_target_ratio - 0.05)


def backlogged(case: Case) -> bool:
    """Whether what is in flight takes the ready replicas longer than the threshold."""
    if case.in_flight is None or case.service_seconds is None or case.ready < 1:
        return False
    return case.in_flight * case.service_seconds / case.ready > case.threshold_seconds


def avoidably_late(case: Case) -> float:
    """Fraction of the requests that are late for another reason than that their work alone takes too long."""
    late = case.late_ratio or 0.0
    if late <= case.late_allowed or case.service_seconds is None:
        return late
    floor = float(floor_late(_demand([case]))[0])
    return max(late - floor, 0.0) if floor >= case.late_allowed else late


def is_late(case: Case) -> bool:
    """Whether clearly more requests are late than the objective allows, and than the work alone makes so."""
    return avoidably_late(case) > LATE_FACTOR * case.late_allowed


def first_lateness(case: Case) -> float | None:
    """The late fraction to compare later ones with: that of as few replicas as arrivals justify, or the first that is known."""
    if not (case.settled and is_late(case)):
        return case.late_first
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
    busy = case.own_rate * case.service_seconds / case.ready
    if max(busy, case.gpu_utilization or 0.0) < IDLE_UTILIZATION:
        return "IdleButLate"
    most = most_in_vain(_justified(case))
    helped = case.late_first is not None and avoidably_late(case) <= HELPED * case.late_first
    return "MoreDidNotHelp" if case.ready >= most and not helped else None


def _justified(case: Case) -> int:
    """Replicas that arrivals justify by the model alone."""
    rate = np.array([case.level * case.weight_percent / 100])
    return int(smallest_replicas(rate, _demand([case]))[0])


def _demand(cases: Sequence[Case]) -> Demand:
    return Demand(
        np.array([case.service_seconds or 1.0 for case in cases]),
        np.array([case.variability for case in cases]),
        np.array([case.threshold_seconds for case in cases]),
        np.array([case.late_allowed for case in cases]),
    )


@dataclass(frozen=True)
class _Model:
    now: int
    reserve: int
    justified: int
    carries: int
    next_carries: float
    infeasible: bool


def _without_capacity(case: Case, percent: int) -> int:
    """Need while nothing is learned: the serving revision's replicas in proportion, and one more if the budget has it."""
    if case.stable_replicas is None:
        return min(case.maximum, max(1, case.minimum))
    in_proportion = max(1, math.ceil(percent * case.stable_replicas / 100))
    if case.room is None:
        return min(case.maximum, in_proportion + 1)
    if case.expected <= 0 and not case.blind:
        in_proportion = 1
    return min(case.maximum, max(in_proportion, min(in_proportion + 1, case.room)))


def _carries_without_capacity(case: Case) -> int:
    if case.ready < 1:
        return 0
    if case.expected <= 0:
        return 100
    return next((each for each in range(100, 0, -1) if _without_capacity(case, each) <= case.ready), 0)


def _decision(case: Case, model: _Model) -> Decision:
    learned = case.service_seconds is not None
    if learned:
        needed, reserve, ceiling = model.now, model.reserve, CEILING_FACTOR * model.justified
        carries = model.carries
        if case.ready >= reserve:
            carries = max(carries, case.reserve_percent)
        elif case.expected > 0:
            carries = min(carries, max(case.reserve_percent - 1, 0))
    else:
        needed = _without_capacity(case, case.weight_percent)
        reserve = _without_capacity(case, case.reserve_percent)
        ceiling = max(needed, case.wanted)
        carries = _carries_without_capacity(case)
    reserve_limited = learned and reserve > case.maximum
    lower = min(case.maximum, max(case.minimum, reserve))
    raised = {
        "Demand": needed,
        "Reserve": reserve,
        "Backlog" if backlogged(case) else "LateRequests": min(case.urgent, ceiling),
        "GpuUtilization": min(case.gpu_replicas, ceiling),
        "Minimum": case.minimum,
    }
    reason = max(raised, key=lambda name: raised[name])
    if reason == "Demand" and reserve == needed and case.reserve_percent > case.weight_percent:
        reason = "Reserve"
    asked = max(raised.values())
    target = min(max(asked, lower), case.maximum)
    desired, held_by = _move(case, target, learned=learned)
    limited = asked > case.maximum
    if desired == case.wanted:
        reason = held_by or ("Maximum" if limited else "Steady")
    elif desired < case.wanted:
        reason = "Maximum" if case.wanted > case.maximum else "DemandFell"
    elif held_by is not None:
        reason = held_by
    elif limited:
        reason = "Maximum"
    return Decision(
        desired=desired,
        needed=needed,
        target=target,
        reason=reason,
        sentence=sentence(case, desired, needed, min(reserve, case.maximum), reason),
        reserve_replicas=min(reserve, case.maximum),
        carries_percent=carries,
        reserve_limited=reserve_limited,
        limited=limited,
        infeasible=learned and model.infeasible,
        next_carries=model.next_carries if learned else None,
        held_by=held_by,
    )


def _move(case: Case, target: int, *, learned: bool) -> tuple[int, str | None]:
    """The next number of replicas on the way to `target`, and what keeps a higher one."""
    wanted = min(case.wanted, case.maximum)
    if target >= wanted:
        raised = min(target, case.wanted + max(FIRST_STEP_UP, case.wanted))
        for most, reason in ((case.room, "Budget"), (case.in_vain_beyond, "MoreInVain")):
            if most is not None and raised > max(wanted, most):
                return max(wanted, most), reason
        return raised, None
    if veto := _veto(case, wanted, learned=learned):
        return wanted, veto
    low, high = STEP_DOWN_PERIOD_SECONDS
    if case.seconds_since_lowered < min(max(case.hold_seconds / 3, low), high):
        return wanted, "RateLimited"
    return max(target, wanted - max(1, int(STEP_DOWN_FRACTION * wanted))), None


def _veto(case: Case, wanted: int, *, learned: bool) -> str | None:
    """Why no replica is removed now."""
    busy = case.gpu_utilization
    crowded = busy is not None and wanted > 1 and busy * wanted / (wanted - 1) > GPU_BUSY
    late = avoidably_late(case) > case.late_allowed
    checks = {
        "Frozen": case.frozen,
        "Blind": case.blind,
        "Hold": not case.shrinking_believed,
        "NothingLearned": not learned and case.expected > 0,
        "Backlog": backlogged(case),
        "Late": late and not_capacity_bound(case) != "IdleButLate",
        "GpuBusy": crowded and case.late_ratio is not None and case.late_ratio > case.late_allowed / 2,
        "GpuActive": busy is not None and busy > GPU_IDLE and case.expected <= 0 and case.ready > 0,
    }
    return next((reason for reason, holds in checks.items() if holds), None)

"""From demand and capacity to a number of replicas, with every bound that it must keep, and why.

Columnar where it costs: the model is asked once for all targets. The rules after it are per target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from autoscaler.capacity import carried_percent, floor_late, largest_rate, smallest_replicas
from autoscaler.case import Case, sentence
from autoscaler.lateness import (
    avoidably_late,
    backlogged,
    demand_of,
    floor_known,
    idle_for_long,
    occupied,
)

CEILING_FACTOR: Final = 2
"""No evidence but a user's bound raises the replicas above this multiple of what arrivals justify."""
FIRST_STEP_UP: Final = 4
"""A decision may double the replicas, or add so many."""
STEP_DOWN_FRACTION: Final = 0.2
STEP_DOWN_PERIOD_SECONDS: Final = (10.0, 60.0)
GPU_BUSY: Final = 0.9
GPU_IDLE: Final = 0.02


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
    demand = demand_of(cases)
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


def gpu_replicas(case: Case) -> int:
    """Replicas that bring the accelerators to the utilisation that the user wants."""
    if case.gpu_target_ratio is None or case.gpu_utilization is None:
        return 0
    return math.ceil(case.ready * case.gpu_utilization / case.gpu_target_ratio - 0.05)


@dataclass(frozen=True)
class _Model:
    now: int
    reserve: int
    justified: int
    carries: int
    next_carries: float
    infeasible: bool
    """Whether the work alone breaks the objective, if it varies as is assumed or measured."""


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
        carries, urgent = model.carries, min(case.urgent, ceiling)
        if case.ready >= reserve:
            carries = max(carries, case.reserve_percent)
        elif case.expected > 0:
            carries = min(carries, max(case.reserve_percent - 1, 0))
    else:
        needed = _without_capacity(case, case.weight_percent)
        reserve = _without_capacity(case, case.reserve_percent)
        ceiling = max(needed, case.wanted)
        carries, urgent = _carries_without_capacity(case), case.urgent
    reserve_limited = learned and reserve > case.maximum
    lower = min(case.maximum, max(case.minimum, reserve))
    raised = {
        "Demand": needed,
        "Reserve": reserve,
        "Backlog" if backlogged(case) else "LateRequests": urgent,
        "GpuUtilization": min(case.gpu_replicas, ceiling),
        "Minimum": case.minimum,
    }
    reason = max(raised, key=lambda name: raised[name])
    if reason == "Demand" and reserve == needed and case.reserve_percent > case.weight_percent:
        reason = "Reserve"
    asked = max(raised.values())
    target = min(max(asked, lower), case.maximum)
    # Of a reserve for the traffic that is there now, what is in vain is in vain.
    promised = reserve if case.reserve_percent > case.weight_percent else 1
    least = min(case.maximum, max(case.minimum, promised))
    desired, held_by = _move(case, target, least, learned=learned)
    limited = asked > case.maximum
    if desired == case.wanted:
        reason = held_by or ("Maximum" if limited else "Steady")
    elif desired < case.wanted:
        reason = "Maximum" if case.wanted > case.maximum else "DemandFell"
    elif held_by is not None:
        reason = held_by
    elif limited:
        reason = "Maximum"
    infeasible = learned and model.infeasible and floor_known(case)
    unsure = learned and model.infeasible and not infeasible
    told = min(reserve, case.maximum)
    return Decision(
        desired=desired,
        needed=needed,
        target=target,
        reason=reason,
        sentence=sentence(case, desired, needed, told, reason, infeasible=infeasible, unsure=unsure),
        reserve_replicas=told,
        carries_percent=carries,
        reserve_limited=reserve_limited,
        limited=limited,
        infeasible=infeasible,
        next_carries=model.next_carries if learned else None,
        held_by=held_by,
    )


def _move(case: Case, target: int, least: int, *, learned: bool) -> tuple[int, str | None]:
    """The next number of replicas on the way to `target`, and what keeps a higher one.

    `least` is owed to the user and to traffic that is to come, in vain or not.
    """
    wanted = min(case.wanted, case.maximum)
    if target >= wanted:
        raised = min(target, case.wanted + max(FIRST_STEP_UP, case.wanted))
        in_vain_beyond = None if case.in_vain_beyond is None else max(case.in_vain_beyond, least)
        for most, reason in ((case.room, "Budget"), (in_vain_beyond, "MoreInVain")):
            if most is not None and raised > max(wanted, most):
                return max(wanted, most), reason
        return raised, None
    if veto := _veto(case, wanted, learned=learned):
        return wanted, veto
    target = max(target, occupied(case))
    if target >= wanted:
        return wanted, "InFlight"
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
        "GpuUnseen": case.gpu_unseen,
        "Hold": not case.shrinking_believed,
        "NothingLearned": not learned and case.expected > 0,
        "Backlog": backlogged(case),
        "Late": late and not idle_for_long(case),
        "GpuBusy": crowded and case.late_ratio is not None and case.late_ratio > case.late_allowed / 2,
        "GpuActive": busy is not None and busy > GPU_IDLE and case.expected <= 0 and case.ready > 0,
    }
    return next((reason for reason, holds in checks.items() if holds), None)

"""What a decision leaves in the API: status with conditions, written only when it says something new."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

from autoscaler.case import KEEPING
from autoscaler.conditions import Finding
from autoscaler.decide import Decision
from autoscaler.targets import Target, timestamp_of
from serving_api.autoscaler import LastDecision

NUMBERS_REFRESH_SECONDS: Final = 600.0
"""A status in which only numbers have moved is written at most so often."""
REFRESH_ROUND_SECONDS: Final = 660.0
"""Each target has its turn in a round: after a start all are written together, and would be ever after."""
CARRIES_STEP_PERCENT: Final = 5
"""During a rollout, the change of carriesPercent that is worth a write."""
TOLD_FRACTION: Final = 0.1
"""Of what a decision was told to take: by less chance moves it."""

_PRESSING: Final = frozenset({"Backlog", "Late", "InFlight", "GpuBusy"})
"""Of these first one holds and then another, by chance: they are told apart once, and their turns are no news."""

_OF_A_DECISION: Final = frozenset(field.alias for field in LastDecision.model_fields.values())


@dataclass(frozen=True)
class Numbers:
    """What was measured, for status."""

    service_seconds: float | None
    start_seconds: float | None
    capacity_per_second: float | None
    arrivals: float
    forecast: float
    prepared: float
    """Requests per second that the decision prepares for."""


def status_of(
    target: Target,
    decision: Decision | None,
    found: list[Finding],
    numbers: Numbers | None,
    now: float,
    *,
    due: bool = False,
) -> dict[str, Any]:
    """The whole status as it should be now, as the API has it. `due`: numbers alone may be written.

    Written out: it is made for every target in every tick, and to have the types make it takes ten times as long. A
    test holds it against `InferenceAutoscalerStatus`.
    """
    before, workload = previous(target), target.workload
    generation = target.autoscaler.generation
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "conditions": _conditions(before, found, generation, now),
    }
    if workload is None or decision is None or numbers is None:
        # What was learned outlives a Deployment that is replaced, and somebody else's turn at it.
        return status | {"learned": before["learned"]} if "learned" in before else status
    status["observedReplicas"] = workload.observed
    status["desiredReplicas"] = decision.desired
    status["reserve"] = {
        "reservePercent": target.reserve_percent,
        "replicas": decision.reserve_replicas,
        "readyReplicas": workload.ready,
        "carriesPercent": decision.carries_percent,
        "observedGeneration": generation,
        "limited": decision.reserve_limited,
    }
    if _is_news(before, decision, due=due):
        status["lastDecision"] = _decided(decision, numbers, workload.wanted, now)
    else:
        status["lastDecision"] = {k: v for k, v in before["lastDecision"].items() if k in _OF_A_DECISION}
    if learned := _learned(numbers):
        status["learned"] = learned
    return status


def _conditions(
    before: Mapping[str, Any], found: list[Finding], generation: int, now: float
) -> list[dict[str, Any]]:
    held = {condition["type"]: condition for condition in before.get("conditions") or ()}
    conditions = []
    for finding in found:
        was = held.get(finding.type)
        since = was["lastTransitionTime"] if was and was["status"] == finding.status else timestamp_of(now)
        conditions.append(
            {
                "type": finding.type,
                "status": finding.status,
                "reason": finding.reason,
                "message": finding.message,
                "observedGeneration": generation,
                "lastTransitionTime": since,
            }
        )
    return conditions


def _decided(decision: Decision, numbers: Numbers, replicas: int, now: float) -> dict[str, Any]:
    return {
        "time": timestamp_of(now),
        "reason": decision.reason,
        "message": decision.sentence,
        "arrivalsPerMinute": round(60 * numbers.arrivals),
        "forecastPerMinute": round(60 * numbers.forecast),
        "preparedPerMinute": round(60 * numbers.prepared),
        "neededReplicas": decision.needed,
        "targetReplicas": decision.target,
        "previousReplicas": replicas,
    }


def _is_news(before: Mapping[str, Any], decision: Decision, *, due: bool) -> bool:
    """Whether a decision tells what the stored one does not: other replicas, what keeps them, or a need that has moved.

    The demand moves all the time, so that alone is none. Nor is it that replicas go step by step: the steps are.
    """
    last = before.get("lastDecision")
    if last is None or decision.desired != before.get("desiredReplicas"):
        return True
    if decision.held_by != "RateLimited" and _keeps(decision.held_by) != _told_to_keep(before):
        return True
    told = (decision.needed, last.get("neededReplicas")), (decision.target, last.get("targetReplicas"))
    return due and any(was is None or abs(now - was) > TOLD_FRACTION * was for now, was in told)


def _keeps(reason: str | None) -> str | None:
    return "Pressing" if reason in _PRESSING else reason if reason in KEEPING else None


def _told_to_keep(status: Mapping[str, Any]) -> str | None:
    """What keeps the replicas by the stored decision; None where nothing does."""
    last = status.get("lastDecision") or {}
    # A queue also raises replicas.
    raised = last.get("reason") in _PRESSING and last.get("previousReplicas") != status.get("desiredReplicas")
    return None if raised else _keeps(last.get("reason"))


def worth_writing(target: Target, status: Mapping[str, Any]) -> bool:
    """Whether `status` says something that the stored one does not, apart from numbers that have moved."""
    return _essence(target, status) != _essence(target, previous(target)) or _crossed(target, status)


def previous(target: Target) -> Mapping[str, Any]:
    """The status that is stored."""
    return target.manifest.get("status") or {}


def fresh_until(uid: str, written_at: float) -> float:
    """When the numbers of a status that was written then may be written again: at the target's next turn."""
    turn = crc32(uid.encode()) / 2**32 * REFRESH_ROUND_SECONDS
    rounds = math.ceil((written_at + NUMBERS_REFRESH_SECONDS - turn) / REFRESH_ROUND_SECONDS)
    return turn + rounds * REFRESH_ROUND_SECONDS


def transitions(target: Target, found: list[Finding]) -> list[Finding]:
    """Conditions that have come, changed or gone since the stored status: what is worth an event."""
    held = {c["type"]: c for c in previous(target).get("conditions") or ()}
    changed = [
        finding
        for finding in found
        if (finding.type in held and held[finding.type]["status"] != finding.status)
        or (finding.type not in held and finding.type in _NOTEWORTHY)
    ]
    present = {finding.type for finding in found}
    gone = [
        Finding(kind, "False", f"{kind}Resolved", f"{kind} does not hold any more")
        for kind, condition in held.items()
        if kind not in present and kind in _NOTEWORTHY and condition["status"] == "True"
    ]
    return changed + gone


_NOTEWORTHY = (
    "ReserveLimited",
    "ObjectiveInfeasible",
    "NotCapacityBound",
    "Conflict",
    "ObjectiveNotMeasurable",
)


def _learned(numbers: Numbers) -> dict[str, int]:
    if numbers.service_seconds is None and numbers.start_seconds is None:
        return {}
    found = {
        "serviceTimeMilliseconds": (numbers.service_seconds, 1000),
        "startTimeSeconds": (numbers.start_seconds, 1),
        "capacityPerReplicaPerMinute": (numbers.capacity_per_second, 60),
    }
    return {key: max(round(value * unit), 1) for key, (value, unit) in found.items() if value is not None}


def _essence(target: Target, status: Mapping[str, Any]) -> Any:
    reserve = dict(status.get("reserve") or {})
    carries = reserve.pop("carriesPercent", None)
    if carries is not None and _in_rollout(target):
        reserve["carried"] = carries // CARRIES_STEP_PERCENT
    return (
        status.get("observedGeneration"),
        status.get("observedReplicas"),
        status.get("desiredReplicas"),
        _told_to_keep(status),
        reserve,
        sorted((c["type"], c["status"], c["reason"]) for c in status.get("conditions") or ()),
        sorted(key for key in status.get("learned") or () if key != "capacityPerReplicaPerMinute"),
    )


def _crossed(target: Target, status: Mapping[str, Any]) -> bool:
    """Whether what the ready replicas carry has crossed what they must."""
    sides = [
        reserve["carriesPercent"] >= reserve["reservePercent"]
        for reserve in (status.get("reserve"), previous(target).get("reserve"))
        if reserve
    ]
    return len(sides) == 2 and sides[0] != sides[1]


def _in_rollout(target: Target) -> bool:
    return len(target.members) > 1 or target.spec.scale_down == "Frozen"

"""Why so many replicas: the chain from demand to decision, as the autoscaler's status has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from servingctl.overview import conditions_of
from servingctl.tables import age

Manifest = Mapping[str, Any]
GOOD = {"ScalingActive": "True", "SignalsAvailable": "True"}
"""Conditions that are to be True; all others say something only when they are."""


def chain(autoscaler: Manifest, now: datetime) -> list[tuple[str, str]]:
    """Return the links of the last decision in order: (name, sentence)."""
    return list(_links(autoscaler["spec"], autoscaler.get("status") or {}, autoscaler, now))


def text(autoscaler: Manifest, role: str, now: datetime) -> str:
    """Return the chain for people."""
    lines = [f"{autoscaler['metadata']['name']}{f' ({role})' if role else ''}"]
    return "\n".join(lines + [f"  {name.ljust(11)}{words}" for name, words in chain(autoscaler, now)])


def _links(
    spec: Manifest, status: Manifest, autoscaler: Manifest, now: datetime
) -> Iterator[tuple[str, str]]:
    decision, learned = status.get("lastDecision") or {}, status.get("learned") or {}
    objective = spec["objective"]
    signals = spec["signals"].get("profile") or "metrics by name"
    yield (
        "objective",
        f"{objective.get('percent', 99)}% of the requests within {objective['thresholdMilliseconds']} ms, read from {signals}",
    )
    if not status:
        yield "decision", "none yet: the autoscaler has not looked at it; if that lasts: servingctl check"
        return
    if decision.get("arrivalsPerMinute") is not None:
        expected = decision.get("forecastPerMinute")
        ahead = (
            f", {expected} expected by the time a pod started now would be ready"
            if expected is not None
            else ""
        )
        yield "demand", f"{decision['arrivalsPerMinute']} requests a minute{ahead}"
    yield "learned", _learned(learned)
    reserve, share = status.get("reserve") or {}, spec.get("share") or {}
    if reserve:
        weight = share.get("weightPercent")
        now_gets = f"gets {weight}% of the service's demand now, " if weight is not None else ""
        cut = "; maxReplicas cuts it" if reserve.get("limited") else ""
        yield (
            "reserve",
            f"{now_gets}is to be ready for {reserve['reservePercent']}%: that takes {reserve['replicas']} replicas{cut}; "
            f"{reserve['readyReplicas']} are ready and carry {reserve['carriesPercent']}%",
        )
    frozen = "; no replica is removed for now (scaleDown Frozen)" if spec.get("scaleDown") == "Frozen" else ""
    yield "bounds", f"{spec.get('minReplicas', 1)} to {spec['maxReplicas']} replicas{frozen}"
    advises = " It only advises (mode Advise)." if spec.get("mode") == "Advise" else ""
    if decision:
        yield (
            "decision",
            f"{status.get('desiredReplicas', '?')} replicas, {status.get('observedReplicas', '?')} exist; "
            f"{decision['reason']}, {age(decision['time'], now)} ago: {decision['message']}{advises}",
        )
    for name, entry in conditions_of(autoscaler).items():
        if entry["status"] != GOOD.get(name, "False"):
            yield "note", f"{name} is {entry['status']} ({entry['reason']}): {entry['message']}"


def _learned(learned: Manifest) -> str:
    known = [
        f"{learned['serviceTimeMilliseconds']} ms of work per request"
        if "serviceTimeMilliseconds" in learned
        else "",
        f"{learned['startTimeSeconds']} s from a decision to a ready pod"
        if "startTimeSeconds" in learned
        else "",
        f"one more replica carries {learned['capacityPerReplicaPerMinute']} requests a minute within the objective"
        if "capacityPerReplicaPerMinute" in learned
        else "",
    ]
    return ", ".join(entry for entry in known if entry) or "nothing yet"

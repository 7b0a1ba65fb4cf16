"""The chain of the last decision in words, from what an InferenceAutoscaler's status says: one line a link.

The status does not keep how many replicas a queue or late requests ask for, nor until when a hold lasts; where one of
them decides, the decision's reason and sentence say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from autoscaler.learn import START_PRIOR_SECONDS

Manifest = Mapping[str, Any]

NOTEWORTHY: Final = (
    "ReserveLimited",
    "ScalingLimited",
    "ObjectiveInfeasible",
    "ObjectiveNotMeasurable",
    "NotCapacityBound",
    "Conflict",
)
NOTHING: Final[Manifest] = {}
STANDING_OUT: Final = 1.01
"""By which what is prepared for must exceed the forecast to be told apart from it: rounding moves both."""


def explain(status: Manifest, spec: Manifest = NOTHING) -> list[str]:
    """The lines; `spec`, where it is at hand, adds objective and bounds. Both as the API has them."""
    return [f"{link}: {text}" for link, text in links(status, spec)]


def links(status: Manifest, spec: Manifest = NOTHING) -> Iterator[tuple[str, str]]:
    """Yield the same, each as the name of the link and its words."""
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    yield "signals", _condition(conditions.get("SignalsAvailable"), "not looked at yet")
    if decision := status.get("lastDecision"):
        infeasible = conditions.get("ObjectiveInfeasible", NOTHING).get("status") == "True"
        yield from _decided(decision, status, spec, infeasible=infeasible)
    else:
        yield "replicas", "nothing is decided yet"
    active = conditions.get("ScalingActive")
    if active is not None and active["status"] != "True":
        yield "not scaled", active["message"]
    for kind in NOTEWORTHY:
        if kind in conditions and conditions[kind]["status"] == "True":
            yield kind, conditions[kind]["message"]


def _decided(
    decision: Manifest, status: Manifest, spec: Manifest, *, infeasible: bool
) -> Iterator[tuple[str, str]]:
    learned, reserve = status.get("learned") or NOTHING, status.get("reserve")
    yield "demand", f"{_rate(decision.get('arrivalsPerMinute'))} arrived at {decision['time']}"
    yield "work", _work(learned)
    yield "start", _start(learned)
    yield "forecast", _forecast(decision)
    if (needed := decision.get("neededReplicas")) is not None:
        aim = ", so that waits are short" if infeasible else _objective(spec)
        yield "need", f"{_replicas(needed)} for it{aim}"
    if reserve:
        yield (
            "reserve",
            (
                f"{_replicas(reserve['replicas'])} to be ready for {reserve['reservePercent']}% of the demand; the "
                f"{reserve['readyReplicas']} ready now carry {reserve['carriesPercent']}%"
            ),
        )
    yield "bounds", _bounds(decision, spec)
    before, after = decision.get("previousReplicas"), status.get("desiredReplicas")
    change = f"stays at {after}" if before in (None, after) else f"{before} → {after}"
    yield "replicas", f"{change} ({decision['reason']}): {decision['message']}"


def _work(learned: Manifest) -> str:
    milliseconds = learned.get("serviceTimeMilliseconds")
    if milliseconds is None:
        return "nothing learned yet: too few requests were seen to tell what one takes"
    capacity = learned.get("capacityPerReplicaPerMinute")
    more = "" if capacity is None else f"; one more replica carries {_rate(capacity)} within the objective"
    return f"{milliseconds} ms a request{more}"


def _start(learned: Manifest) -> str:
    seconds = learned.get("startTimeSeconds")
    if seconds is None:
        return f"not measured yet; {START_PRIOR_SECONDS:.0f} s are assumed"
    return f"a replica is ready {seconds} s after it was asked for"


def _forecast(decision: Manifest) -> str:
    forecast, prepared = decision.get("forecastPerMinute"), decision.get("preparedPerMinute")
    text = f"{_rate(forecast)} when a replica started then would be ready"
    if forecast is None or prepared is None or prepared <= STANDING_OUT * forecast:
        return text
    return f"{text}; prepared for {_rate(prepared)}, which was expected lately, comes by the clock, or came by surprise"


def _bounds(decision: Manifest, spec: Manifest) -> str:
    stated = []
    if "maxReplicas" in spec:
        stated.append(f"{spec.get('minReplicas', 1)} to {spec['maxReplicas']}")
    if spec.get("scaleDown") == "Frozen":
        stated.append("no scale-down for now")
    if (target := decision.get("targetReplicas")) is not None:
        stated.append(f"{_replicas(target)} before holds and limits on the rate of change")
    return "; ".join(stated) or "not stated"


def _objective(spec: Manifest) -> str:
    objective = spec.get("objective")
    if not objective:
        return ""
    return f", so that {objective.get('percent', 99)}% are answered within {objective['thresholdMilliseconds']} ms"


def _condition(condition: Manifest | None, otherwise: str) -> str:
    if condition is None:
        return otherwise
    return f"{condition['message']} ({condition['reason']})"


def _replicas(count: int) -> str:
    return f"{count} replica{'' if count == 1 else 's'}"


def _rate(per_minute: int | None) -> str:
    return "an unknown demand" if per_minute is None else f"{per_minute / 60:.3g} requests/s"

"""How many replicas, and who says so: our autoscaler with an objective, or the very HPA that KServe would make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serving_api.names import API_VERSION, SERVICE_KIND
from servingctl.conversion.fit import ABSENT, SERVICE, fit, schema_of
from servingctl.conversion.ledger import NOTHING, Ledger
from servingctl.conversion.metadata import Steering
from servingctl.conversion.tables import as_map
from servingctl.paths import Path

AUTOSCALER: Path = ("HorizontalPodAutoscaler",)
FIELDS = ("minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "scaleMetricType", "autoScaling")
CPU_PERCENT = 80
"""KServe's default target."""
_OBJECTIVE = "give an objective with --objective-milliseconds"
_REPLACED = "replicas follow the objective instead"
_WHOLE = {"type": "integer", "minimum": 1, "maximum": 1000}


@dataclass(frozen=True, slots=True)
class Objective:
    """What our autoscaler is to hold: so many percent of the requests within so many milliseconds."""

    threshold_milliseconds: int
    percent: int = 99


def scaling(
    value: dict[str, Any],
    path: Path,
    steered: Steering,
    objective: Objective | None,
    spec: dict[str, Any],
    ledger: Ledger,
) -> dict[str, Any] | None:
    """Carry bounds and metrics over to `spec`; returns the spec of a HorizontalPodAutoscaler if one is to scale it."""
    for name in FIELDS:
        if value.get(name) is None:
            ledger.imply((*path, name), NOTHING)
    least = _least(value.get("minReplicas"), (*path, "minReplicas"), steered, ledger)
    most = value.get("maxReplicas")
    has_most = most is not None and most != 0
    if most == 0:
        ledger.imply((*path, "maxReplicas"), "0 is unset: no more than minReplicas")
    if has_most and not _is_whole(most):
        ledger.refuse((*path, "maxReplicas"), f"{most!r} must be a whole number from 1 to 1000")
        has_most = False
    if isinstance(most, int) and has_most and most < least:
        ledger.refuse((*path, "maxReplicas"), "is less than minReplicas")
        has_most = False
    if value.get("scaleMetricType") is not None:
        ledger.imply((*path, "scaleMetricType"), "KServe declares it and never reads it")
    if steered.autoscaler in ("none", "external"):
        _fixed(value, path, least, has_most, steered, spec, ledger)
        return None
    if objective is not None:
        _automatic(value, path, least, most if has_most else None, objective, spec, ledger)
        return None
    return _as_before(value, path, least, most if has_most else None, steered, spec, ledger)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000


def _least(stated: Any, at: Path, steered: Steering, ledger: Ledger) -> int:
    if stated is None:
        return 1
    if _is_whole(stated):
        return int(stated)
    if stated == 0 and steered.mode == "Standard" and steered.autoscaler != "keda":
        ledger.note(at, "Standard mode takes 0 for 1, and so does this")
    elif stated == 0:
        ledger.refuse(at, "a request for a service without pods has nobody to hold it; say 1")
    else:
        ledger.refuse(at, f"{stated!r} must be a whole number from 1 to 1000")
    return 1


def _fixed(
    value: dict[str, Any],
    path: Path,
    least: int,
    has_most: bool,
    steered: Steering,
    spec: dict[str, Any],
    ledger: Ledger,
) -> None:
    """Somebody else, or nobody, scales: replicas are set through the scale subresource."""
    spec["scaling"] = {"class": "External", "external": {"replicas": least}}
    if _is_whole(value.get("minReplicas")):
        ledger.carry((*path, "minReplicas"), (*SERVICE, "spec", "scaling", "external", "replicas"))
    words = f"without effect for the autoscaler class {steered.autoscaler}"
    if has_most:
        ledger.imply((*path, "maxReplicas"), words)
    for name in ("scaleMetric", "scaleTarget", "autoScaling"):
        ledger.imply((*path, name), words)


def _automatic(
    value: dict[str, Any],
    path: Path,
    least: int,
    most: int | None,
    objective: Objective,
    spec: dict[str, Any],
    ledger: Ledger,
) -> None:
    bounds = {"minReplicas": least, "maxReplicas": most or least}
    spec["predictor"] |= bounds
    for name in bounds:
        if _is_whole(value.get(name)):
            ledger.carry((*path, name), (*SERVICE, "spec", "predictor", name))
    spec["objective"] = {
        "thresholdMilliseconds": objective.threshold_milliseconds,
        "percent": objective.percent,
    }
    for name in ("scaleMetric", "scaleTarget", "autoScaling"):
        ledger.note((*path, name), _REPLACED)


def _as_before(
    value: dict[str, Any],
    path: Path,
    least: int,
    most: int | None,
    steered: Steering,
    spec: dict[str, Any],
    ledger: Ledger,
) -> dict[str, Any] | None:
    """Without an objective: a fixed number, or the HorizontalPodAutoscaler that KServe would make, on our service."""
    target = (*SERVICE, "spec", "scaling", "external", "replicas")
    if steered.autoscaler == "keda":
        for name in ("maxReplicas", "scaleMetric", "scaleTarget", "autoScaling"):
            ledger.refuse(
                (*path, name),
                f"no ScaledObject is made: point one at our service's scale subresource, or {_OBJECTIVE}",
            )
    if most is None or most == least:
        spec["scaling"] = {"class": "External", "external": {"replicas": least}}
        if _is_whole(value.get("minReplicas")):
            ledger.carry((*path, "minReplicas"), target)
        if most is not None:
            ledger.imply((*path, "maxReplicas"), "it is minReplicas: a fixed number")
        for name in ("scaleMetric", "scaleTarget", "autoScaling"):
            ledger.imply((*path, name), "without effect: least and most replicas are the same")
        return None
    spec["scaling"] = {"class": "External", "external": {}}
    if _is_whole(value.get("minReplicas")):
        ledger.carry((*path, "minReplicas"), (*AUTOSCALER, "spec", "minReplicas"))
    ledger.carry((*path, "maxReplicas"), (*AUTOSCALER, "spec", "maxReplicas"))
    return {
        "scaleTargetRef": {"apiVersion": API_VERSION, "kind": SERVICE_KIND},
        "minReplicas": least,
        "maxReplicas": most,
        "metrics": _metrics(value, path, ledger),
    }


def _metrics(value: dict[str, Any], path: Path, ledger: Ledger) -> list[Any]:
    target = (*AUTOSCALER, "spec", "metrics", 0, "resource")
    metric, percent = value.get("scaleMetric"), value.get("scaleTarget")
    if value.get("autoScaling") is not None:
        found = _listed(value["autoScaling"], (*path, "autoScaling"), ledger)
        for name in ("scaleMetric", "scaleTarget"):
            ledger.imply((*path, name), "autoScaling.metrics says it")
        return found
    if metric in ("cpu", "memory"):
        ledger.carry((*path, "scaleMetric"), (*target, "name"))
    elif metric is not None:
        ledger.refuse((*path, "scaleMetric"), f"{metric}: an HPA reads cpu and memory; {_OBJECTIVE}")
    if isinstance(percent, int) and not isinstance(percent, bool) and percent >= 1:
        ledger.carry((*path, "scaleTarget"), (*target, "target", "averageUtilization"))
    elif percent is not None:
        ledger.refuse((*path, "scaleTarget"), f"{percent!r} must be a percentage of at least 1")
    return [_utilization(str(metric or "cpu"), percent or CPU_PERCENT)]


def _utilization(name: str, percent: Any) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": name, "target": target}}


def _listed(value: Any, path: Path, ledger: Ledger) -> list[Any]:
    left = as_map(value, path, ledger)
    if "behavior" in left:
        ledger.note((*path, "behavior"), "KServe does not hand it to its HPA")
    stated = left.get("metrics")
    entries: list[Any] = []
    for index, metric in enumerate(stated if isinstance(stated, list) else ()):
        at = (*path, "metrics", index)
        if not isinstance(metric, dict) or metric.get("type") != "Resource":
            ledger.refuse(at, f"an HPA of KServe's reads Resource metrics only; {_OBJECTIVE}")
            continue
        place = (*AUTOSCALER, "spec", "metrics", len(entries))
        found = fit(metric, _RESOURCE_METRIC, at, place, ledger)
        if found is not ABSENT:
            entries.append(found)
    if not entries:
        ledger.imply((*path, "metrics"), NOTHING)
    return entries or [_utilization("cpu", CPU_PERCENT)]


_RESOURCE_METRIC: dict[str, Any] = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": ["Resource"]},
        "resource": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "enum": ["cpu", "memory"]},
                "target": {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string", "enum": ["Utilization", "AverageValue"]},
                        "averageUtilization": {"type": "integer", "minimum": 1},
                        "averageValue": {"x-kubernetes-int-or-string": True},
                    },
                },
            },
        },
    },
}
"""As autoscaling/v2 has it."""


def timeout(value: Any, path: Path, predictor: dict[str, Any], ledger: Ledger) -> None:
    """Carry the time that a request may take over, in seconds."""
    found = fit(
        value, schema_of("predictor", "timeout"), path, (*SERVICE, "spec", "predictor", "timeout"), ledger
    )
    if found is not ABSENT:
        predictor["timeout"] = found

"""The chain of a decision in words, from numbers of the status alone."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.explain import explain
from tests.autoscaler.world import Revision, World

SPEC = {"minReplicas": 1, "maxReplicas": 20, "objective": {"thresholdMilliseconds": 300, "percent": 99}}
FRESH = {
    "type": "SignalsAvailable",
    "status": "True",
    "reason": "Fresh",
    "message": "all signals that are expected are fresh",
}
STATUS: dict[str, Any] = {
    "desiredReplicas": 5,
    "observedReplicas": 3,
    "reserve": {"reservePercent": 100, "replicas": 4, "readyReplicas": 3, "carriesPercent": 81},
    "learned": {
        "serviceTimeMilliseconds": 95,
        "startTimeSeconds": 42,
        "capacityPerReplicaPerMinute": 480,
    },
    "lastDecision": {
        "time": "2026-05-01T12:00:00Z",
        "reason": "Demand",
        "message": "Because.",
        "arrivalsPerMinute": 1200,
        "forecastPerMinute": 1500,
        "preparedPerMinute": 1503,
        "neededReplicas": 4,
        "targetReplicas": 6,
        "previousReplicas": 3,
    },
    "conditions": [FRESH],
}


def test_every_link_is_a_line() -> None:
    """From signals to replicas, in this order."""
    assert explain(STATUS, SPEC) == [
        "signals: all signals that are expected are fresh (Fresh)",
        "demand: 20 requests/s arrived at 2026-05-01T12:00:00Z",
        "work: 95 ms a request; one more replica carries 8 requests/s within the objective",
        "start: a replica is ready 42 s after it was asked for",
        "forecast: 25 requests/s when a replica started then would be ready",
        "need: 4 replicas for it, so that 99% are answered within 300 ms",
        "reserve: 4 replicas to be ready for 100% of the demand; the 3 ready now carry 81%",
        "bounds: 1 to 20; 6 replicas before holds and limits on the rate of change",
        "replicas: 3 → 5 (Demand): Because.",
    ]


WHENCE = ", which was expected lately, comes by the clock, or came by surprise"
FORECAST = "forecast: 25 requests/s when a replica started then would be ready"


def decided(**more: Any) -> dict[str, Any]:
    """The status with other numbers of the decision."""
    return STATUS | {"lastDecision": STATUS["lastDecision"] | more}


def condition(kind: str, status: str, message: str) -> dict[str, Any]:
    """The status with one more condition."""
    one = {"type": kind, "status": status, "reason": "R", "message": message}
    return STATUS | {"conditions": [FRESH, one]}


@pytest.mark.parametrize(
    ("status", "spec", "line"),
    [
        ({}, SPEC, "signals: not looked at yet"),
        ({}, SPEC, "replicas: nothing is decided yet"),
        (STATUS | {"learned": None}, SPEC, "work: nothing learned yet: too few requests were seen to tell what one takes"),
        (STATUS | {"learned": {"serviceTimeMilliseconds": 9}}, SPEC, "work: 9 ms a request"),
        (STATUS | {"learned": {}}, SPEC, "start: not measured yet; 60 s are assumed"),
        (decided(preparedPerMinute=3000), SPEC, f"{FORECAST}; prepared for 50 requests/s{WHENCE}"),
        (decided(preparedPerMinute=None), SPEC, FORECAST),
        (decided(arrivalsPerMinute=None), SPEC, "demand: an unknown demand arrived at 2026-05-01T12:00:00Z"),
        (STATUS, {}, "need: 4 replicas for it"),
        (condition("ObjectiveInfeasible", "True", "too long"), SPEC, "need: 4 replicas for it, so that waits are short"),
        (condition("ObjectiveInfeasible", "False", "x"), SPEC, "need: 4 replicas for it, so that 99% are answered within 300 ms"),
        (decided(neededReplicas=1), {}, "need: 1 replica for it"),
        (STATUS, {}, "bounds: 6 replicas before holds and limits on the rate of change"),
        (STATUS, SPEC | {"scaleDown": "Frozen"}, "bounds: 1 to 20; no scale-down for now; 6 replicas before holds and limits on the rate of change"),
        (decided(targetReplicas=None), {}, "bounds: not stated"),
        (decided(previousReplicas=5), SPEC, "replicas: stays at 5 (Demand): Because."),
        (decided(previousReplicas=None), SPEC, "replicas: stays at 5 (Demand): Because."),
        (condition("ScalingActive", "False", "mode Advise only says"), SPEC, "not scaled: mode Advise only says"),
        (condition("ScalingLimited", "True", "raise maxReplicas"), SPEC, "ScalingLimited: raise maxReplicas"),
        (condition("Conflict", "True", "delete one"), SPEC, "Conflict: delete one"),
    ],
)  # fmt: skip
def test_links(status: dict[str, Any], spec: dict[str, Any], line: str) -> None:
    """Each with what is known, and never more."""
    assert line in explain(status, spec)


def test_what_holds_not_is_no_line() -> None:
    """Conditions that are False say nothing."""
    assert explain(condition("ScalingLimited", "False", "x"), SPEC) == explain(STATUS, SPEC)
    assert explain(condition("ScalingActive", "True", "x"), SPEC) == explain(STATUS, SPEC)


def test_the_autoscalers_own_status_has_every_link() -> None:
    """After a rise, with the numbers of that decision."""
    service = Revision("digits", service_seconds=0.1)
    world = World(service, rate=lambda at: 1.0 if at < 100 else 25.0)
    world.run(160)
    lines = explain(service.status, world.objects().autoscalers[0]["spec"])
    assert [line.split(":")[0] for line in lines[:9]] == [
        "signals", "demand", "work", "start", "forecast", "need", "reserve", "bounds", "replicas",
    ]  # fmt: skip
    assert "100 ms a request" in lines[2]
    assert f"→ {service.status['desiredReplicas']} (Demand)" in lines[8]

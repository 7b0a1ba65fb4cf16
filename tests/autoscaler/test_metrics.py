"""What the autoscaler says of itself, apart from what a tick shows (test_loop.py)."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from autoscaler.metrics import Metrics


def told(*conditions: tuple[str, str, str], name: str = "digits", service: str | None = "digits") -> Any:
    """An InferenceAutoscaler with conditions: type, status, reason."""
    labels = {} if service is None else {"serving-operator.dev/service": service}
    stated = [{"type": type_, "status": status, "reason": reason} for type_, status, reason in conditions]
    return {
        "metadata": {"namespace": "demo", "name": name, "labels": labels},
        "status": {"conditions": stated},
    }


def test_conditions_are_shown_as_status_tells_them() -> None:
    """True is 1, False is 0, Unknown is no series; what is not told any more has none either."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)

    def shown() -> dict[tuple[str, ...], float]:
        (family,) = (f for f in registry.collect() if f.name == "serving_autoscaler_condition")
        names = ("autoscaler", "service", "condition", "reason")
        return {tuple(s.labels[name] for name in names): s.value for s in family.samples}

    metrics.show_conditions(
        [
            told(("ScalingLimited", "True", "MaxReplicas"), ("SignalsAvailable", "False", "Stale")),
            told(("SignalsAvailable", "Unknown", "NoRequestYet"), name="young"),
            told(("ScalingActive", "False", "Advise"), name="alone", service=None),
        ]
    )
    assert shown() == {
        ("digits", "digits", "ScalingLimited", "MaxReplicas"): 1,
        ("digits", "digits", "SignalsAvailable", "Stale"): 0,
        ("alone", "", "ScalingActive", "Advise"): 0,
    }
    metrics.show_conditions(
        [
            told(("ScalingLimited", "False", "WithinBounds")),
            {"metadata": {"namespace": "demo", "name": "new"}},
        ]
    )
    assert shown() == {("digits", "digits", "ScalingLimited", "WithinBounds"): 0}


def test_leadership_is_shown_from_the_start() -> None:
    """A process that stands by says 0, so that nobody who leads is told from nobody who is there."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    lease = {"name": "serving-autoscaler"}
    assert registry.get_sample_value("leader_election_master_status", lease) == 0
    metrics.leads(True)
    assert registry.get_sample_value("leader_election_master_status", lease) == 1
    metrics.leads(False)
    assert registry.get_sample_value("leader_election_master_status", lease) == 0

"""What the autoscaler says of itself: one gauge per number and target, removed with the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from autoscaler.tick import Report
from serving_api.names import AUTOSCALER, SERVICE_LABEL

_LABELS: Final = ("namespace", "autoscaler", "service")
_TICK_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_GAUGES: Final = {
    "arrivals_per_second": "Requests per second that arrive at the target.",
    "forecast_per_second": "Requests per second expected when a pod started now is ready.",
    "service_time_seconds": "Mean time of work per request, as learned.",
    "start_time_seconds": "Time from the write of a number of replicas to their readiness, ninth decile.",
    "desired_replicas": "Replicas decided.",
    "ready_replicas": "Replicas ready.",
    "reserve_replicas": "Replicas that the reserve takes.",
    "carries_percent": "Percent of the service's demand that the ready replicas hold.",
    "late_ratio": "Fraction of the arrivals without a response within the objective's threshold.",
    "failed_ratio": "Fraction of the requests that fail, in time or late.",
    "bad_allowed_ratio": "Fraction of the requests that the objective allows to be late or to fail.",
    "objective_seconds": "Threshold of the objective.",
    "gpu_utilization_ratio": "Busy share of the target's accelerators.",
    "weight_percent": "Percent of the service's demand that arrives here.",
    "signal_age_seconds": "Age of the newest sample that the decision saw.",
}


class Metrics:
    """The metrics of one autoscaler."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauges = {
            name: Gauge(f"serving_autoscaler_{name}", text, _LABELS, registry=registry)
            for name, text in _GAUGES.items()
        }
        self.decisions = Counter(
            "serving_autoscaler_decisions",
            "Decisions by reason; one per target and tick.",
            (*_LABELS, "reason"),
            registry=registry,
        )
        self.queries = Counter(
            "serving_autoscaler_queries", "Queries to Prometheus by result.", ("result",), registry=registry
        )
        self.tick_seconds = Histogram(
            "serving_autoscaler_tick_seconds",
            "Time of a tick, with its queries and writes.",
            buckets=_TICK_BUCKETS,
            registry=registry,
        )
        self._leader = Gauge(
            "leader_election_master_status", "1 while this process leads.", ("name",), registry=registry
        )
        self._leader.labels(AUTOSCALER).set(0)
        self._conditions = Gauge(
            "serving_autoscaler_condition",
            "1 if a condition of the InferenceAutoscaler's status is True, 0 if it is False; none while it is Unknown.",
            (*_LABELS, "condition", "reason"),
            registry=registry,
        )
        self._reasons: dict[tuple[str, str, str], set[str]] = {}

    def leads(self, leading: bool) -> None:
        """Leadership has changed."""
        self._leader.labels(AUTOSCALER).set(int(leading))

    def show_conditions(self, autoscalers: Iterable[Mapping[str, Any]]) -> None:
        """Set the series of the conditions that these objects' status tells; all others end."""
        self._conditions.clear()
        for manifest in autoscalers:
            metadata = manifest["metadata"]
            service = (metadata.get("labels") or {}).get(SERVICE_LABEL, "")
            for told in (manifest.get("status") or {}).get("conditions") or ():
                if told["status"] != "Unknown":
                    names = (metadata["namespace"], metadata["name"], service, told["type"], told["reason"])
                    self._conditions.labels(*names).set(told["status"] == "True")

    def show(self, reports: Iterable[Report]) -> None:
        """Set the series of these targets; those of others end."""
        shown = set()
        for report in reports:
            labels = (
                report.target.autoscaler.namespace,
                report.target.autoscaler.name,
                report.target.service,
            )
            shown.add(labels)
            for name, value in _values(report).items():
                if value is not None:
                    self._gauges[name].labels(*labels).set(value)
                else:
                    self._gauges[name].remove_by_labels(dict(zip(_LABELS, labels, strict=True)))
            self.decisions.labels(*labels, report.decision.reason).inc()
            self._reasons.setdefault(labels, set()).add(report.decision.reason)
        for labels in self._reasons.keys() - shown:
            named = dict(zip(_LABELS, labels, strict=True))
            for gauge in self._gauges.values():
                gauge.remove_by_labels(named)
            self.decisions.remove_by_labels(named)
        self._reasons = {labels: self._reasons[labels] for labels in shown}


def _values(report: Report) -> dict[str, float | None]:
    target, decision = report.target, report.decision
    workload = target.workload
    return {
        "arrivals_per_second": report.arrivals,
        "forecast_per_second": report.forecast,
        "service_time_seconds": report.service_seconds,
        "start_time_seconds": report.start_seconds,
        "desired_replicas": decision.desired,
        "ready_replicas": workload.ready if workload else None,
        "reserve_replicas": decision.reserve_replicas,
        "carries_percent": decision.carries_percent,
        "late_ratio": report.observation.late_ratio,
        "failed_ratio": report.observation.failed_ratio,
        "bad_allowed_ratio": (100 - target.spec.objective.percent) / 100,
        "objective_seconds": target.spec.objective.threshold_milliseconds / 1000,
        "gpu_utilization_ratio": report.observation.gpu_utilization,
        "weight_percent": target.weight_percent,
        "signal_age_seconds": report.signal_age_seconds,
    }

"""What the autoscaler says of itself: one gauge per number and target, which ends with the target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from autoscaler.state import TargetState, history_bytes
from autoscaler.stopwatch import Stopwatch
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


Labels = tuple[str, str, str]


class Metrics:
    """The metrics of one autoscaler."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._told = _Told()
        registry.register(self._told)
        self.queries = Counter(
            "serving_autoscaler_queries", "Queries to Prometheus by result.", ("result",), registry=registry
        )
        self.tick_seconds = Histogram(
            "serving_autoscaler_tick_seconds",
            "Time of a tick, with its queries and writes.",
            buckets=_TICK_BUCKETS,
            registry=registry,
        )
        self._cpu = Counter(
            "serving_autoscaler_tick_cpu_seconds",
            "CPU time of this process in ticks, by part: objects of the API, signals, decide, writes, history.",
            ("part",),
            registry=registry,
        )
        self._leader = Gauge(
            "leader_election_master_status", "1 while this process leads.", ("name",), registry=registry
        )
        self._leader.labels(AUTOSCALER).set(0)

    def leads(self, leading: bool) -> None:
        """Leadership has changed."""
        self._leader.labels(AUTOSCALER).set(int(leading))

    def spent(self, watch: Stopwatch) -> None:
        """A tick has ended."""
        for part, (cpu_seconds, _) in watch.parts.items():
            self._cpu.labels(part).inc(cpu_seconds)

    def remember(self, targets: Mapping[str, TargetState]) -> None:
        """What is remembered of targets from now on."""
        self._told.remembered = targets

    def show_conditions(self, autoscalers: Sequence[Mapping[str, Any]]) -> None:
        """Show the conditions that these objects' status tells; all others end."""
        self._told.autoscalers = autoscalers

    def show(self, reports: Sequence[Report]) -> None:
        """Show the numbers of these targets; those of others end."""
        self._told.take(reports)


class _Told(Collector):
    """What ticks have told of targets, made into series when somebody asks: ticks are more frequent than scrapes."""

    def __init__(self) -> None:
        self.autoscalers: Sequence[Mapping[str, Any]] = ()
        self.remembered: Mapping[str, TargetState] = {}
        self._reports: Sequence[Report] = ()
        self._decisions: dict[Labels, dict[str, int]] = {}

    def take(self, reports: Sequence[Report]) -> None:
        """The reports of a tick."""
        before, self._decisions, self._reports = self._decisions, {}, reports
        for report in reports:
            labels = _labels(report)
            counted = self._decisions[labels] = before.get(labels, {})
            counted[report.decision.reason] = counted.get(report.decision.reason, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """All series."""
        gauges = {
            name: GaugeMetricFamily(f"serving_autoscaler_{name}", text, labels=_LABELS)
            for name, text in _GAUGES.items()
        }
        for report in self._reports:
            labels = _labels(report)
            for name, value in _values(report).items():
                if value is not None:
                    gauges[name].add_metric(labels, value)
        yield from gauges.values()
        decisions = CounterMetricFamily(
            "serving_autoscaler_decisions",
            "Decisions by reason; one per target and tick.",
            labels=(*_LABELS, "reason"),
        )
        for labels, counted in self._decisions.items():
            for reason, count in counted.items():
                decisions.add_metric((*labels, reason), count)
        yield decisions
        yield self._conditions()
        yield GaugeMetricFamily(
            "serving_autoscaler_history_bytes",
            "Bytes of what is remembered of the past, of all targets.",
            value=sum(map(history_bytes, self.remembered.values())),
        )

    def _conditions(self) -> Metric:
        conditions = GaugeMetricFamily(
            "serving_autoscaler_condition",
            "1 if a condition of the InferenceAutoscaler's status is True, 0 if it is False; none while it is Unknown.",
            labels=(*_LABELS, "condition", "reason"),
        )
        for manifest in self.autoscalers:
            metadata = manifest["metadata"]
            service = (metadata.get("labels") or {}).get(SERVICE_LABEL, "")
            for told in (manifest.get("status") or {}).get("conditions") or ():
                if told["status"] != "Unknown":
                    names = (metadata["namespace"], metadata["name"], service, told["type"], told["reason"])
                    conditions.add_metric(names, int(told["status"] == "True"))
        return conditions


def _labels(report: Report) -> Labels:
    autoscaler = report.target.autoscaler
    return autoscaler.namespace, autoscaler.name, report.target.service


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

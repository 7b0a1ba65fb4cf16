"""What the operator says of itself to Prometheus; names as controller-runtime has them, so that dashboards fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from serving_api.names import OPERATOR, ServiceKey
from serving_operator.judge.windows import Evidence
from serving_operator.series import EvidenceSeries, Services
from serving_operator.workqueue import WorkQueue
from serving_operator.world import Manifest

CONTROLLER = "inferenceservice"
_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metrics:
    """The operator's metrics; the work queue's observer, and the client's."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody reads
        self.registry = CollectorRegistry()
        self._services = Services()
        self._evidence = EvidenceSeries()
        for collector in (self._services, self._evidence):
            self.registry.register(collector)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=self.registry)

        def seconds(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(name, text, labels, registry=self.registry, buckets=_SECONDS)

        self._adds = counter("workqueue_adds_total", "Keys that entered the queue.", "name")
        self._retries = counter("workqueue_retries_total", "Keys that run again after an error.", "name")
        self._waited = seconds("workqueue_queue_duration_seconds", "Seconds that keys waited.", "name")
        self._worked = seconds("workqueue_work_duration_seconds", "Seconds that runs took.", "name")
        self._reconciles = counter(
            "controller_runtime_reconcile_total", "Runs by their result.", "controller", "result"
        )
        self._errors = counter("controller_runtime_reconcile_errors_total", "Runs that failed.", "controller")
        self._time = seconds("controller_runtime_reconcile_time_seconds", "Seconds per run.", "controller")
        self._requests = counter(
            "rest_client_requests_total",
            "Requests to the API server, writes and reads of our own.",
            "code",
            "method",
        )
        self._request_time = seconds(
            "rest_client_request_duration_seconds", "Seconds per request to the API server.", "method"
        )
        self._leader = Gauge(
            "leader_election_master_status", "1 while this process leads.", ("name",), registry=self.registry
        )
        self._resyncs = counter("serving_operator_resyncs_total", "Resyncs by their result.", "result")
        self._behind = counter(
            "serving_operator_resync_corrections_total",
            "Objects of which a resync read a newer state than the watches had told: rare, or events are lost.",
            "kind",
        )
        self._leader.labels(OPERATOR).set(0)
        for result in ("success", "error", "requeue_after"):
            self._reconciles.labels(CONTROLLER, result)
        self._errors.labels(CONTROLLER)

    def watch_queue(self, queue: WorkQueue, workers: int) -> None:
        """Show the queue's state at each scrape."""

        def gauge(name: str, text: str, label: str, value: str) -> Any:
            return Gauge(name, text, (label,), registry=self.registry).labels(value)

        gauge("workqueue_depth", "Keys that wait.", "name", CONTROLLER).set_function(lambda: queue.depth)
        gauge(
            "workqueue_unfinished_work_seconds",
            "Seconds that the present runs have taken.",
            "name",
            CONTROLLER,
        ).set_function(queue.unfinished_seconds)
        gauge(
            "workqueue_longest_running_processor_seconds", "Seconds of the oldest run.", "name", CONTROLLER
        ).set_function(queue.longest_running_seconds)
        gauge(
            "controller_runtime_active_workers", "Workers that run.", "controller", CONTROLLER
        ).set_function(lambda: queue.running)
        gauge(
            "controller_runtime_max_concurrent_reconciles",
            "Workers that there are.",
            "controller",
            CONTROLLER,
        ).set(workers)

    def added(self) -> None:
        """A key has entered the queue."""
        self._adds.labels(CONTROLLER).inc()

    def taken(self, waited_seconds: float) -> None:
        """A worker has taken a key."""
        self._waited.labels(CONTROLLER).observe(waited_seconds)

    def finished(self, result: str, worked_seconds: float) -> None:
        """A run has ended."""
        self._worked.labels(CONTROLLER).observe(worked_seconds)
        self._time.labels(CONTROLLER).observe(worked_seconds)
        self._reconciles.labels(CONTROLLER, result).inc()
        if result == "error":
            self._errors.labels(CONTROLLER).inc()

    def retried(self) -> None:
        """A key will run again after an error."""
        self._retries.labels(CONTROLLER).inc()

    def requested(self, method: str, code: str, seconds: float) -> None:
        """A request to the API server has ended."""
        self._requests.labels(code, method).inc()
        self._request_time.labels(method).observe(seconds)

    def leads(self, leading: bool) -> None:
        """Leadership has changed."""
        self._leader.labels(OPERATOR).set(int(leading))

    def resynced(self, result: str) -> None:
        """A resync has ended, with success or error."""
        self._resyncs.labels(result).inc()

    def behind(self, kind: str) -> None:
        """A resync has read a newer state of an object than the watches had told."""
        self._behind.labels(kind).inc()

    def service_seen(
        self, key: ServiceKey, status: Manifest, weights: Mapping[str, int], evidence: Evidence | None = None
    ) -> None:
        """Show a service by its status, the weights in its route as revision → percent, and its step's evidence."""
        self._services.seen[key] = (status, weights)
        if evidence is None:
            self._evidence.seen.pop(key, None)
        else:
            self._evidence.seen[key] = evidence

    def service_gone(self, key: ServiceKey) -> None:
        """Show a service no more."""
        self._services.seen.pop(key, None)
        self._evidence.seen.pop(key, None)

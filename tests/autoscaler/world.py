"""A service under load in virtual time: Deployments that start slowly, queues, and a Prometheus that saw them.

Fluid queues at one-second steps; counters keep a history, so that rates over any window are exact.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autoscaler.signals.profiles import Profile, in_use, profile_of
from autoscaler.signals.queries import Windows
from autoscaler.signals.views import Answers, Failure
from autoscaler.state import LoopState
from autoscaler.targets import ApiObjects, timestamp_of
from autoscaler.tick import Result, tick
from autoscaler.writes import Scale, WriteStatus
from serving_api.autoscaler import AutoscalerSignals
from serving_io.prometheus import RangeAnswer

EPOCH = 1_750_000_000.0
BOUNDS_MILLISECONDS = (25.0, 50.0, 100.0, 250.0, 300.0, 500.0, 1000.0, 2500.0)


@dataclass
class Sample:
    """One number of an answer."""

    labels: dict[str, str]
    value: float


@dataclass
class Answer:
    """What Prometheus answers."""

    samples: list[Sample] = field(default_factory=list)
    not_finite: int = 0
    not_finite_of: list[dict[str, str]] = field(default_factory=list)


@dataclass
class Revision:
    """One Deployment with its InferenceAutoscaler, and what its pods have done so far."""

    name: str
    service_seconds: float = 0.1
    replicas: int = 1
    ready: int = 1
    share: dict[str, Any] | None = None
    spec: dict[str, Any] = field(default_factory=dict)
    created: float = EPOCH
    generation: int = 1
    ours: bool = False
    failing: bool = False
    broken: bool = False
    """Whether new pods never become ready."""
    gpu: float | None = None
    """Accelerators that the load keeps busy, shared by the ready pods."""
    status: dict[str, Any] = field(default_factory=dict)
    version: int = 1
    """resourceVersion of its InferenceAutoscaler, where somebody keeps it."""
    scalings: int = 0
    queue: float = 0.0
    pending: list[float] = field(default_factory=list)
    counters: dict[str, list[float]] = field(default_factory=dict)

    def count(self, name: str, amount: float) -> None:
        """Advance a counter by one second."""
        series = self.counters.setdefault(name, [0.0])
        series.append(series[-1] + amount)

    def rate(self, name: str, seconds: int) -> float:
        """Rate over a window: as Prometheus has it over all of the window, also where the counter is younger."""
        series = self.counters.get(name, [0.0])
        return (series[-1] - series[max(len(series) - 1 - seconds, 0)]) / seconds


class World:
    """Time, load, API objects and signals."""

    def __init__(
        self,
        *revisions: Revision,
        rate: Callable[[float], float] = lambda _: 0.0,
        start_seconds: float = 20.0,
        scrape_seconds: float = 5.0,
        gateway: bool = True,
        seed: int | None = None,
        patience_seconds: float | None = None,
    ) -> None:
        self.revisions = {revision.name: revision for revision in revisions}
        self.rate = rate
        self.start_seconds = start_seconds
        self.scrape_seconds = scrape_seconds
        self.gateway = gateway
        self.patience_seconds = patience_seconds
        """For which the gateway waits: no more requests than arrive in it are in a queue."""
        self.random = np.random.default_rng(seed) if seed is not None else None
        self.now = EPOCH
        self.state = LoopState()
        self.outage: str | None = None
        """Unreachable, NotFinite, Empty or Stale."""
        self.frozen_at: float | None = None
        self.resumed_at = -math.inf
        """Of the first sample: of what was before, a rate counts nothing."""
        self.horizontal_pod_autoscalers: list[dict[str, Any]] = []
        self.writes: list[tuple[float, Scale | WriteStatus]] = []
        self.late = 0.0
        self.arrived = 0.0

    # Time

    def run(self, seconds: float, *, tick_seconds: int = 5) -> None:
        """Let the time pass, ticking."""
        for _ in range(int(seconds // tick_seconds)):
            for _ in range(tick_seconds):
                self._second()
            self.tick()

    def tick(self) -> Result:
        """One tick, its writes applied."""
        result = tick(self.answers(), self.objects(), self.state, self.now)
        self.state = result.state
        for write in result.writes:
            self.writes.append((self.now, write))
            self.apply(write)
        return result

    def apply(self, write: Scale | WriteStatus) -> None:
        """What the API server makes of a write."""
        if isinstance(write, WriteStatus):
            self.revisions[write.target.autoscaler.name].status = write.status
            return
        revision = self.revisions[write.target.key[1]]
        revision.ours = True
        self.scale(revision.name, write.replicas)

    def scale(self, name: str, replicas: int) -> None:
        """Set `spec.replicas`: new pods take their time, superfluous ones go at once, unready ones first."""
        revision = self.revisions[name]
        more = replicas - revision.replicas
        revision.replicas = replicas
        revision.scalings += 1
        revision.pending += [self.now + self.start_seconds] * max(more, 0)
        for _ in range(max(-more, 0)):
            if revision.pending:
                revision.pending.pop()
            else:
                revision.ready -= 1

    def resume(self) -> None:
        """Prometheus answers again, and has not scraped meanwhile."""
        since_scrape = (self.now - EPOCH) % self.scrape_seconds
        self.outage, self.resumed_at = None, self.now - since_scrape + self.scrape_seconds

    def scaled(self, since: float = 0.0) -> list[int]:
        """Replica numbers written from `since` on, hand-overs aside."""
        return [
            w.replicas for at, w in self.writes if at >= since and isinstance(w, Scale) and not w.hand_over
        ]

    def _second(self) -> None:
        self.now += 1.0
        total = self.rate(self.now - EPOCH)
        for revision in self.revisions.values():
            if not revision.broken:
                due = [at for at in revision.pending if at <= self.now]
                revision.pending = [at for at in revision.pending if at > self.now]
                revision.ready += len(due)
            share = (revision.share or {"weightPercent": 100})["weightPercent"] / 100
            arrivals = total * share
            if self.random is not None:
                arrivals = float(self.random.poisson(arrivals))
            capacity = revision.ready / revision.service_seconds
            served = min(revision.queue + arrivals, capacity)
            revision.queue += arrivals - served
            given_up = 0.0
            if self.patience_seconds is not None:
                given_up = max(revision.queue - self.patience_seconds * arrivals, 0.0)
            revision.queue -= given_up
            threshold = revision.spec.get("objective", {}).get("thresholdMilliseconds", 500) / 1000
            wait = revision.queue / capacity if capacity else float("inf")
            on_time = served if wait + revision.service_seconds <= threshold else 0.0
            revision.count("arrived", arrivals)
            revision.count("served", served)
            revision.count("on_time", on_time)
            revision.count("failed", served if revision.failing else 0.0)
            revision.count("given_up", given_up)
            revision.count("work", served * revision.service_seconds)
            revision.count("sojourn", served * (revision.service_seconds + min(wait, 30.0)))
            self.arrived += arrivals
            self.late += arrivals - min(on_time, arrivals)

    # What the autoscaler sees

    def objects(self) -> ApiObjects:
        """What a LIST returns."""
        return ApiObjects(
            [self.autoscaler(revision) for revision in self.revisions.values()],
            [self.deployment(revision) for revision in self.revisions.values()],
            self.horizontal_pod_autoscalers,
        )

    def autoscaler(self, revision: Revision) -> dict[str, Any]:
        """The InferenceAutoscaler of a revision."""
        spec: dict[str, Any] = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": revision.name},
            "minReplicas": 1,
            "maxReplicas": 20,
            "objective": {"thresholdMilliseconds": 500, "percent": 99},
            "signals": {"profile": "mlserver"},
            **revision.spec,
        }
        if revision.share is not None:
            spec["share"] = revision.share
        return {
            "apiVersion": "serving-operator.dev/v1alpha1",
            "kind": "InferenceAutoscaler",
            "metadata": {
                "name": revision.name,
                "namespace": "demo",
                "uid": f"ia-{revision.name}",
                "resourceVersion": str(revision.version),
                "generation": revision.generation,
                "creationTimestamp": timestamp_of(revision.created),
                "labels": {"serving-operator.dev/service": "digits"},
            },
            "spec": spec,
            "status": revision.status,
        }

    def deployment(self, revision: Revision) -> dict[str, Any]:
        """The Deployment of a revision."""
        fields = [{"manager": "serving-operator", "fieldsV1": {"f:spec": {"f:template": {}}}}]
        if revision.ours:
            fields.append(
                {
                    "manager": "serving-autoscaler",
                    "subresource": "scale",
                    "fieldsV1": {"f:spec": {"f:replicas": {}}},
                }
            )
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": revision.name,
                "namespace": "demo",
                "uid": f"deploy-{revision.name}",
                "resourceVersion": str(1 + revision.scalings),
                "creationTimestamp": timestamp_of(revision.created),
                "managedFields": fields,
            },
            "spec": {"replicas": revision.replicas},
            "status": {"replicas": revision.replicas, "readyReplicas": revision.ready},
        }

    def answers(self) -> Answers:
        """What the questions of a tick are answered with now."""
        windows = self.state.windows
        names = ("now", "base", "late", "gauges", "gpu", "bounds")
        if self.outage == "Unreachable":
            return {name: Failure("Unreachable", "connection refused") for name in names}
        if self.outage == "NotFinite":
            return {name: Answer(not_finite=7) for name in names}
        if self.outage == "Empty":
            return {name: Answer() for name in names}
        answers = {name: Answer() for name in names}
        for revision in self.revisions.values():
            profile = profile_of(
                AutoscalerSignals.model_validate(revision.spec.get("signals", {"profile": "mlserver"}))
            )
            for source in in_use([profile]):
                if source.source == "gateway" and not self.gateway:
                    continue
                if (source.source == "pods" and revision.ready < 1) or self.now < self.resumed_at:
                    continue
                self._account(answers, revision, source, windows)
        return answers

    def _account(
        self, answers: dict[str, Answer], revision: Revision, source: Profile, windows: Windows
    ) -> None:
        def put(question: str, signal: str, value: float, **more: str) -> None:
            labels = {
                "namespace": "demo",
                "deployment": revision.name,
                "profile": source.id,
                "signal": signal,
            }
            answers[question].samples.append(Sample(labels | more, value))

        def rate(name: str, seconds: int) -> float:
            counted = min(seconds, self.now - self.resumed_at + self.scrape_seconds / 2)
            return revision.rate(name, int(counted)) * int(counted) / seconds

        at_gateway = source.source == "gateway"
        arrived = "arrived" if at_gateway else "served"
        sampled_at = self.frozen_at if self.outage == "Stale" and self.frozen_at else self.now
        sampled_at -= (sampled_at - EPOCH) % self.scrape_seconds
        worked = "work" if source.durations == "service" else "sojourn"
        if at_gateway or revision.rate("served", 10**6) > 0:
            put("gauges", "sampled_at", sampled_at)
            if at_gateway:
                put("gauges", "samples_per_minute", self._samples_per_minute())
        if self.now - self.resumed_at >= self.scrape_seconds and (
            at_gateway or revision.rate("served", 10**6) > 0
        ):
            given_up = rate("given_up", windows.fast) if at_gateway else 0.0
            failed = rate("failed", windows.fast) + given_up
            # A pod's success counter leaves failures out; the gateway counts every request once.
            put("now", "requests", rate(arrived, windows.fast) - (0.0 if at_gateway else failed))
            put("now", "failed", failed)
            put("now", "work_sum", rate(worked, windows.fast) / source.work.seconds)
            put("now", "work_count", rate("served", windows.fast))
            put("base", "requests", rate(arrived, windows.base))
            put("late", "responses", rate("served", windows.base))
            if at_gateway:
                put("late", "timed_out", rate("given_up", windows.base))
            for bound in BOUNDS_MILLISECONDS:
                kept = "on_time" if at_gateway else "served"
                within = rate(kept, windows.base) if bound >= 100 else 0.0
                put("late", "within", within, le=f"{bound / 1000 / source.buckets.seconds:g}")
        if source.in_flight:
            put("gauges", "in_flight", revision.queue + revision.rate("work", windows.fast))
        if not at_gateway:
            for signal, value in (
                ("sampled_at", sampled_at),
                ("scraped", float(revision.ready)),
                ("samples_per_minute", self._samples_per_minute()),
            ):
                labels = {"namespace": "demo", "deployment": revision.name, "profile": "up", "signal": signal}
                answers["gauges"].samples.append(Sample(labels, value))
            if revision.gpu is not None:
                labels = {"namespace": "demo", "deployment": revision.name, "profile": "gpu"}
                answers["gpu"].samples.append(
                    Sample(labels | {"signal": "utilization"}, revision.gpu / revision.ready)
                )
        for bound in BOUNDS_MILLISECONDS:
            le = f"{bound / 1000 / source.buckets.seconds:g}"
            answers["bounds"].samples.append(Sample({"profile": source.id, "signal": "bound", "le": le}, 1.0))

    def _samples_per_minute(self) -> float:
        if self.resumed_at > EPOCH:
            return min(60.0, self.now - self.resumed_at + self.scrape_seconds) // self.scrape_seconds
        return min(60.0, self.now - EPOCH) // self.scrape_seconds


class FakePrometheus:
    """Answers the loop's questions from a world, told apart by their text."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[str] = []

    async def query(self, promql: str, at: float | None = None) -> Answer:
        """Instant query."""
        from serving_io.errors import SignalUnavailable

        self.asked.append(promql)
        answer = self.world.answers()[self.question(promql)]
        if isinstance(answer, Failure):
            raise SignalUnavailable(promql, answer.reason, answer.message)
        assert isinstance(answer, Answer)
        return answer

    async def query_range(self, promql: str, start: float, end: float, step_seconds: float) -> RangeAnswer:
        """There is no history."""
        return RangeAnswer(())

    @staticmethod
    def question(promql: str) -> str:
        """Which question a text is."""
        marks = {
            "gpu": "DCGM_",
            "bounds": "count by (le)",
            "late": "responses",
            "gauges": "timestamp(",
            "now": "work_sum",
        }
        return next((name for name, mark in marks.items() if re.search(re.escape(mark), promql)), "base")

"""Services, the Prometheus that scrapes them, and the API objects that the production `tick` decides from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autoscaler.replay.faithful import witnessed
from autoscaler.replay.recording.moment import Moment
from autoscaler.signals.views import Answers
from autoscaler.state import LoopState
from autoscaler.targets import ApiObjects, timestamp_of
from autoscaler.tick import Result, ask, tick
from autoscaler.writes import Scale, WriteStatus
from loadtests.simulator.govern import Governor, Scraped, decided, looks
from loadtests.simulator.prometheus import Prometheus
from loadtests.simulator.scrapes import NAMESPACE, SeriesLabels, Values
from loadtests.simulator.service import Service
from loadtests.simulator.store import Labels, Targets
from serving_api.names import AUTOSCALER, SERVICE_LABEL

EPOCH = 1_750_000_000.0
"""Seconds since 1970 at the begin of every simulation."""
DEPTH = 16
"""Scrapes that are kept: more than the slowest window of a rate holds."""


class Recording(Protocol):
    """Keeps what a tick was decided from."""

    def write(self, moment: Moment) -> None: ...


@dataclass
class World:
    """Many services side by side, which share nothing but the clock and the autoscaler."""

    services: list[Service]
    governors: Mapping[int, Governor] = field(default_factory=dict)
    """Who sets the replicas of these services, by number; of all others the production autoscaler does."""
    scrape_seconds: float = 15.0
    now: float = 0.0
    state: LoopState = field(default_factory=LoopState)
    recording: Recording | None = None
    """Gets every tick of the autoscaler."""
    monitoring: Callable[[Sequence[Targets]], Prometheus] = Prometheus
    """Makes the Prometheus that scrapes all of them."""

    def __post_init__(self) -> None:
        self._due: list[list[int]] = [[] for _ in range(int(self.scrape_seconds))]
        """Which services are scraped at each second of the interval."""
        for number, service in enumerate(self.services):
            if not looks(self.governors.get(number)):
                continue
            self._due[scrape_phase(service, self.scrape_seconds)].append(number)
        self._periods: dict[float, list[int]] = defaultdict(list)
        for number, governor in self.governors.items():
            self._periods[governor.period_seconds].append(number)
        kinds: dict[tuple[str, ...], list[SeriesLabels]] = defaultdict(list)
        doors = [_placed(kinds, service.gateway_labels()) for service in self.services]
        slots = [
            _placed(kinds, [service.pod_labels(slot) for slot in range(service.slots)])
            for service in self.services
        ]
        self.prometheus = self.monitoring([_targets(labels) for labels in kinds.values()])
        order = {metrics: kind for kind, metrics in enumerate(kinds)}
        self._doors, self._slots = (
            [(order[kind], rows) for kind, rows in placed] for placed in (doors, slots)
        )
        """Which kind and which of its targets are each service's replicas of the gateway, and its pods."""
        self._autoscalers = [_autoscaler(service, number) for number, service in enumerate(self.services)]
        self._deployments = [_deployment(service) for service in self.services]
        self.decisions: dict[str, int] = defaultdict(int)
        """Scalings, by service."""

    def run(self, seconds: float, tick_seconds: float = 5.0) -> None:
        """Let so much time pass, scraping and ticking."""
        end = self.now + seconds
        while self.now < end:
            self.now += 1.0
            self._scrape()
            if self.now % tick_seconds == 0 and len(self.governors) < len(self.services):
                self.tick()
            for period, numbers in self._periods.items():
                if self.now % period == 0:
                    for number in numbers:
                        self.govern(number, self.governors[number])

    def govern(self, number: int, governor: Governor) -> None:
        """Let somebody else than the autoscaler set a service's replicas now."""
        service, scraped = self.services[number], self.prometheus.kinds
        pods = service.pods
        (door, doors), (kind, slots) = self._doors[number], self._slots[number]
        at = EPOCH + self.now
        signals = Scraped(scraped[door], doors, scraped[kind], slots, at, pods.ready, self.scrape_seconds)
        wanted = decided(governor, signals, service, self.now)
        if wanted != pods.wanted:
            self.scale(number, wanted)

    def tick(self) -> Result:
        """Ask, decide and do as the autoscaler's loop does."""
        at = EPOCH + self.now
        objects = self.objects()
        asked = ask(objects, self.state, at)
        answers = self.answers(asked)
        result = tick(answers, objects, self.state, at)
        self.state = result.state
        if self.recording is not None:
            self.recording.write(witnessed(at, objects, asked, answers, result))
        for write in result.writes:
            self._do(write)
        return result

    def answers(self, questions: dict[str, str]) -> Answers:
        """What Prometheus answers to each question now."""
        return {name: self.prometheus.answer(text, EPOCH + self.now) for name, text in questions.items()}

    def objects(self) -> ApiObjects:
        """What a LIST returns."""
        ours = [number for number in range(len(self.services)) if number not in self.governors]
        for number in ours:
            pods, manifest = self.services[number].pods, self._deployments[number]
            manifest["spec"]["replicas"] = pods.wanted
            manifest["status"] = {"replicas": pods.wanted, "readyReplicas": pods.ready}
        return ApiObjects(
            [self._autoscalers[number] for number in ours], [self._deployments[number] for number in ours]
        )

    def _scrape(self) -> None:
        read: dict[int, list[tuple[NDArray[np.int64], Values]]] = defaultdict(list)
        for number in self._due[int(self.now % self.scrape_seconds)]:
            service = self.services[number]
            self.bring_up_to_date(number)
            kind, rows = self._doors[number]
            read[kind].append((np.arange(rows.start, rows.stop), service.gateway_values()))
            ready = np.flatnonzero(service.requests.accepts)
            if len(ready):
                kind, rows = self._slots[number]
                read[kind].append((ready + rows.start, service.pod_values(ready)))
        for kind, of_kind in read.items():
            values = {metric: np.concatenate([one[metric] for _, one in of_kind]) for metric in of_kind[0][1]}
            scraped = np.concatenate([rows for rows, _ in of_kind])
            self.prometheus.scrape(kind, scraped, EPOCH + self.now, values)

    def bring_up_to_date(self, number: int) -> None:
        """Let all happen to a service that is due by now."""
        self.services[number].advance(self.now)

    def _do(self, write: Scale | WriteStatus) -> None:
        number = int(write.target.uid)
        if isinstance(write, WriteStatus):
            self._autoscalers[number]["status"] = write.status
            return
        self._deployments[number]["metadata"]["managedFields"] = [
            {"manager": AUTOSCALER, "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        ]
        if not write.hand_over:
            self.scale(number, write.replicas)

    def scale(self, number: int, wanted: int) -> None:
        """Set a service's replicas."""
        service, (kind, rows) = self.services[number], self._slots[number]
        fresh, stopped = service.scale(wanted, self.now)
        if len(fresh):
            self.prometheus.clear(kind, fresh + rows.start)
        if len(stopped):
            self.prometheus.end(kind, stopped + rows.start)
        self.decisions[service.name] += 1


def scrape_phase(service: Service, scrape_seconds: float) -> int:
    """The second of the interval at which a service is scraped: by chance, for its seed always the same."""
    return int(np.random.default_rng(service.seed).integers(0, int(scrape_seconds)))


def _placed(
    kinds: dict[tuple[str, ...], list[SeriesLabels]], labels: list[SeriesLabels]
) -> tuple[tuple[str, ...], slice]:
    """Put targets with these labels beside those that expose the same metrics; their kind and their place there."""
    kind = tuple(labels[0])
    placed = kinds[kind]
    placed += labels
    return kind, slice(len(placed) - len(labels), len(placed))


def _targets(labels: list[SeriesLabels]) -> Targets:
    series: dict[str, list[Labels]] = defaultdict(list)
    for one in labels:
        for metric, of_metric in one.items():
            series[metric] += of_metric
    return Targets(series, len(labels), DEPTH)


def _autoscaler(service: Service, number: int) -> dict[str, Any]:
    return {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "InferenceAutoscaler",
        "metadata": {
            "name": service.name,
            "namespace": NAMESPACE,
            "uid": str(number),
            "generation": 1,
            "creationTimestamp": timestamp_of(EPOCH),
            "labels": {SERVICE_LABEL: service.name},
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.name},
            "minReplicas": service.min_replicas,
            "maxReplicas": service.max_replicas,
            "objective": {
                "thresholdMilliseconds": round(1000 * service.objective_seconds),
                "percent": service.percent,
            },
            "signals": {"profile": service.profile},
        },
        "status": {},
    }


def _deployment(service: Service) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": service.name,
            "namespace": NAMESPACE,
            "uid": f"deployment-{service.name}",
            "resourceVersion": "1",
            "creationTimestamp": timestamp_of(EPOCH),
            "managedFields": [],
        },
        "spec": {},
    }

"""Services, the Prometheus that scrapes them, and the API objects that the production `tick` decides from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autoscaler.peers.signals import Replicas
from autoscaler.replay.faithful import witnessed
from autoscaler.replay.recording.moment import Moment
from autoscaler.signals.views import Answers
from autoscaler.state import LoopState
from autoscaler.targets import ApiObjects, timestamp_of
from autoscaler.tick import Result, ask, tick
from autoscaler.writes import Scale, WriteStatus
from loadtests.simulator.evaluate import Evaluator
from loadtests.simulator.govern import Governor, Scraped
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

    def __post_init__(self) -> None:
        self._due: list[list[int]] = [[] for _ in range(int(self.scrape_seconds))]
        """Which services are scraped at each second of the interval."""
        for number, service in enumerate(self.services):
            phase = np.random.default_rng(service.seed).integers(0, len(self._due))
            self._due[phase].append(number)
        self._periods: dict[float, list[int]] = defaultdict(list)
        for number, governor in self.governors.items():
            self._periods[governor.period_seconds].append(number)
        replicas: list[SeriesLabels] = []
        pods: dict[str, list[SeriesLabels]] = defaultdict(list)
        self._doors: list[slice] = []
        """Which of the gateway's targets are each service's."""
        self._slots: list[slice] = []
        """Which of the targets with its profile are its pods."""
        for service in self.services:
            of_profile = pods[service.profile]
            self._doors.append(slice(len(replicas), len(replicas) + service.gateway.replicas))
            self._slots.append(slice(len(of_profile), len(of_profile) + service.slots))
            replicas += service.gateway_labels()
            of_profile += [service.pod_labels(slot) for slot in range(service.slots)]
        self._gateway = _targets(replicas)
        self._pods = {profile: _targets(labels) for profile, labels in pods.items()}
        self._evaluator = Evaluator(self.kinds)
        self._autoscalers = [_autoscaler(service, number) for number, service in enumerate(self.services)]
        self._deployments = [_deployment(service) for service in self.services]
        self.decisions: dict[str, int] = defaultdict(int)
        """Scalings, by service."""

    @property
    def kinds(self) -> list[Targets]:
        """All that is scraped: the gateway, and the pods of each profile."""
        return [self._gateway, *self._pods.values()]

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
                        self._govern(number, self.governors[number])

    def _govern(self, number: int, governor: Governor) -> None:
        service = self.services[number]
        pods = service.pods
        signals = Scraped(
            self._gateway,
            self._doors[number],
            self._pods[service.profile],
            self._slots[number],
            EPOCH + self.now,
            pods.ready,
            self.scrape_seconds,
        )
        replicas = Replicas(pods.wanted, pods.ready, max(pods.wanted - pods.ready, 0))
        wanted = min(max(governor.replicas(signals, replicas, self.now), 1), service.max_replicas)
        if wanted != pods.wanted:
            self._scale(number, wanted)

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
        return {name: self._evaluator.answer(text, EPOCH + self.now) for name, text in questions.items()}

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
        of_gateway: list[tuple[NDArray[np.int64], Values]] = []
        of_pods: dict[str, list[tuple[NDArray[np.int64], Values]]] = defaultdict(list)
        for number in self._due[int(self.now % self.scrape_seconds)]:
            service, doors = self.services[number], self._doors[number]
            self.bring_up_to_date(number)
            of_gateway.append((np.arange(doors.start, doors.stop), service.gateway_values()))
            ready = np.flatnonzero(service.requests.accepts)
            if len(ready):
                found = (ready + self._slots[number].start, service.pod_values(ready))
                of_pods[service.profile].append(found)
        at = EPOCH + self.now
        if of_gateway:
            self._gateway.scrape(*_joined(of_gateway, at))
        for profile, read in of_pods.items():
            self._pods[profile].scrape(*_joined(read, at))

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
            self._scale(number, write.replicas)

    def _scale(self, number: int, wanted: int) -> None:
        service, first = self.services[number], self._slots[number].start
        pods, targets = service.pods, self._pods[service.profile]
        self.bring_up_to_date(number)
        before = pods.there()
        pods.scale(wanted, self.now)
        if len(fresh := np.flatnonzero(pods.there() & ~before)):
            targets.clear(fresh + first)
        if len(stopped := np.flatnonzero(pods.draining)):
            targets.end(stopped + first)
        self.decisions[service.name] += 1


def _joined(
    read: list[tuple[NDArray[np.int64], Values]], at: float
) -> tuple[NDArray[np.int64], float, Values]:
    """What several services' targets read, as the arguments of one scrape."""
    metrics = read[0][1]
    values = {metric: np.concatenate([one[metric] for _, one in read]) for metric in metrics}
    return np.concatenate([slots for slots, _ in read]), at, values


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

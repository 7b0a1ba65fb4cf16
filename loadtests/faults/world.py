"""The world that faults happen in: one service, or a stable revision and its canary behind one gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autoscaler.state import LoopState
from autoscaler.targets import ApiObjects
from autoscaler.tick import Result
from loadtests.faults.monitoring import FaultyPrometheus
from loadtests.simulator.batched import BatchedRequests, Sizes
from loadtests.simulator.gateway import Gateway
from loadtests.simulator.govern import Governor
from loadtests.simulator.requests import Requests
from loadtests.simulator.service import Load, Service
from loadtests.simulator.starts import fixed_start
from loadtests.simulator.world import World
from serving_api.names import SERVICE_LABEL

RATE = 10.0
"""Requests per second, unless a scenario says otherwise."""
WORK_SECONDS = 0.5
OBJECTIVE_SECONDS = 3.0
START_SECONDS = 60.0
REPLICAS = 8
MAX_REPLICAS = 60
STABLE, CANARY = 0, 1
"""Numbers of the services of a rollout."""
GATEWAYS, PODS = 0, 1
"""Kinds of targets."""
HPA = {"metadata": {"name": "theirs", "namespace": "sim"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}}}  # fmt: skip


@dataclass
class Errors:
    """What share of the requests is answered with an error."""

    share: float = 0.0


@dataclass(frozen=True)
class Shaped(Load):
    """A load by a function of time, of which the state of a rollout may take a part; drawn a few seconds ahead."""

    of: Callable[[float], float] = lambda _: RATE
    percent: Callable[[], float] = lambda: 100.0
    errors: Errors = field(default_factory=Errors)
    """Of requests; they take a fiftieth of the work."""

    def rate(self, now: float) -> float:
        """Requests per second at a time."""
        return self.of(now) * self.percent() / 100

    def sizes(self, random: np.random.Generator, count: int) -> Sizes:
        """What so many requests bring."""
        work, inputs, outputs = super().sizes(random, count)
        failing = random.random(count) < self.errors.share
        return np.where(failing, work / 50, work), inputs, outputs


def shaped(of: Callable[[float], float], work_seconds: float = WORK_SECONDS, **more: Any) -> Shaped:
    """A load of so many requests per second by time."""
    return Shaped(np.zeros(1), 5.0, work_seconds, chunk_seconds=5.0, of=of, **more)


def service(name: str, load: Load, seed: int, replicas: int = REPLICAS, retries: int = 0) -> Service:
    """A service of the table."""
    return Service(
        name,
        load,
        OBJECTIVE_SECONDS,
        fixed_start(START_SECONDS),
        slots=2 * MAX_REPLICAS,
        gateway=Gateway(retries=retries),
        initial_replicas=replicas,
        max_replicas=MAX_REPLICAS,
        seed=seed,
    )


@dataclass
class FaultyWorld(World):
    """A world whose faults are switched on and off from outside, second by second."""

    asleep: bool = False
    """Whether no autoscaler runs."""
    rival: Governor | None = None
    """A HorizontalPodAutoscaler of the same Deployment."""
    absent: set[int] = field(default_factory=set)
    """Services that are not there yet, or no more."""
    errors: Errors = field(default_factory=Errors)
    told: set[str] = field(default_factory=set)
    """Conditions that the status has had since it was asked last, `type=status/reason`."""

    def __post_init__(self) -> None:
        self.monitoring = FaultyPrometheus
        super().__post_init__()

    @property
    def monitor(self) -> FaultyPrometheus:
        """The Prometheus, to be made fail."""
        assert isinstance(self.prometheus, FaultyPrometheus)
        return self.prometheus

    def tick(self) -> Result:
        """As the autoscaler's loop does; none where it is asleep."""
        if self.asleep:
            return Result((), self.state, ())
        result = super().tick()
        for number in range(len(self.services)):
            if number not in self.absent:
                for told in self.status(number).get("conditions", ()):
                    self.told.add(f"{told['type']}={told['status']}/{told['reason']}")
        return result

    def objects(self) -> ApiObjects:
        """What a LIST returns: those that are there."""
        full = super().objects()
        there = [number for number in range(len(self.services)) if number not in self.absent]
        return ApiObjects(
            [full.autoscalers[number] for number in there],
            [full.deployments[number] for number in there],
            [HPA] if self.rival is not None else [],
        )

    def status(self, number: int) -> Mapping[str, Any]:
        """What the autoscaler has said of a service."""
        status: Mapping[str, Any] = self._autoscalers[number]["status"]
        return status

    def generation(self, number: int) -> int:
        """Of a service's InferenceAutoscaler."""
        return int(self._autoscalers[number]["metadata"]["generation"])

    def edit(self, number: int, **spec: Any) -> None:
        """Write the spec of an InferenceAutoscaler."""
        manifest = self._autoscalers[number]
        manifest["spec"] = manifest["spec"] | spec
        manifest["metadata"]["generation"] += 1

    def belongs_to(self, number: int, name: str) -> None:
        """Label a service as a revision of another."""
        self._autoscalers[number]["metadata"]["labels"] = {SERVICE_LABEL: name}

    def forget(self) -> None:
        """The autoscaler's memory is lost."""
        self.state = LoopState()

    def renew(self, number: int) -> None:
        """Nobody has said anything of a service yet, as if it were new."""
        self._autoscalers[number]["status"] = {}

    def slow(self, factor: float, slots: slice = slice(None), number: int = STABLE) -> None:
        """All work of these pods takes so many times longer from now on."""
        self.bring_up_to_date(number)
        requests = self.services[number].requests
        if isinstance(requests, Requests):
            requests.slowness[slots] = factor
        elif isinstance(requests, BatchedRequests):
            requests.lines["slowness"][slots] = factor

    def lose(self, share: float, number: int = STABLE) -> None:
        """So many of the pods are gone at once, and others are created. What they held is answered."""
        wanted = self.services[number].pods.wanted
        self.scale(number, wanted - round(wanted * share))
        self.scale(number, wanted)


def one_service(seed: int, of: Callable[[float], float], **more: Any) -> FaultyWorld:
    """One service, which has served for long."""
    errors = Errors()
    return FaultyWorld([service("web", shaped(of, errors=errors), seed, **more)], errors=errors)

"""A recorded run of the simulator, made once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from autoscaler.replay.recording.decode import Decoder
from autoscaler.replay.recording.encode import Encoder
from autoscaler.replay.recording.moment import Moment, Number, Recorded
from autoscaler.signals.numbers import SampleLike
from autoscaler.signals.views import Failure
from loadtests.simulator.requests import Count
from loadtests.simulator.service import Load, Service
from loadtests.simulator.starts import fixed_start
from loadtests.simulator.world import World

SECONDS = 1200.0
START_SECONDS = 45.0
RATES = (3.0, 12.0, 20.0, 3.0)
"""Requests per second, for five minutes each."""


@dataclass
class Lines:
    """A recording in memory."""

    lines: list[str] = field(default_factory=list)
    encoder: Encoder = field(default_factory=Encoder)

    def write(self, moment: Moment) -> None:
        """Add a moment."""
        self.lines += (line + "\n" for line in self.encoder.lines(moment))


@dataclass(frozen=True)
class Run:
    """What was recorded, and what really came of it."""

    lines: list[str]
    cost_seconds: float
    late_ratio: float
    requests: int
    scalings: int

    def moments(self) -> list[Moment]:
        """As they are read back."""
        return list(Decoder("run").moments(self.lines))


@cache
def simulated() -> Run:
    """A service whose load rises and falls, kept by the production autoscaler."""
    load = Load(np.array(RATES), 300.0, 0.1)
    service = Service("digits", load, 0.5, fixed_start(START_SECONDS), slots=40)
    recording = Lines()
    world = World([service], recording=recording)
    world.run(SECONDS, 15.0)
    world.bring_up_to_date(0)
    counts = service.requests.counts
    return Run(
        recording.lines,
        service.pods.cost_seconds(SECONDS),
        counts[Count.LATE] / counts[Count.OFFERED],
        int(counts[Count.OFFERED]),
        world.decisions["digits"],
    )


def merged(moments: list[Moment]) -> list[Moment]:
    """The same, seen by a gateway that counts the route as a whole."""
    return [
        replace(
            moment,
            answers={
                name: answer
                if isinstance(answer, Failure)
                else Recorded(
                    [_of_route(sample) for sample in answer.samples], answer.not_finite, answer.not_finite_of
                )
                for name, answer in moment.answers.items()
            },
        )
        for moment in moments
    ]


def _of_route(sample: SampleLike) -> Number:
    labels = sample.labels
    if labels.get("profile") == "gateway" and "deployment" in labels:
        labels = {**labels, "deployment": f"route/{labels['deployment']}"}
    return Number(labels, sample.value)

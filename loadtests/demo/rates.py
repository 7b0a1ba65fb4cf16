"""How much load the demo brings, and how fast, on whatever machine. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

LOW_RATE = 5.0
ROLLOUT_RATE = 12.0
"""During the rollouts: at 25% some thirty requests of the canary in each window."""
PEAK_RATE = 120.0
LOW_WORK, ROLLOUT_WORK = 0.35, 1.4
PEAK_WORK = 1.95
"""Work that arrives at the peak, in replicas that would be busy all the time: two cannot hold it, three can."""
RISE_STEP_SECONDS = 9.0
RISE_STEP_STARTS = 0.65
"""A step of the rise lasts this much of a pod's start: a replica is wanted in the second and missed in the third or fourth."""


@dataclass(frozen=True)
class Rates:
    """Requests per second of the scenes."""

    low: float
    rollout: float
    peak: float


def rates(idle_answer_seconds: Sequence[float]) -> Rates:
    """Return the scenes' rates, from the times that answers took, one request after another, of one replica.

    One machine does in a second what another does in four, and the demo is to show the same on each: what a scene brings is
    bounded by requests on a fast one, and by replicas that it keeps busy on a slow one.
    """
    seconds = median(idle_answer_seconds)
    return Rates(
        round(min(LOW_RATE, LOW_WORK / seconds), 1),
        round(min(ROLLOUT_RATE, ROLLOUT_WORK / seconds), 1),
        round(min(PEAK_RATE, PEAK_WORK / seconds)),
    )


def peak_rate(chosen: float, work_seconds: float | None) -> float:
    """Return the peak's requests per second: as chosen beforehand, or more where a request has turned out to cost less.

    Among the time of an answer is the way through the gateway, which no replica spends. `work_seconds` is what the
    autoscaler has learned; None is nothing yet.
    """
    return max(chosen, round(min(PEAK_RATE, PEAK_WORK / work_seconds))) if work_seconds else chosen


def rise_step_seconds(start_seconds: float | None) -> float:
    """Return how long each step of the rise lasts, from the time that a pod takes to start here; None is unknown.

    A rise that is over before any pod could have started says nothing of an autoscaler, only of the route's timeout.
    """
    return max(RISE_STEP_SECONDS, RISE_STEP_STARTS * (start_seconds or 0.0))

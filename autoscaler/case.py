"""What one decision is made from, and the sentence that tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from autoscaler.capacity import WAIT_SHARE

FORECAST: Final = "expected in {:.0f} s"
BY_THE_CLOCK: Final = "expected within {:.0f} s by the clock"
STOOD_BY_FOR: Final = "stood by for, as they came within {:.0f} s in the last days"


@dataclass(frozen=True)
class Case:
    """What one decision is made from. Rates in requests per second, of the summed demand."""

    minimum: int
    maximum: int
    weight_percent: int
    reserve_percent: int
    threshold_seconds: float
    late_allowed: float
    frozen: bool
    gpu_target_ratio: float | None
    wanted: int
    """Replicas that the workload has been told to have."""
    ready: int
    stable_replicas: int | None
    """Replicas of the revision that serves now, if this target is to succeed it."""
    expected: float
    level: float
    """Highest level of the hold: what arrivals justify."""
    own_rate: float
    service_seconds: float | None
    """None: nothing learned."""
    variability: float
    tail_measured: bool
    """Whether requests tell how much the work varies; else `variability` is an assumption."""
    in_flight: float | None
    late_ratio: float | None
    late_first: float | None
    """The late fraction when there were as few replicas as arrivals justify; None where none was clearly too high."""
    gpu_utilization: float | None
    gpu_replicas: int
    """Highest number that the accelerators' utilisation asked for in the hold."""
    gpu_unseen: bool
    """Whether it ought to ask, and nothing tells how busy they are."""
    settled: bool
    """Whether the replicas have been as they are for longer than lateness is counted over; while nothing is learned, a third of it."""
    urgent: int
    """Highest number that a backlog or late requests asked for in the hold."""
    shrinking_believed: bool
    """Whether all that is expected is seen, and has been for a hold."""
    blind: bool
    seconds_since_lowered: float
    hold_seconds: float
    horizon_seconds: float
    in_vain_beyond: int | None = None
    """Replicas beyond which more have only made each slower; None where nothing says so."""
    room: int | None = None
    """Most replicas that the others of a common budget leave; None without a budget."""
    expected_by: str = FORECAST
    """What asks for so much: the forecast, the clock, or what came by surprise."""


def to_prepare_for(forecast: float, by_the_clock: float, stood_by_for: float) -> tuple[str, float]:
    """The highest of the rates, requests per second, and what asks for it."""
    rates = {FORECAST: forecast, BY_THE_CLOCK: by_the_clock, STOOD_BY_FOR: stood_by_for}
    return max(rates.items(), key=lambda entry: entry[1])


KEEPING: Final = {
    "Frozen": "scaleDown is Frozen",
    "Blind": "signals are missing, and no data is not no traffic",
    "Hold": "signals have not been complete for a hold yet",
    "NothingLearned": "no capacity is learned yet",
    "Backlog": "requests queue",
    "Late": "requests are late",
    "InFlight": "fewer would be too few for the requests in flight",
    "GpuUnseen": "nothing tells how busy the accelerators are, which are to bound the replicas",
    "GpuBusy": "the accelerators would be too busy",
    "GpuActive": "the accelerators work although no request is seen",
    "MoreInVain": "more replicas have only made each of them slower",
    "Budget": "the budget that all revisions share leaves no more",
}
"""Reasons that keep replicas as they are for as long as they hold, in words."""
_WHY: Final = KEEPING | {
    "LateRequests": "requests were late with fewer",
    "RateLimited": "replicas are removed step by step",
    "Maximum": "maxReplicas allows no more",
    "GpuUtilization": "the accelerators are busier than their target",
    "Minimum": "minReplicas asks for it",
}


def sentence(
    case: Case,
    desired: int,
    needed: int,
    reserve: int,
    reason: str,
    *,
    infeasible: bool = False,
    unsure: bool = False,
) -> str:
    """Demand, what it takes, and the change, with its reason.

    `infeasible`: the work alone breaks the objective; `unsure`: it would if it varied as much as is assumed.
    """
    forecast = f"{case.expected:.3g} requests/s {case.expected_by.format(case.horizon_seconds)}"
    percent, threshold = 100 * (1 - case.late_allowed), 1000 * case.threshold_seconds
    if case.service_seconds is None:
        model = f"{forecast}; no capacity learned yet: {needed} for {case.weight_percent}%"
    else:
        held = f"{needed} hold {percent:.0f}% within {threshold:.0f} ms"
        if infeasible or unsure:
            held = f"{needed} keep {percent:.0f}% from waiting longer than {WAIT_SHARE * threshold:.0f} ms"
        if infeasible:
            held = f"no number holds {percent:.0f}% within {threshold:.0f} ms, {held}"
        model = f"{forecast}, {1000 * case.service_seconds:.0f} ms of work each: {held} for {case.weight_percent}%"
    answer = f"{reserve} for the reserve of {case.reserve_percent}%"
    change = f"{case.wanted} → {desired}" if desired != case.wanted else f"stays at {desired}"
    because = f" because {_WHY[reason]}" if reason in _WHY else ""
    return f"{model}, {answer}; {change}{because}."

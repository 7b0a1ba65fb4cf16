"""What was observed over time, and the questions that the summary asks of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autoscaler.replay.report.plot import Point
from loadtests.demo.observation import Snapshot

Samples = Sequence[tuple[float, Snapshot]]
"""Seconds since the start of the load and what held from then on, in order of time."""


@dataclass(frozen=True)
class Exposure:
    """When a revision had weight. It had it surely within `inner`, and possibly within `outer`, in seconds."""

    outer: tuple[float, float]
    inner: tuple[float, float]
    weight_percent: float


def seconds_while(samples: Samples, end_seconds: float, holds: Callable[[Snapshot], bool]) -> float:
    """Return for how many seconds of the history a property held."""
    ends = [*(seconds for seconds, _ in samples[1:]), end_seconds]
    return sum(
        max(0.0, min(end, end_seconds) - max(begin, 0.0))
        for (begin, snapshot), end in zip(samples, ends, strict=False)
        if holds(snapshot)
    )


def exposure(samples: Samples, revision: str, end_seconds: float) -> Exposure | None:
    """Return when a revision had weight, from its first until it had surely none; None if it never had.

    It may get requests from the write that gives it weight until the gateway's acknowledgement of the
    write that takes it away; it surely gets them from the one acknowledgement to the other write.
    """
    given = acknowledged = taken = gone = None
    weight = 0.0
    for seconds, snapshot in samples:
        share = snapshot.weights.get(revision, 0.0)
        if gone is None and share > 0:
            given = seconds if given is None else given
            taken = None
            weight = max(weight, share)
            if snapshot.acknowledged and acknowledged is None:
                acknowledged = seconds
        elif given is not None and gone is None:
            taken = seconds if taken is None else taken
            if snapshot.acknowledged or not snapshot.weights:
                gone = seconds
    if given is None:
        return None
    taken = end_seconds if taken is None else taken
    inner_begin = taken if acknowledged is None else min(acknowledged, taken)
    return Exposure((given, end_seconds if gone is None else gone), (inner_begin, taken), weight)


def measured_start_seconds(samples: Samples) -> float:
    """Return the longest time that a revision's ready replicas took to reach a raised number; 0 if none did.

    A raise that was itself overtaken by another number is not measured.
    """
    longest = 0.0
    pending: dict[str, tuple[float, int]] = {}
    desired: dict[str, int] = {}
    for seconds, snapshot in samples:
        for revision, replicas in snapshot.replicas.items():
            before = desired.get(revision)
            if before is not None and replicas.desired != before:
                pending.pop(revision, None)
                if replicas.desired > before:
                    pending[revision] = (seconds, replicas.desired)
            desired[revision] = replicas.desired
            if revision in pending and replicas.ready >= pending[revision][1]:
                longest = max(longest, seconds - pending.pop(revision)[0])
    return longest


def start_time_seconds(samples: Samples) -> float:
    """Return the start time in force: what the autoscaler measured, else what was seen here."""
    learned = [snapshot.start_time_seconds for _, snapshot in samples if snapshot.start_time_seconds]
    return float(learned[-1]) if learned else measured_start_seconds(samples)


def was_scaled(samples: Samples, *, up_to: int) -> tuple[bool, bool]:
    """Return whether a stable revision's wanted replicas rose to at least `up_to`, and whether they then fell.

    Only what happens to a revision while it is stable counts: a canary that is given capacity, or a revision
    that is removed with its replicas, has not been scaled.
    """
    first: dict[str, int] = {}
    highest: dict[str, int] = {}
    went_up = went_down = False
    for _, snapshot in samples:
        wanted, stable = snapshot.desired_of_stable, snapshot.stable
        if not wanted:
            continue
        first.setdefault(stable, wanted)
        highest[stable] = max(highest.get(stable, 0), wanted)
        has_risen = highest[stable] >= up_to > first[stable]
        went_up |= has_risen
        went_down |= has_risen and wanted < highest[stable]
    return went_up, went_down


def was_committed(samples: Samples, revision: str) -> bool:
    """Return whether the service's status named a revision as stable."""
    return bool(revision) and any(snapshot.stable == revision for _, snapshot in samples)


def was_good_enough(samples: Samples, attempt: str) -> bool:
    """Return whether the judge promoted an attempt: every step was good."""
    return any(
        canary.id == attempt and canary.promotion == "GoodEnough"
        for _, snapshot in samples
        if (canary := snapshot.canary)
    )


def rejected_because(samples: Samples, attempt: str, revision: str, stable: str) -> str:
    """Return why an attempt was rejected while `stable` stayed; empty if it was not, or has had weight since."""
    rejected = [snapshot for _, snapshot in samples if attempt and attempt in snapshot.rejected]
    if (
        not rejected
        or rejected[0].stable != stable
        or any(snapshot.weights.get(revision, 0.0) for snapshot in rejected)
    ):
        return ""
    return samples[-1][1].reasons.get(attempt, "")


def series(samples: Samples, value: Callable[[Snapshot], float | None], end_seconds: float) -> list[Point]:
    """Return a line of the history: a point where the value changes, and one at the end."""
    points: list[Point] = []
    for seconds, snapshot in samples:
        now = value(snapshot)
        if not points or points[-1][1] != now:
            points.append((max(seconds, 0.0), now))
    if points:
        points.append((end_seconds, points[-1][1]))
    return points

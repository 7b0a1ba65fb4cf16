"""What the requests of a target say of its work. Waiting is taken out of the times of all targets at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from autoscaler.capacity import service_time_from_sojourn
from autoscaler.contention import Contention
from autoscaler.demand import Coverage, demand_here
from autoscaler.lateness import clearly_late
from autoscaler.learn import FAILED_RATIO_LIMIT, ServiceTime
from autoscaler.signals.observe import Observation, bounds_around
from autoscaler.signals.queries import LONGEST_COVERED, Windows
from autoscaler.signals.views import View
from autoscaler.state import TargetState
from autoscaler.targets import Target
from autoscaler.values import changed

PATIENCE_SECONDS: Final = 30.0
"""Means that include waiting teach about the work after so long without any, and all of their window."""
LOST_FACTOR: Final = 2.0
"""Of the work that was known before: what is believed of it while more requests are given up than answered."""


@dataclass(frozen=True)
class Lesson:
    """What a target's requests say of its work: their mean time, as reported, and how many they were."""

    target: Target
    view: View
    ready: int
    mean_seconds: float
    left: float
    """Requests per second that the replicas are done with."""
    seconds: float
    """For which these have not been counted before."""
    crowded: bool = False
    """Whether all replicas worked all the time, and requests were answered."""
    most_seconds: float = math.inf
    """Of work that can be believed."""


def account(target: Target, observation: Observation) -> View:
    """The account that times of work are read from."""
    return observation.gateway if target.profile.source == "gateway" else observation.pods


def lesson_of(
    target: Target, state: TargetState, observation: Observation, windows: Windows, elapsed: float, now: float
) -> Lesson | None:
    """None where what was seen says nothing about the work."""
    workload, view = target.workload, account(target, observation)
    if workload is None or workload.ready < 1 or not view.gate.usable:
        return None
    if _outrun(target, state, observation, now):
        return _of_crowd(target, state, view, windows, elapsed)
    if view.work_seconds is None or view.completions <= 0 or observation.failed_ratio > FAILED_RATIO_LIMIT:
        return None
    covered = windows.fast / Coverage.of([state], windows, now).fast
    if target.profile.durations == "sojourn":
        patience = max(PATIENCE_SECONDS, windows.fast)
        if state.service.learned and (state.quiet_since is None or now - state.quiet_since < patience):
            return None  # the mean still holds a queue from the time of fewer replicas
        if covered >= LONGEST_COVERED:
            return None  # of too few completions all of the stay looks like work
    return Lesson(target, view, workload.ready, view.work_seconds, view.completions * covered, elapsed)


def _outrun(target: Target, state: TargetState, observation: Observation, now: float) -> bool:
    """Whether requests come faster than they leave, and are late for it."""
    crowd, view, objective = state.crowd, account(target, observation), target.spec.objective
    if target.profile.durations != "sojourn" or crowd is None or now > crowd.outruns_until:
        return False
    slow = (view.work_seconds or 0.0) > objective.threshold_milliseconds / 1000
    return slow or (observation.late_ratio or 0.0) > clearly_late((100 - objective.percent) / 100)


def _of_crowd(
    target: Target, state: TargetState, view: View, windows: Windows, elapsed: float
) -> Lesson | None:
    """What is given up may have been worked on, so it counts as done: less work is then found than there is, never more."""
    crowd, workload, left = state.crowd, target.workload, view.completions + view.unanswered
    assert crowd is not None
    assert workload is not None
    # What the gateway gives up it also counts as failed, and that was not quick.
    if left <= 0 or view.failures_now - view.unanswered > FAILED_RATIO_LIMIT * view.arrivals_now:
        return None
    lost = view.unanswered > view.completions
    return Lesson(
        target,
        view,
        workload.ready,
        (view.in_flight or 0.0) / left,
        left,
        elapsed if crowd.taught else max(elapsed, windows.fast),
        crowded=not lost,
        # Replicas may work on what nobody waits for any more, or wait themselves: nothing tells which.
        most_seconds=LOST_FACTOR * crowd.calm_seconds if lost else math.inf,
    )


def work_behind(lessons: Sequence[Lesson], kept: Mapping[str, TargetState]) -> list[float]:
    """Mean seconds of work behind each: where the mean holds waiting, without it."""
    work_seconds = [lesson.mean_seconds for lesson in lessons]
    rows = [row for row, one in enumerate(lessons) if one.target.profile.durations == "sojourn"]
    if rows:
        stays = [lessons[row] for row in rows]
        found = service_time_from_sojourn(
            np.array([one.mean_seconds for one in stays]),
            np.array([one.left for one in stays]),
            np.array([one.ready for one in stays]),
            np.array([kept[one.target.uid].service.variability for one in stays]),
        )
        for row, seconds in zip(rows, found, strict=True):
            work_seconds[row] = min(float(seconds), lessons[row].most_seconds)
    return work_seconds


def taught(
    state: TargetState, lesson: Lesson, work_seconds: float, windows: Windows, elapsed: float, now: float
) -> TargetState:
    """What is known after a lesson."""
    crowd = state.crowd
    return changed(
        state,
        service=_learned(state.service, lesson, work_seconds),
        contention=_contended(state, lesson, work_seconds, windows, elapsed, now),
        crowd=None if crowd is None else changed(crowd, taught=now <= crowd.outruns_until),
    )


def _learned(service: ServiceTime, lesson: Lesson, work_seconds: float) -> ServiceTime:
    if not math.isfinite(work_seconds) or work_seconds <= 0:
        return service
    requests, view, target = lesson.left * lesson.seconds, lesson.view, lesson.target
    service = service.with_requests(work_seconds, requests, lesson.seconds)
    threshold = target.spec.objective.threshold_milliseconds / 1000
    below, _ = bounds_around(view.within, threshold)
    # Of the answer that the bound is of: another one may be of another moment, or of another of two Prometheus.
    counted = view.arrivals_base if view.responses is None else view.responses
    if target.profile.durations == "service" and below is not None and counted > 0:
        beyond = min(max(1 - view.within[below] / counted, 0.0), 1.0)
        service = service.with_tail(below, beyond, requests)
    return service


def _contended(
    state: TargetState, lesson: Lesson, work_seconds: float, windows: Windows, elapsed: float, now: float
) -> Contention:
    """Whether more replicas are in vain: by pure times of work, or by what each answers that works all the time.

    Other times with waiting fall where replicas are added, and the work behind them is only found by a formula.
    """
    mean_seconds = state.service.mean_seconds or 0.0
    pure = lesson.target.profile.durations == "service"
    if not (pure or lesson.crowded):
        return state.contention.relieved(now, max(work_seconds, mean_seconds))
    return state.contention.with_work(
        now,
        elapsed if pure else math.inf,  # no replica came or went in the window of a crowd
        lesson.ready,
        lesson.mean_seconds if pure else lesson.ready / lesson.view.completions,
        mean_seconds,
        (lesson.left if pure else lesson.view.completions) * windows.fast,
        state.service.variability,
        windows.fast,
        demand_here(state.level.highest or 0.0, lesson.target.weight_percent),
    )

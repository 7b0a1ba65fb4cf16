"""Every policy on the model of the replicas, side by side through one recording: ours by the tick itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from autoscaler.peers import Policy
from autoscaler.replay.counterfactual import Instead, answers_with, objects_with
from autoscaler.replay.faithful import answers_to
from autoscaler.replay.model import Deployment, Load, Recent, Span
from autoscaler.replay.recording.moment import Moment
from autoscaler.replay.rivals import Rival
from autoscaler.signals.numbers import TargetKey
from autoscaler.signals.observe import NOTHING_MISSING
from autoscaler.state import LoopState
from autoscaler.targets import ApiObjects, Target
from autoscaler.tick import Report, Result, ask, tick
from autoscaler.writes import Scale, WriteStatus

OURS: Final = "serving-autoscaler"
RECORDED: Final = "recorded"
KEPT_SECONDS: Final = 600.0
"""Of the model's past: more than any window of a rate."""
GAP_SECONDS: Final = 300.0
"""Over a longer time without a tick nothing is told."""

MakePolicy = Callable[[Target, float], Policy]
"""From the target and the seconds of work per request."""


@dataclass(frozen=True)
class Scaling:
    """One decision of ours that changes the replicas."""

    at: float
    before: int
    after: int
    reason: str
    sentence: str


@dataclass(frozen=True)
class Stretch:
    """One interval of one target under every policy."""

    target: Target
    counted: float
    """Requests per second of the slow window."""
    counted_late: float | None
    """The late fraction of these; None where it could not be counted."""
    spans: Mapping[str, Span]
    """By policy."""
    before: Mapping[str, int]
    """Replicas wanted through the interval, by policy."""
    wanted: Mapping[str, int]
    """Those from its end on."""
    scaling: Scaling | None


@dataclass(frozen=True)
class _Seen:
    """A moment as the tick saw it with nobody in its way, and what it knew then."""

    moment: Moment
    reports: Mapping[str, Report]
    """By uid, of those whose work per request is known."""
    state: LoopState
    lead_seconds: float
    """Half the window of the rates: a rate is that of the middle of its window."""


@dataclass
class _Course:
    """One target through the recording."""

    deployments: dict[str, Deployment]
    recents: dict[str, Recent]
    rivals: dict[str, Rival]
    status: dict[str, Any] | None = None
    """As our tick has written it."""


@dataclass
class Comparison:
    """Goes through a recording once. `start_seconds` by uid; `peers` by name."""

    start_seconds: Callable[[str], float]
    peers: Mapping[str, MakePolicy]
    other_windows: int = 0
    """Answers to another window of a rate than was asked for."""
    skipped_seconds: float = 0.0
    _observed: LoopState = field(default_factory=LoopState)
    _ours: LoopState | None = None
    _courses: dict[str, _Course] = field(default_factory=dict)
    _before: float | None = None

    def stretches(self, moments: Iterable[Moment]) -> Iterator[list[Stretch]]:
        """The intervals between the moments, of all targets whose work per request is known by then."""
        waiting: deque[_Seen] = deque()
        for moment in moments:
            newest = self._observe(moment)
            waiting.append(newest)
            while moment.at - waiting[0].moment.at >= waiting[0].lead_seconds:
                yield self._advance(waiting.popleft(), newest.reports)
        last = waiting[-1].reports if waiting else {}
        for seen in waiting:
            yield self._advance(seen, last)

    def _observe(self, moment: Moment) -> _Seen:
        objects = replace(moment.objects, horizontal_pod_autoscalers=(), scaled_objects=())
        asked = ask(objects, self._observed, moment.at, moment.matcher)
        windows = self._observed.windows
        result = tick(answers_to(asked, moment)[0], objects, self._observed, moment.at)
        self._observed = result.state
        known = {r.target.uid: r for r in result.reports if r.service_seconds is not None}
        return _Seen(moment, known, result.state, windows.fast / 2)

    def _advance(self, seen: _Seen, later: Mapping[str, Report]) -> list[Stretch]:
        """Let the time since the moment before pass, at the rates that were counted half a window later."""
        now = seen.moment.at
        gap = now - self._before if self._before is not None else 0.0
        self._before = now
        if gap > GAP_SECONDS:
            self.skipped_seconds += gap
        for uid in self._courses.keys() - seen.reports.keys():
            del self._courses[uid]
        spans: dict[str, dict[str, Span]] = {}
        for uid, report in seen.reports.items():
            if (course := self._courses.get(uid)) is None:
                self._courses[uid] = self._begun(report, now)
            elif 0 < gap <= GAP_SECONDS:
                variability = seen.state.targets[uid].service.variability
                spans[uid] = _through(course, report, later.get(uid, report).arrivals, variability, now)
            else:
                for policy, deployment in course.deployments.items():
                    course.deployments[policy] = replace(deployment, queue=0.0, now=now)
        if self._ours is None and self._courses:
            self._ours = seen.state
        if not spans:
            return []
        before = {uid: _wanted(self._courses[uid]) for uid in spans}
        scalings = self._scale(self._decide(seen, spans), now)
        stretches = []
        for uid, of_policies in spans.items():
            course, report = self._courses[uid], seen.reports[uid]
            self._let_rivals_decide(course, uid, now)
            observed = report.observation
            stretches.append(
                Stretch(
                    report.target,
                    observed.arrivals_base,
                    observed.late_ratio,
                    of_policies,
                    before[uid],
                    _wanted(course),
                    scalings.get(uid),
                )
            )
        return stretches

    def _begun(self, report: Report, now: float) -> _Course:
        workload, seconds = report.target.workload, report.service_seconds
        assert workload is not None
        assert seconds is not None
        rivals = {name: Rival.begun(make(report.target, seconds), now) for name, make in self.peers.items()}
        start = self.start_seconds(report.target.uid)
        waiting = max(workload.wanted - workload.ready, 0)
        as_it_is = Deployment(workload.wanted, workload.ready, (now + start,) * waiting, now=now)
        policies = (RECORDED, OURS, *rivals)
        return _Course(dict.fromkeys(policies, as_it_is), dict.fromkeys(policies, Recent()), rivals)

    def _decide(self, seen: _Seen, of: Iterable[str]) -> Result:
        """Our tick on what the model's replicas of these targets would have shown."""
        assert self._ours is not None
        moment = seen.moment
        instead: dict[TargetKey, Instead] = {}
        for uid in of:
            report, course = seen.reports[uid], self._courses[uid]
            instead[report.target.key] = Instead(
                report.target,
                # What is missing in the recorded rates is missing in the modelled ones, too.
                replace(report.observation, missing=NOTHING_MISSING),
                course.deployments[OURS],
                course.recents[OURS],
            )
        objects = self._with_status(objects_with(moment.objects, instead))
        answers, others = answers_to(ask(objects, self._ours, moment.at, moment.matcher), moment)
        self.other_windows += others
        windows = self._ours.windows
        result = tick(answers_with(answers, instead, windows), objects, self._ours, moment.at)
        self._ours = result.state
        return result

    def _with_status(self, objects: ApiObjects) -> ApiObjects:
        written = {uid: course.status for uid, course in self._courses.items() if course.status is not None}
        autoscalers = [
            {**manifest, "status": written.get(manifest["metadata"].get("uid"), manifest.get("status"))}
            for manifest in objects.autoscalers
        ]
        return replace(objects, autoscalers=autoscalers)

    def _scale(self, result: Result, now: float) -> dict[str, Scaling]:
        """Carry out our writes on the model."""
        reasons = {report.target.uid: report.decision.reason for report in result.reports}
        found = {}
        for write in result.writes:
            uid = write.target.uid
            if (course := self._courses.get(uid)) is None:
                continue
            if isinstance(write, WriteStatus):
                course.status = write.status
            elif isinstance(write, Scale) and not write.hand_over:
                before = course.deployments[OURS]
                course.deployments[OURS] = before.scaled(write.replicas, self.start_seconds(uid))
                found[uid] = Scaling(now, before.wanted, write.replicas, reasons[uid], write.sentence)
        return found

    def _let_rivals_decide(self, course: _Course, uid: str, now: float) -> None:
        for name, rival in course.rivals.items():
            deployment = course.deployments[name]
            course.rivals[name], wanted = rival.decided(deployment, course.recents[name], now)
            if wanted != deployment.wanted:
                course.deployments[name] = deployment.scaled(wanted, self.start_seconds(uid))


def _wanted(course: _Course) -> dict[str, int]:
    return {policy: deployment.wanted for policy, deployment in course.deployments.items()}


def _through(course: _Course, report: Report, rate: float, variability: float, now: float) -> dict[str, Span]:
    """Let all policies' replicas work until now."""
    workload, seconds = report.target.workload, report.service_seconds
    assert workload is not None
    assert seconds is not None
    threshold = report.target.spec.objective.threshold_milliseconds / 1000
    load = Load(rate, seconds, variability, threshold)
    course.deployments[RECORDED] = replace(
        course.deployments[RECORDED], wanted=workload.wanted, ready=workload.ready, starting=()
    )
    spans = {}
    for policy, deployment in course.deployments.items():
        course.deployments[policy], span = deployment.advanced(now, load)
        course.recents[policy] = course.recents[policy].with_span(span, KEPT_SECONDS)
        spans[policy] = span
    return spans

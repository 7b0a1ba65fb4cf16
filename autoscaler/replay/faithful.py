"""The tick on what was recorded: what it asks is looked up, what it decides is compared with what was decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from autoscaler.replay.recording.moment import Moment
from autoscaler.signals.views import AnswerLike, Answers, Failure
from autoscaler.state import LoopState
from autoscaler.targets import ApiObjects, with_workload
from autoscaler.tick import Result, ask, tick


@dataclass(frozen=True)
class Difference:
    """A decision that replays as another one."""

    at: float
    uid: str
    recorded: tuple[int, str] | None
    replayed: tuple[int, str] | None


def answers_to(asked: Mapping[str, str], moment: Moment) -> tuple[Answers, int]:
    """The recorded answers to these questions, and how many were recorded to another text of the same question.

    Texts differ in the windows of their rates, which follow the measured interval of the scrapes.
    """
    answers: dict[str, AnswerLike | Failure] = {}
    others = 0
    for name, text in asked.items():
        found = moment.answers.get(name)
        if found is None:
            found = Failure("NotRecorded", f"the recording has no answer to {name} at this time")
        elif name in moment.asked and moment.asked[name] != text:
            others += 1
        answers[name] = found
    return answers, others


def replayed(moments: Iterable[Moment]) -> Iterator[tuple[Moment, Result]]:
    """Tick at every moment with what was there, from an empty state: as a loop that is started then."""
    state = LoopState()
    for moment in moments:
        answers, _ = answers_to(ask(moment.objects, state, moment.at, moment.matcher), moment)
        result = tick(answers, moment.objects, state, moment.at)
        state = result.state
        yield moment, result


def witnessed(
    now: float,
    objects: ApiObjects,
    asked: Mapping[str, str],
    answers: Answers,
    result: Result,
    matcher: str = "",
) -> Moment:
    """A tick as a recording has it: with the replicas that it went by where the watch had yet to tell of its own write."""
    workloads = (report.target.workload for report in result.reports)
    known = {workload.uid: workload for workload in workloads if workload is not None}
    deployments = [
        with_workload(manifest, known[uid]) if (uid := manifest["metadata"]["uid"]) in known else manifest
        for manifest in objects.deployments
    ]
    return Moment(now, replace(objects, deployments=deployments), asked, answers, decided(result), matcher)


def decided(result: Result) -> dict[str, tuple[int, str]]:
    """Replicas and reason by uid, as a recording has them."""
    return {report.target.uid: (report.decision.desired, report.decision.reason) for report in result.reports}


def differences(moment: Moment, result: Result) -> list[Difference]:
    """Where the decisions of a moment are not those that were recorded; none where none were."""
    if not moment.decided:
        return []
    again = decided(result)
    return [
        Difference(moment.at, uid, moment.decided.get(uid), again.get(uid))
        for uid in sorted(moment.decided.keys() | again.keys())
        if moment.decided.get(uid) != again.get(uid)
    ]

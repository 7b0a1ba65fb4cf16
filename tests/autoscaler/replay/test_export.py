"""Recordings from Prometheus: range queries of the tick's own questions, a stretch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from autoscaler.replay.export import Export, replicas_question
from autoscaler.replay.faithful import replayed
from autoscaler.replay.recording.moment import Moment, Recorded
from loadtests.simulator.promql import parse
from serving_io.errors import SignalUnavailable
from serving_io.prometheus import RangeAnswer, Series
from tests.autoscaler.replay.runs import merged, simulated

STEP = 15.0


@dataclass
class Remembered:
    """A Prometheus that holds what was recorded, by the text of the question."""

    moments: list[Moment]
    most_points: int = 10_000
    asked: list[str] = field(default_factory=list)

    async def query_range(self, promql: str, start: float, end: float, step_seconds: float) -> RangeAnswer:
        """Point by point."""
        self.asked.append(promql)
        assert step_seconds == STEP
        if (end - start) / step_seconds > self.most_points:
            raise SignalUnavailable(promql, "AnswerTooLarge", "as the test wants it")
        points: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = {}
        for moment in self.moments:
            if start <= moment.at <= end:
                for labels, value in self.told(promql, moment):
                    points.setdefault(frozenset(labels.items()), []).append((moment.at, value))
        return RangeAnswer(tuple(Series(dict(labels), tuple(told)) for labels, told in points.items()))

    @staticmethod
    def told(promql: str, moment: Moment) -> list[tuple[Mapping[str, str], float]]:
        """What was answered to this text, or how many replicas there were."""
        if promql == replicas_question(""):
            (workload,) = moment.objects.deployments
            of = {"namespace": "sim", "deployment": "digits"}
            other = (of | {"deployment": "other", "signal": "wanted"}, 9.0)
            numbers = {"wanted": workload["spec"]["replicas"], "ready": workload["status"]["readyReplicas"]}
            return [other, *((of | {"signal": signal}, float(value)) for signal, value in numbers.items())]
        for name, text in moment.asked.items():
            answer = moment.answers[name]
            if text == promql and isinstance(answer, Recorded):
                return [(sample.labels, sample.value) for sample in answer.samples]
        return []


def written_down() -> dict[str, Any]:
    """The InferenceAutoscaler as somebody would write it who has none in the cluster."""
    (manifest,) = simulated().moments()[0].objects.autoscalers
    return {
        "kind": "InferenceAutoscaler",
        "metadata": {"name": "digits", "namespace": "sim"},
        "spec": manifest["spec"],
    }


def exported(source: Remembered) -> list[Moment]:
    """All of it."""
    moments = source.moments
    export = Export(source, [written_down()], moments[0].at, moments[-1].at, STEP)

    async def all_of_it() -> list[Moment]:
        return [moment async for moment in export.moments()]

    found = asyncio.run(all_of_it())
    assert export.queries == len(source.asked)
    return found


def test_what_is_exported_is_what_the_tick_asked_then() -> None:
    """Text by text and number by number, with a query for each text."""
    source = Remembered(simulated().moments()[:50])
    found = exported(source)
    assert [moment.at for moment in found] == [moment.at for moment in source.moments]
    assert {len(moment.objects.deployments) for moment in found} == {1}
    for then, now in zip(source.moments, found, strict=True):
        assert now.asked == then.asked
        for name, answer in now.answers.items():
            recorded = then.answers[name]
            assert isinstance(answer, Recorded)
            assert isinstance(recorded, Recorded)
            assert {(frozenset(s.labels.items()), s.value) for s in answer.samples} == {
                (frozenset(s.labels.items()), s.value) for s in recorded.samples
            }
    texts = {text for moment in source.moments for text in moment.asked.values()}
    assert len(source.asked) <= len(texts) + 2


def test_what_is_counted_of_a_route_is_exported() -> None:
    """Of that of the service, and of no other."""
    moments = merged(simulated().moments()[:50])
    found = exported(Remembered(moments))
    names = {
        sample.labels.get("deployment")
        for moment in found
        for answer in moment.answers.values()
        if isinstance(answer, Recorded)
        for sample in answer.samples
        if sample.labels.get("profile") == "gateway"
    }
    *_, (_, result) = replayed(found)
    (report,) = result.reports
    assert names - {None} == {"route/digits"}
    assert report.observation.gateway.gate.usable
    assert report.observation.gateway.part == 1.0


def test_an_export_replays() -> None:
    """With the replicas that there were, and without an object of ours in the cluster."""
    *_, (moment, result) = replayed(exported(Remembered(simulated().moments()[:50])))
    (report,) = result.reports
    assert moment.decided == {}
    assert report.service_seconds == pytest.approx(0.1, rel=0.1)
    assert report.target.workload is not None
    assert report.target.workload.wanted >= 1


def test_answers_that_are_too_large_are_asked_for_in_pieces() -> None:
    """Down to a few steps; then it is an error."""
    moments = simulated().moments()[:60]
    assert len(exported(Remembered(moments, most_points=20))) == 60
    with pytest.raises(SignalUnavailable):
        exported(Remembered(moments, most_points=1))


@pytest.mark.parametrize("matcher", ["", 'cluster="a"'])
def test_the_question_for_replicas_is_promql(matcher: str) -> None:
    """With the matcher in every selector."""
    text = replicas_question(matcher)
    parse(text)
    assert text.count('cluster="a"') == (3 if matcher else 0)

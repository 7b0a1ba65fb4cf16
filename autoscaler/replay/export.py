"""Makes a recording from Prometheus: range queries of the very questions that the tick asks, a stretch of time at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from autoscaler.replay.recording.moment import Moment, Number, Recorded
from autoscaler.signals.numbers import TargetKey
from autoscaler.signals.queries import POD_OF_DEPLOYMENT, of_route
from autoscaler.state import LoopState
from autoscaler.targets import ApiObjects, targets_of, timestamp_of
from autoscaler.tick import ask, tick
from serving_io.errors import SignalUnavailable

STRETCH_SECONDS: Final = 3600.0
"""Of a range query, at most."""
OLD_SECONDS: Final = 86400.0
"""What is there at the begin is taken to be so old: its rates cover their windows."""
FEWEST_STEPS: Final = 4
"""Of a range query whose answer was too large before."""


class SeriesLike(Protocol):
    """One series of a range query."""

    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def points(self) -> tuple[tuple[float, float], ...]: ...


class RangeLike(Protocol):
    """An answer to a range query."""

    @property
    def series(self) -> Sequence[SeriesLike]: ...


class RangeSource(Protocol):
    """Prometheus, or what stands for it."""

    async def query_range(self, promql: str, start: float, end: float, step_seconds: float) -> RangeLike: ...


@dataclass
class _Stretch:
    """The answers to one question from `begin` to `end`, by step."""

    begin: float
    end: float
    answers: dict[int, list[Number]]


@dataclass
class Export:
    """From `begin` to `end` (whole seconds since 1970) in steps, for these InferenceAutoscalers."""

    source: RangeSource
    autoscalers: Sequence[Mapping[str, Any]]
    begin: float
    end: float
    step_seconds: float
    matcher: str = ""
    queries: int = 0
    _stretches: dict[str, _Stretch] = field(default_factory=dict)
    _stretch_seconds: float = STRETCH_SECONDS
    _created: dict[TargetKey, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._manifests = [_complete(manifest, self.begin) for manifest in self.autoscalers]
        targets, _ = targets_of(ApiObjects(self._manifests, []))
        self._keys = {target.key for target in targets}
        self._routes = {(target.key[0], of_route(target.route)) for target in targets}

    async def moments(self) -> AsyncIterator[Moment]:
        """Every moment, as the tick would have seen it. Raises SignalUnavailable."""
        state = LoopState()
        question = replicas_question(self.matcher)
        for number in range(int((self.end - self.begin) // self.step_seconds) + 1):
            now = self.begin + number * self.step_seconds
            replicas = await self._answer(question, now)
            objects = ApiObjects(self._manifests, list(self._deployments(replicas, now)))
            asked = ask(objects, state, now, self.matcher)
            answers = {name: Recorded(await self._answer(text, now)) for name, text in asked.items()}
            state = tick(answers, objects, state, now).state
            yield Moment(now, objects, asked, answers, matcher=self.matcher)

    async def _answer(self, text: str, now: float) -> list[Number]:
        stretch = self._stretches.get(text)
        if stretch is None or now > stretch.end:
            self._stretches = {t: s for t, s in self._stretches.items() if s.end >= now}
            stretch = self._stretches[text] = await self._ask(text, now)
        return stretch.answers.get(round((now - stretch.begin) / self.step_seconds), [])

    def _is_wanted(self, labels: Mapping[str, str]) -> bool:
        """Whether a series is of a target, or of none at all: the questions are about every Deployment there is."""
        if "deployment" not in labels:
            return True
        key = labels.get("namespace"), labels["deployment"]
        return key in self._keys or key in self._routes

    def _deployments(self, replicas: Iterable[Number], now: float) -> Iterator[dict[str, Any]]:
        told: dict[TargetKey, dict[str, int]] = {}
        for sample in replicas:
            key = (sample.labels.get("namespace", ""), sample.labels.get("deployment", ""))
            told.setdefault(key, {})[sample.labels.get("signal", "")] = int(sample.value)
        for key in sorted(self._keys):
            if (of := told.get(key)) is None:
                continue
            ready = of.get("ready", of.get("scraped", of.get("wanted", 0)))
            wanted = of.get("wanted", ready)
            created = self._created.setdefault(key, now if now > self.begin else now - OLD_SECONDS)
            yield {
                "metadata": {
                    "namespace": key[0],
                    "name": key[1],
                    "uid": f"deployment/{key[0]}/{key[1]}",
                    "creationTimestamp": timestamp_of(created),
                },
                "spec": {"replicas": wanted},
                "status": {"replicas": max(wanted, ready), "readyReplicas": ready},
            }

    async def _ask(self, text: str, now: float) -> _Stretch:
        while True:
            steps = max(int(self._stretch_seconds // self.step_seconds), 1)
            end = min(now + steps * self.step_seconds, self.end)
            self.queries += 1
            try:
                found = await self.source.query_range(text, now, end, self.step_seconds)
            except SignalUnavailable as error:
                if error.reason != "AnswerTooLarge" or steps <= FEWEST_STEPS:
                    raise
                self._stretch_seconds /= 2
                continue
            answers: dict[int, list[Number]] = {}
            for series in found.series:
                if not self._is_wanted(series.labels):
                    continue
                for at, value in series.points:
                    place = round((at - now) / self.step_seconds)
                    answers.setdefault(place, []).append(Number(series.labels, value))
            return _Stretch(now, end, answers)


def replicas_question(matcher: str) -> str:
    """Replicas asked for and ready by Deployment: as kube-state-metrics has them, else how many pods are scraped."""
    more = f", {matcher}" if matcher else ""
    parts = []
    for signal, metric in (
        ("wanted", "kube_deployment_spec_replicas"),
        ("ready", "kube_deployment_status_replicas_ready"),
    ):
        selector = f'{metric}{{deployment!=""{more}}}'
        parts.append(
            f'label_replace(max by (namespace, deployment) ({selector}), "signal", "{signal}", "", "")'
        )
    up = f'max by (namespace, pod) (up{{pod!=""{more}}} == 1)'
    owned = f'label_replace({up}, "deployment", "$1", "pod", "{POD_OF_DEPLOYMENT}")'
    counted = f"count by (namespace, deployment) ({owned})"
    parts.append(f'label_replace({counted}, "signal", "scraped", "", "")')
    return "\nor\n".join(parts)


def _complete(manifest: Mapping[str, Any], begin: float) -> dict[str, Any]:
    """An InferenceAutoscaler as the API server would have it: one that is only written down has no uid yet."""
    metadata = manifest["metadata"]
    namespace = metadata.get("namespace", "default")
    made = {"uid": f"{namespace}/{metadata['name']}", "creationTimestamp": timestamp_of(begin)}
    return {**manifest, "metadata": {**made, **metadata, "namespace": namespace}}

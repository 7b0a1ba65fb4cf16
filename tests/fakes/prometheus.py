"""A Prometheus in memory: samples as they were scraped, and the few forms of PromQL that the operator asks."""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from serving_io.errors import SignalUnavailable
from serving_io.prometheus import Answer, RangeAnswer, Sample, Series

LOOKBACK_SECONDS = 300
Labels = frozenset[tuple[str, str]]
_Samples = list[tuple[float, float | None]]

_SELECTOR = r"(?P<name>[\w:]+)\{(?P<matchers>[^}]*)\}"
_AGGREGATE = re.compile(rf"(?P<how>sum|count|max) by \((?P<by>[^)]*)\) \({_SELECTOR}(?P<zero> == 0)?\)")
_PULSE = re.compile(rf"max\(timestamp\({_SELECTOR}\)\)")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"')
_LINE = re.compile(r"^([\w:]+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def page(text: str) -> dict[Labels, float]:
    """The series of a metrics page, the name as `__name__`."""
    found = {}
    for name, labels, value in _LINE.findall(text):
        pairs = dict(re.findall(r'(\w+)="([^"]*)"', labels)) | {"__name__": name}
        found[frozenset(pairs.items())] = float(value)
    return found


@dataclass
class FakePrometheus:
    """Samples by series. `down` makes every question fail; `asked` has all that was asked."""

    samples: dict[Labels, _Samples] = field(default_factory=dict)
    down: str = ""
    asked: list[str] = field(default_factory=list)

    def scrape(
        self, at: float, exposed: Mapping[Labels, float], target: Mapping[str, str], up: bool = True
    ) -> None:
        """One scrape of a target: what it exposes now; what it does no longer is marked stale."""
        named = {frozenset(dict(labels | target.items()).items()): value for labels, value in exposed.items()}
        present = named if up else {}
        for labels in [known for known in self.samples if target.items() <= known and known not in present]:
            if dict(labels)["__name__"] != "up":
                self.samples[labels].append((at, None))
        for labels, value in present.items():
            self.samples.setdefault(labels, []).append((at, value))
        own = frozenset({"__name__": "up", **target}.items())
        self.samples.setdefault(own, []).append((at, float(up)))

    async def query(self, promql: str, at: float | None = None) -> Answer:
        """The newest of everything, or what there was at a time."""
        found = self._evaluate(promql, (math.inf if at is None else at,))
        return Answer(
            tuple(Sample(dict(labels), at or 0.0, points[0][1]) for labels, points in found.items())
        )

    async def query_range(self, promql: str, start: float, end: float, step_seconds: float) -> RangeAnswer:
        """Point by point."""
        moments = [start + index * step_seconds for index in range(int((end - start) // step_seconds) + 1)]
        found = self._evaluate(promql, moments)
        return RangeAnswer(tuple(Series(dict(labels), tuple(points)) for labels, points in found.items()))

    def _evaluate(self, promql: str, moments: Sequence[float]) -> dict[Labels, list[tuple[float, float]]]:
        """The points of each series of the answer."""
        if self.down:
            raise SignalUnavailable(promql, self.down, "as the test wants it")
        self.asked.append(promql)
        how, by, found = "max", [], _PULSE.fullmatch(promql)
        is_pulse = found is not None
        if found is None:
            found = _AGGREGATE.fullmatch(promql)
            assert found, f"the fake does not know this form: {promql}"
            how, by = found["how"], [label.strip() for label in found["by"].split(",")]
        wants_zero = not is_pulse and bool(found["zero"])
        groups: dict[Labels, dict[float, list[float]]] = {}
        for labels, samples in self._series(found["name"], found["matchers"]):
            group = groups.setdefault(
                frozenset((label, labels[label]) for label in by if labels.get(label)), {}
            )
            for at in moments:
                newest = _newest(samples, at)
                if newest is not None and not (wants_zero and newest[1] != 0):
                    group.setdefault(at, []).append(newest[0] if is_pulse else newest[1])
        known: dict[str, Callable[[list[float]], float]] = {"sum": sum, "count": len, "max": max}
        return {
            labels: [(at, float(known[how](values))) for at, values in sorted(group.items())]
            for labels, group in groups.items()
            if group
        }

    def _series(self, name: str, matchers: str) -> Iterator[tuple[dict[str, str], _Samples]]:
        wanted = _MATCHER.findall(matchers)
        for labels, samples in self.samples.items():
            one = dict(labels)
            if one["__name__"] == name and all(_matches(one, *matcher) for matcher in wanted):
                yield one, samples


def _newest(samples: _Samples, at: float) -> tuple[float, float] | None:
    """The sample that counts at a moment, unless the series is stale or too old."""
    index = bisect.bisect_right(samples, at, key=lambda sample: sample[0])
    sampled, value = samples[index - 1] if index else (0.0, None)
    if value is None or (math.isfinite(at) and at - sampled >= LOOKBACK_SECONDS):
        return None
    return sampled, value


def _matches(labels: Mapping[str, str], label: str, operator: str, text: str) -> bool:
    value, text = labels.get(label, ""), re.sub(r"\\(.)", r"\1", text)
    same = bool(re.fullmatch(text, value)) if "~" in operator else value == text
    return same != operator.startswith("!")

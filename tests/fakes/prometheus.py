"""A Prometheus in memory: samples as they were scraped, and the few forms of PromQL that the operator asks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from serving_io.errors import SignalUnavailable
from serving_io.prometheus import Answer, RangeAnswer, Sample, Series

LOOKBACK_SECONDS = 300
Labels = frozenset[tuple[str, str]]

_SELECTOR = r"(?P<name>\w+)\{(?P<matchers>[^}]*)\}"
_AGGREGATE = re.compile(rf"(?P<how>sum|count|max) by \((?P<by>[^)]*)\) \({_SELECTOR}(?P<zero> == 0)?\)")
_PULSE = re.compile(rf"max\(timestamp\({_SELECTOR}\)\)")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"')
_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


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

    samples: dict[Labels, list[tuple[float, float | None]]] = field(default_factory=dict)
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
        found = self._evaluate(promql, math.inf if at is None else at)
        return Answer(tuple(Sample(dict(labels), at or 0.0, value) for labels, value in found.items()))

    async def query_range(self, promql: str, start: float, end: float, step_seconds: float) -> RangeAnswer:
        """Point by point."""
        series: dict[Labels, list[tuple[float, float]]] = {}
        at = start
        while at <= end:
            for labels, value in self._evaluate(promql, at).items():
                series.setdefault(labels, []).append((at, value))
            at += step_seconds
        return RangeAnswer(tuple(Series(dict(labels), tuple(points)) for labels, points in series.items()))

    def _evaluate(self, promql: str, at: float) -> dict[Labels, float]:
        if self.down:
            raise SignalUnavailable(promql, self.down, "as the test wants it")
        self.asked.append(promql)
        if found := _PULSE.fullmatch(promql):
            times = [sampled for _, sampled, _ in self._select(found["name"], found["matchers"], at)]
            return {frozenset(): max(times)} if times else {}
        found = _AGGREGATE.fullmatch(promql)
        assert found, f"the fake does not know this form: {promql}"
        by = [label.strip() for label in found["by"].split(",")]
        groups: dict[Labels, list[float]] = {}
        for labels, _, value in self._select(found["name"], found["matchers"], at):
            if found["zero"] and value != 0:
                continue
            kept = frozenset((label, labels[label]) for label in by if labels.get(label))
            groups.setdefault(kept, []).append(value)
        known: dict[str, Callable[[list[float]], float]] = {"sum": sum, "count": len, "max": max}
        how = known[found["how"]]
        return {labels: float(how(values)) for labels, values in groups.items()}

    def _select(self, name: str, matchers: str, at: float) -> Iterable[tuple[dict[str, str], float, float]]:
        wanted = _MATCHER.findall(matchers)
        for labels, samples in self.samples.items():
            one = dict(labels)
            if one["__name__"] != name or not all(_matches(one, *matcher) for matcher in wanted):
                continue
            newest = next(((t, v) for t, v in reversed(samples) if t <= at), None)
            if newest is None or newest[1] is None:
                continue
            if math.isfinite(at) and at - newest[0] >= LOOKBACK_SECONDS:
                continue
            yield one, newest[0], newest[1]


def _matches(labels: Mapping[str, str], label: str, operator: str, text: str) -> bool:
    value, text = labels.get(label, ""), re.sub(r"\\(.)", r"\1", text)
    same = bool(re.fullmatch(text, value)) if "~" in operator else value == text
    return same != operator.startswith("!")

"""The answer to a question from what was scraped, element by element as Prometheus gives it.

Which series there are does not change during a run, only which of them have a value: so what depends on labels alone is
worked out once, and the numbers are columns with NaN where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtests.simulator.promql import (
    Aggregation,
    Binary,
    Call,
    Expression,
    Number,
    PromQLError,
    Selector,
    Text,
    parse,
)
from loadtests.simulator.store import Floats, Labels, Targets, averages, rates

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """One element of an answer."""

    labels: Labels
    value: float


@dataclass(frozen=True)
class Answer:
    """All elements of an answer; simulated values are always finite."""

    samples: Sequence[Sample]
    not_finite: int = 0
    not_finite_of: Sequence[Labels] = ()


@dataclass(frozen=True, eq=False)
class Column:
    """Numbers with the labels that they belong to; NaN is no element."""

    labels: tuple[Labels, ...]
    values: Floats


@dataclass
class Evaluator:
    """Answers questions from these targets."""

    kinds: Sequence[Targets]
    _parsed: dict[str, Expression] = field(default_factory=dict)
    _static: dict[tuple[int, ...], Any] = field(default_factory=dict)

    def answer(self, question: str, now: float) -> Answer:
        """An instant query. Raises PromQLError for what is not in the part that is known."""
        if question not in self._parsed:
            self._parsed[question] = parse(question)
        column = self._column(self._parsed[question], now)
        return Answer(
            [
                Sample(labels, value)
                for labels, value in zip(column.labels, column.values.tolist(), strict=True)
                if value == value
            ]
        )

    def _once(self, key: tuple[object, ...], work: Callable[[], Any]) -> Any:
        """What depends on labels alone. The objects in the key live as long as this: they are kept beside it."""
        identity = tuple(id(part) for part in key)
        if identity not in self._static:
            self._static[identity] = (key, work())
        return self._static[identity][1]

    def _column(self, node: Expression, now: float) -> Column:
        match node:
            case Selector():
                return self._select(node, lambda kind, name: np.where(
                    np.isnan(_repeat(kind.newest(now), kind.each[name])), np.nan, kind.values[name][:, -1]
                ))  # fmt: skip
            case Call():
                return self._call(node, now)
            case Aggregation():
                return self._aggregate(node, self._column(node.inner, now))
            case Binary():
                return self._binary(node, now)
        raise PromQLError(f"{node} is no series")

    def _select(self, node: Selector, value: Callable[[Targets, str], Floats]) -> Column:
        def chosen() -> tuple[tuple[Labels, ...], list[tuple[Targets, Indices]]]:
            labels: list[Labels] = []
            parts = []
            for kind in self.kinds:
                of_kind = kind.labels.get(node.name, ())
                rows = [
                    row for row, one in enumerate(of_kind)
                    if all(matcher.accepts(one.get(matcher.label, "")) for matcher in node.matchers)
                ]  # fmt: skip
                labels += [of_kind[row] for row in rows]
                parts.append((kind, np.array(rows, dtype=np.int64)))
            return tuple(labels), [(kind, rows) for kind, rows in parts if len(rows)]

        labels, parts = self._once((node,), chosen)
        values = [value(kind, node.name)[rows] for kind, rows in parts]
        return Column(labels, np.concatenate(values) if values else np.zeros(0))

    def _call(self, node: Call, now: float) -> Column:
        if node.function == "label_replace":
            return self._label_replace(node, self._column(node.arguments[0], now))
        (selector,) = node.arguments
        if not isinstance(selector, Selector):
            raise PromQLError(f"{node.function} is known of a selector only")
        seconds = selector.range_seconds
        if node.function == "timestamp" and seconds is None:
            return self._select(selector, lambda kind, name: _repeat(kind.newest(now), kind.each[name]))
        if seconds is None:
            raise PromQLError(f"{node.function} takes a range")

        def over_range(kind: Targets, name: str) -> Floats:
            window, each = kind.window(now, seconds), kind.each[name]
            if node.function == "rate":
                return rates(kind.values[name], window, each)
            if node.function == "avg_over_time":
                return averages(kind.values[name], window, each)
            count = _repeat(window.count.astype(np.float64), each)
            return np.where(count > 0, count, np.nan)

        return self._select(selector, over_range)

    def _label_replace(self, node: Call, inner: Column) -> Column:
        destination, replacement, source, pattern = (
            argument.value for argument in node.arguments[1:] if isinstance(argument, Text)
        )

        def replaced(labels: Labels) -> Labels:
            template = re.sub(r"\$(\d+)", r"\\g<\1>", replacement)
            found = re.fullmatch(pattern, labels.get(source, ""))
            if found is None:
                return labels
            value = found.expand(template)
            kept = {name: held for name, held in labels.items() if name != destination}
            return kept | {destination: value} if value else kept

        labels = self._once((node, inner.labels), lambda: tuple(replaced(one) for one in inner.labels))
        return Column(labels, inner.values)

    def _aggregate(self, node: Aggregation, inner: Column) -> Column:
        def grouped() -> tuple[tuple[Labels, ...], Indices, Indices]:
            groups: dict[frozenset[tuple[str, str]], int] = {}
            numbers = []
            for labels in inner.labels:
                kept = {n: v for n, v in labels.items() if (n in node.labels) != node.without}
                numbers.append(groups.setdefault(frozenset(kept.items()), len(groups)))
            order = np.argsort(np.array(numbers, dtype=np.int64), kind="stable")
            starts = np.searchsorted(np.array(numbers, dtype=np.int64)[order], np.arange(len(groups)))
            return tuple(dict(group) for group in groups), order, starts

        labels, order, starts = self._once((node, inner.labels), grouped)
        if not labels:
            return Column((), np.zeros(0))
        values = inner.values[order]
        present = ~np.isnan(values)
        count = np.add.reduceat(present.astype(np.float64), starts)
        if node.operation in ("max", "min"):
            extreme = np.fmax if node.operation == "max" else np.fmin
            return Column(labels, extreme.reduceat(values, starts))
        total = np.add.reduceat(np.where(present, values, 0.0), starts)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = {"sum": total, "count": count, "avg": total / count}[node.operation]
        return Column(labels, np.where(count > 0, found, np.nan))

    def _binary(self, node: Binary, now: float) -> Column:
        if isinstance(node.left, Number):
            right = self._column(node.right, now)
            return Column(right.labels, _ARITHMETIC[node.operator](node.left.value, right.values))
        left = self._column(node.left, now)
        if isinstance(node.right, Number):
            if node.operator in _COMPARISONS:
                holds = _COMPARISONS[node.operator](left.values, node.right.value)
                return Column(left.labels, np.where(holds, left.values, np.nan))
            return Column(left.labels, _ARITHMETIC[node.operator](left.values, node.right.value))
        if node.operator not in ("or", "and"):
            raise PromQLError(f"{node.operator} is known with a number only")
        right = self._column(node.right, now)

        def matched() -> tuple[tuple[Labels, ...], Indices, Indices]:
            keys = [frozenset(labels.items()) for labels in left.labels]
            of_right = {frozenset(labels.items()): row for row, labels in enumerate(right.labels)}
            there = np.array([of_right.get(key, len(of_right)) for key in keys], dtype=np.int64)
            alone = [row for key, row in of_right.items() if key not in set(keys)]
            labels = (*left.labels, *(right.labels[row] for row in alone))
            return labels, there, np.array(alone, dtype=np.int64)

        labels, there, alone = self._once((node, left.labels, right.labels), matched)
        beside = np.append(right.values, np.nan)[there]
        if node.operator == "and":
            return Column(left.labels, np.where(np.isnan(beside), np.nan, left.values))
        values = np.where(np.isnan(left.values), beside, left.values)
        return Column(labels, np.concatenate([values, right.values[alone]]))


_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {"==": np.equal, "!=": np.not_equal}
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}


def _repeat(values: Floats, each: int) -> Floats:
    return values if each == 1 else np.repeat(values, each)

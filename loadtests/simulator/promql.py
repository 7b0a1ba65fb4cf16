"""The part of PromQL that the autoscaler asks in, parsed. What is not known is refused, never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
AGGREGATIONS: Final = frozenset({"sum", "max", "min", "avg", "count"})
FUNCTIONS: Final = frozenset({"rate", "avg_over_time", "count_over_time", "timestamp", "label_replace"})
PRECEDENCE: Final = {"or": 1, "and": 2, "==": 3, "!=": 3, "+": 4, "-": 4, "*": 5, "/": 5}

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<string>\"(?:[^\"\\]|\\.)*\")|(?P<duration>\d+(?:ms|[smhd]))|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)|(?P<sign>=~|!~|!=|==|[-+*/(){}\[\],=]))"
)


class PromQLError(ValueError):
    """A question that is not in the part that is known; the message says where."""


@dataclass(frozen=True)
class Matcher:
    """One condition on a label."""

    label: str
    operator: str
    value: str

    def accepts(self, value: str) -> bool:
        """Whether a label of this value fits; an absent label is empty."""
        if self.operator in ("=~", "!~"):
            return (re.fullmatch(self.value, value) is not None) == (self.operator == "=~")
        return (value == self.value) == (self.operator == "=")


@dataclass(frozen=True)
class Selector:
    """The series of a metric; with a range in seconds, their samples."""

    name: str
    matchers: tuple[Matcher, ...] = ()
    range_seconds: float | None = None


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Text:
    """A string."""

    value: str


@dataclass(frozen=True)
class Call:
    """A function of its arguments."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Aggregation:
    """Elements put together that agree in these labels, or in all but these."""

    operation: str
    labels: tuple[str, ...]
    without: bool
    inner: Expression


@dataclass(frozen=True)
class Binary:
    """Two expressions with an operator."""

    operator: str
    left: Expression
    right: Expression


Expression = Selector | Number | Text | Call | Aggregation | Binary


def parse(text: str) -> Expression:
    """The syntax tree of a question. Raises PromQLError."""
    parser = _Parser(list(_tokens(text)), text)
    found = parser.expression(1)
    parser.end()
    return found


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position, text = 0, text.rstrip()
    while position < len(text):
        if (found := _TOKEN.match(text, position)) is None or found.lastgroup is None:
            raise PromQLError(f"not understood at {position}: {text[position : position + 30]!r}")
        yield found.lastgroup, found.group(found.lastgroup)
        position = found.end()


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], text: str) -> None:
        self._tokens, self._at, self._text = tokens, 0, text

    def _next(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, *wanted: str) -> str:
        kind, value = self._next()
        if wanted and value not in wanted and kind not in wanted:
            raise PromQLError(f"{' or '.join(wanted)} expected, not {value!r}, in {self._text[:80]!r}")
        self._at += 1
        return value

    def end(self) -> None:
        if self._next()[0] != "end":
            raise PromQLError(f"{self._next()[1]!r} is left over in {self._text[:80]!r}")

    def expression(self, least: int) -> Expression:
        left = self._operand()
        while (rank := PRECEDENCE.get(self._next()[1], 0)) >= least:
            operator = self._take()
            left = Binary(operator, left, self.expression(rank + 1))
        return left

    def _operand(self) -> Expression:
        kind, value = self._next()
        if value == "(":
            self._take("(")
            inner = self.expression(1)
            self._take(")")
            return inner
        if kind == "number":
            return Number(float(self._take()))
        if kind == "string":
            return Text(_unquoted(self._take()))
        name = self._take("name")
        if name in AGGREGATIONS:
            return self._aggregation(name)
        if self._next()[1] == "(":
            return self._call(name)
        return self._selector(name)

    def _aggregation(self, name: str) -> Expression:
        how = self._take("by", "without")
        labels = self._labels()
        self._take("(")
        inner = self.expression(1)
        self._take(")")
        return Aggregation(name, labels, how == "without", inner)

    def _labels(self) -> tuple[str, ...]:
        self._take("(")
        found = [self._take("name")]
        while self._take(",", ")") == ",":
            found.append(self._take("name"))
        return tuple(found)

    def _call(self, name: str) -> Expression:
        if name not in FUNCTIONS:
            raise PromQLError(f"the function {name} is not known here")
        self._take("(")
        arguments = [self.expression(1)]
        while self._take(",", ")") == ",":
            arguments.append(self.expression(1))
        return Call(name, tuple(arguments))

    def _selector(self, name: str) -> Expression:
        matchers = []
        if self._next()[1] == "{":
            self._take("{")
            while self._next()[1] != "}":
                label, operator = self._take("name"), self._take("=", "!=", "=~", "!~")
                matchers.append(Matcher(label, operator, _unquoted(self._take("string"))))
                if self._next()[1] == ",":
                    self._take(",")
            self._take("}")
        seconds = None
        if self._next()[1] == "[":
            self._take("[")
            length = self._take("duration")
            unit = length.lstrip("0123456789")
            seconds = float(length.removesuffix(unit)) * UNITS[unit]
            self._take("]")
        return Selector(name, tuple(matchers), seconds)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text[1:-1])

"""Lines of JSON as moments again. What cannot be read is told with its line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from autoscaler.replay.recording.moment import FORMAT, KINDS, VERSION, Moment, Number, Recorded
from autoscaler.signals.views import AnswerLike, Failure
from autoscaler.targets import ApiObjects

LONGEST_LINE: Final = 32 * 1024 * 1024
"""Characters of a line: a tick of 10,000 targets has a tenth of it."""
MOST_STATED: Final = {"question": 10_000, "labels": 500_000, "object": 100_000}
"""Of each kind in force, so that a file of any length is read in bounded memory."""


class RecordingError(ValueError):
    """A line that cannot be read; the message names it and what is wrong."""


@dataclass
class _Stated:
    questions: dict[int, str] = field(default_factory=dict)
    labels: dict[int, dict[str, str]] = field(default_factory=dict)
    objects: dict[str, dict[str, Any]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    at: float = -math.inf
    matcher: str = ""


class Decoder:
    """Lines to moments; `name` is the file's, for messages."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stated = _Stated()

    def moments(self, lines: Iterable[str]) -> Iterator[Moment]:
        """Every moment of a recording. Raises RecordingError."""
        number = 0
        for number, line in enumerate(lines, 1):
            try:
                moment = self._line(line, first=number == 1)
            except _WrongError as error:
                raise RecordingError(f"{self._name}, line {number}: {error}") from None
            if moment is not None:
                yield moment
        if number == 0:
            raise RecordingError(f"{self._name} is empty: a recording begins with a line that says so")

    def _line(self, line: str, *, first: bool) -> Moment | None:
        if len(line) > LONGEST_LINE:
            raise _WrongError(f"longer than {LONGEST_LINE} characters")
        if not line.endswith("\n"):
            raise _WrongError(
                "cut off, without its end: the recording was interrupted; remove this line to use the rest"
            )
        try:
            found = json.loads(line)
        except ValueError as error:
            raise _WrongError(f"not JSON ({error})") from None
        if not isinstance(found, dict):
            raise _WrongError(f"an object is expected, not a {type(found).__name__}")
        if first:
            self._header(found)
            return None
        kind = next((key for key in ("at", "labels", "object", "question") if key in found), None)
        if kind is None:
            raise _WrongError("has none of at, labels, object and question")
        if kind == "at":
            return self._moment(found)
        self._state_one(kind, found)
        return None

    def _header(self, found: dict[str, Any]) -> None:
        if found.get("format") != FORMAT:
            raise _WrongError(
                f'is no recording: it must begin with {{"format": "{FORMAT}", "version": {VERSION}}}'
            )
        if found.get("version") != VERSION:
            raise _WrongError(
                f"has version {found.get('version')!r}; this program reads version {VERSION}: record it anew"
            )
        self._stated.matcher = _field(found, "matcher", str)

    def _state_one(self, kind: str, found: dict[str, Any]) -> None:
        stated = self._stated
        if kind == "question":
            known: Mapping[Any, Any] = stated.questions
            stated.questions[_field(found, "question", int)] = _field(found, "text", str)
        elif kind == "labels":
            known = stated.labels
            of = _field(found, "of", dict)
            if not all(isinstance(value, str) for value in of.values()):
                raise _WrongError("of: every label must be a string")
            stated.labels[_field(found, "labels", int)] = of
        else:
            place = _field(found, "object", list)
            if len(place) != 2 or place[0] not in KINDS or not isinstance(place[1], str):
                raise _WrongError(
                    f"object: must be one of {', '.join(KINDS)} and NAMESPACE/NAME, not {place!r}"
                )
            known = stated.objects[place[0]]
            if found.get("is") is None:
                stated.objects[place[0]].pop(place[1], None)
            else:
                stated.objects[place[0]][place[1]] = _manifest(_field(found, "is", dict))
        if len(known) > MOST_STATED[kind]:
            raise _WrongError(f"more than {MOST_STATED[kind]} of {kind}: record fewer services at a time")

    def _moment(self, found: dict[str, Any]) -> Moment:
        at = _number(found["at"], "at")
        if at <= self._stated.at:
            raise _WrongError(f"at: {at:.3f} is not after the tick before it ({self._stated.at:.3f})")
        self._stated.at = at
        asked: dict[str, str] = {}
        answers: dict[str, AnswerLike | Failure] = {}
        for name, said in _field(found, "answers", dict).items():
            where = f"answers.{name}"
            if isinstance(said, dict):
                failed = _field(said, "failed", list, where)
                if len(failed) != 2 or not all(isinstance(part, str) for part in failed):
                    raise _WrongError(f"{where}.failed: a reason and a message are expected")
                answers[name] = Failure(*failed)
                continue
            answers[name], asked[name] = self._answer(said, where)
        decided = {}
        for uid, said in _field(found, "decided", dict, default={}).items():
            if not (
                isinstance(said, list)
                and len(said) == 2
                and type(said[0]) is int
                and isinstance(said[1], str)
            ):
                raise _WrongError(f"decided.{uid}: replicas and a reason are expected")
            decided[uid] = (said[0], said[1])
        listed = [tuple(of_kind.values()) for of_kind in self._stated.objects.values()]
        return Moment(at, ApiObjects(*listed), asked, answers, decided, self._stated.matcher)

    def _answer(self, said: Any, where: str) -> tuple[Recorded, str]:
        lists = said[2:] if isinstance(said, list) else []
        if len(lists) not in (1, 2) or not all(isinstance(one, list) for one in lists) or len(lists[0]) % 2:
            raise _WrongError(
                f"{where}: must be [question, values that are not finite, [labels, value, ...]], and may have a list "
                "of the labels of what is not finite"
            )
        question = self._stated.questions.get(said[0]) if type(said[0]) is int else None
        if question is None:
            raise _WrongError(f"{where}: question {said[0]!r} is not stated before")
        samples = [
            Number(self._labels(number, where), _number(value, where))
            for number, value in zip(said[2][::2], said[2][1::2], strict=True)
        ]
        not_finite_of = [self._labels(number, where) for numbers in lists[1:] for number in numbers]
        return Recorded(samples, int(_number(said[1], where)), not_finite_of), question

    def _labels(self, number: Any, where: str) -> dict[str, str]:
        labels = self._stated.labels.get(number) if type(number) is int else None
        if labels is None:
            raise _WrongError(f"{where}: labels {number!r} are not stated before")
        return labels


class _WrongError(Exception):
    """What is wrong with a line."""


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _WrongError(f"{where}: a finite number is expected, not {value!r}")
    return float(value)


def _field(
    found: Mapping[str, Any], name: str, kind: type[Any], within: str = "", default: Any = None
) -> Any:
    where = f"{within}.{name}" if within else name
    if name not in found and default is not None:
        return default
    if name not in found:
        raise _WrongError(f"{where} is missing")
    if not isinstance(found[name], kind) or isinstance(found[name], bool):
        raise _WrongError(f"{where}: a {kind.__name__} is expected, not {found[name]!r:.80}")
    return found[name]


def _manifest(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = _field(manifest, "metadata", dict, "is")
    for name in ("name", "namespace"):
        _field(metadata, name, str, "is.metadata")
    return manifest

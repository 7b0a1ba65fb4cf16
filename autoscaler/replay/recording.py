"""Recordings: what the API server and Prometheus told at each tick, as lines of JSON. `docs/replay.md` has the format.

Texts of questions and sets of labels are stated once and named by number after that; objects when they change.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from autoscaler.signals.views import AnswerLike, Answers, Failure
from autoscaler.targets import ApiObjects
from serving_api.names import AUTOSCALER, SERVICE_LABEL

FORMAT: Final = "serving-replay"
VERSION: Final = 1
LONGEST_LINE: Final = 32 * 1024 * 1024
"""Characters of a line: a tick of 10,000 targets has a tenth of it."""
MOST_STATED: Final = {"question": 10_000, "labels": 500_000, "object": 100_000}
"""Of each kind in force, so that a file of any length is read in bounded memory."""
KINDS: Final = ("autoscalers", "deployments", "horizontal_pod_autoscalers", "scaled_objects")


class RecordingError(ValueError):
    """A line that cannot be read; the message names it and what is wrong."""


@dataclass(frozen=True, slots=True)
class Number:
    """One element of a recorded answer."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Recorded:
    """A recorded answer."""

    samples: Sequence[Number]
    not_finite: int = 0


@dataclass(frozen=True)
class Moment:
    """All that one tick was decided from, and what was decided, if that is known."""

    at: float
    """Seconds since 1970."""
    objects: ApiObjects
    asked: Mapping[str, str]
    """PromQL by name of the question."""
    answers: Answers
    decided: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    """Replicas and reason, by uid of the InferenceAutoscaler."""
    matcher: str = ""
    """What was added to every selector of the questions."""


class Encoder:
    """Moments to lines. It remembers what it has stated."""

    def __init__(self) -> None:
        self._begun = False
        self._questions: dict[str, int] = {}
        self._labels: dict[tuple[tuple[str, str], ...], int] = {}
        self._objects: dict[tuple[str, str], str] = {}

    def lines(self, moment: Moment) -> Iterator[str]:
        """The lines of a moment, each without its end."""
        if not self._begun:
            yield _text({"format": FORMAT, "version": VERSION, "matcher": moment.matcher})
            self._begun = True
        yield from self._changed(moment.objects)
        answers: dict[str, Any] = {}
        for name, answer in moment.answers.items():
            if isinstance(answer, Failure):
                answers[name] = {"failed": [answer.reason, answer.message]}
                continue
            question = moment.asked[name]
            if question not in self._questions:
                self._questions[question] = len(self._questions)
                yield _text({"question": self._questions[question], "text": question})
            numbers: list[float] = []
            for sample in answer.samples:
                key = tuple(sorted(sample.labels.items()))
                if key not in self._labels:
                    self._labels[key] = len(self._labels)
                    yield _text({"labels": self._labels[key], "of": dict(key)})
                numbers += (self._labels[key], sample.value)
            answers[name] = [self._questions[question], answer.not_finite, numbers]
        line: dict[str, Any] = {"at": moment.at, "answers": answers}
        if moment.decided:
            line["decided"] = {uid: list(said) for uid, said in moment.decided.items()}
        yield _text(line)

    def _changed(self, objects: ApiObjects) -> Iterator[str]:
        there: set[tuple[str, str]] = set()
        for kind in KINDS:
            for manifest in getattr(objects, kind):
                needed = _needed(kind, manifest)
                metadata = needed["metadata"]
                key = (kind, f"{metadata['namespace']}/{metadata['name']}")
                there.add(key)
                text = _text(needed)
                if self._objects.get(key) != text:
                    self._objects[key] = text
                    yield _text({"object": list(key), "is": needed})
        for key in sorted(self._objects.keys() - there):
            del self._objects[key]
            yield _text({"object": list(key), "is": None})


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
        if not isinstance(said, list) or len(said) != 3 or not isinstance(said[2], list) or len(said[2]) % 2:
            raise _WrongError(
                f"{where}: must be [question, values that are not finite, [labels, value, ...]]"
            )
        question = self._stated.questions.get(said[0]) if type(said[0]) is int else None
        if question is None:
            raise _WrongError(f"{where}: question {said[0]!r} is not stated before")
        samples = []
        for number, value in zip(said[2][::2], said[2][1::2], strict=True):
            labels = self._stated.labels.get(number) if type(number) is int else None
            if labels is None:
                raise _WrongError(f"{where}: labels {number!r} are not stated before")
            samples.append(Number(labels, _number(value, where)))
        return Recorded(samples, int(_number(said[1], where))), question


class _WrongError(Exception):
    """What is wrong with a line."""


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


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


def _owner(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry.get(key) for key in ("manager", "subresource", "fieldsV1")}


def _autoscaler(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {"spec": manifest.get("spec") or {}, "status": manifest.get("status") or {}}


def _deployment(manifest: Mapping[str, Any]) -> dict[str, Any]:
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    return {
        "spec": {key: spec[key] for key in ("replicas",) if key in spec},
        "status": {key: status[key] for key in ("replicas", "readyReplicas") if key in status},
    }


def _scaler(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {"spec": {"scaleTargetRef": (manifest.get("spec") or {}).get("scaleTargetRef") or {}}}


_CONTENT: Final[dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "autoscalers": _autoscaler,
    "deployments": _deployment,
    "horizontal_pod_autoscalers": _scaler,
    "scaled_objects": _scaler,
}
_METADATA: Final = ("name", "namespace", "uid", "generation", "creationTimestamp", "deletionTimestamp")


def _needed(kind: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a tick reads of an object: no pod template, nobody else's fields, no resourceVersion."""
    full = manifest["metadata"]
    metadata: dict[str, Any] = {key: full[key] for key in _METADATA if full.get(key) is not None}
    if service := (full.get("labels") or {}).get(SERVICE_LABEL):
        metadata["labels"] = {SERVICE_LABEL: service}
    if kind == "deployments":
        owners = [
            _owner(entry) for entry in full.get("managedFields") or () if entry.get("manager") == AUTOSCALER
        ]
        metadata["managedFields"] = owners
    return {"metadata": metadata, **_CONTENT[kind](manifest)}

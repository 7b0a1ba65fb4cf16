"""Moments as lines of JSON; `docs/replay.md` has the format.

Texts of questions and sets of labels are stated once and named by number after that; objects when they change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from autoscaler.needed import needed
from autoscaler.replay.recording.moment import FORMAT, KINDS, VERSION, Moment
from autoscaler.signals.views import Failure
from autoscaler.targets import ApiObjects


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
            sets = [*(sample.labels for sample in answer.samples), *answer.not_finite_of]
            keys = [tuple(sorted(labels.items())) for labels in sets]
            for key in keys:
                if key not in self._labels:
                    self._labels[key] = len(self._labels)
                    yield _text({"labels": self._labels[key], "of": dict(key)})
            numbers: list[float] = []
            for key, sample in zip(keys, answer.samples, strict=False):
                numbers += (self._labels[key], sample.value)
            answers[name] = [self._questions[question], answer.not_finite, numbers]
            if not_finite_of := keys[len(answer.samples) :]:
                answers[name].append([self._labels[key] for key in not_finite_of])
        line: dict[str, Any] = {"at": moment.at, "answers": answers}
        if moment.decided:
            line["decided"] = {uid: list(said) for uid, said in moment.decided.items()}
        yield _text(line)

    def _changed(self, objects: ApiObjects) -> Iterator[str]:
        there: set[tuple[str, str]] = set()
        for kind in KINDS:
            for manifest in getattr(objects, kind):
                read = needed(kind, manifest)
                metadata = read["metadata"]
                key = (kind, f"{metadata['namespace']}/{metadata['name']}")
                there.add(key)
                text = _text(read)
                if self._objects.get(key) != text:
                    self._objects[key] = text
                    yield _text({"object": list(key), "is": read})
        for key in sorted(self._objects.keys() - there):
            del self._objects[key]
            yield _text({"object": list(key), "is": None})


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)

"""Moments as lines of JSON; `docs/replay.md` has the format.

Texts of questions and sets of labels are stated once and named by number after that; objects when they change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoscaler.replay.recording.moment import FORMAT, KINDS, VERSION, Moment
from autoscaler.signals.views import Failure
from autoscaler.targets import ApiObjects
from serving_api.names import AUTOSCALER, SERVICE_LABEL


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


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


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

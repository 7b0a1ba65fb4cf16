"""The end of a run, without what differs from run to run: times, versions, uids, the numbers of attempts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from serving_api.names import PASSING_ANNOTATION
from serving_io import kinds
from tests.campaign.api import Api
from tests.campaign.user import NAMESPACE
from tests.fakes.kube.shapes import Json

KINDS = (
    kinds.INFERENCE_SERVICE,
    kinds.INFERENCE_AUTOSCALER,
    kinds.CONTROLLER_REVISION,
    kinds.DEPLOYMENT,
    kinds.SERVICE,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.HTTP_ROUTE,
    kinds.POD,
)
_ATTEMPT = re.compile(r"\b([0-9a-f]{8})-[1-9][0-9]*\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")
_PREVIOUS = re.compile(r', "previous": "[^"]*"')
_STARTED = re.compile(r',?"startedAt":"TIME"')
_MESSAGE = re.compile(r'"message":"(?:[^"\\\\]|\\\\.)*",?')
"""Within the text of an annotation: why an attempt was rejected, in numbers of what was counted until then."""
_DROPPED = {
    PASSING_ANNOTATION, "uid", "resourceVersion", "generation", "observedGeneration", "creationTimestamp", "managedFields",
    "lastTransitionTime", "startedAt", "stepStartedAt", "heldSeconds", "time", "clusterIP", "clusterIPs", "message",
    "deletionGracePeriodSeconds",
}  # fmt: skip


@dataclass(frozen=True)
class State:
    """Objects by kind and name; pods by revision, in number."""

    objects: dict[str, Json]
    history: bool = True

    def differences(self, wanted: State) -> list[str]:
        """What is other than wanted, in a few words each."""
        found = []
        wanted = wanted if self.history else State(_present(wanted.objects), False)
        for key in sorted(self.objects.keys() | wanted.objects.keys()):
            mine, theirs = self.objects.get(key), wanted.objects.get(key)
            if mine != theirs:
                found.append(f"{key}: {_difference(mine, theirs, '')}")
        return found


def state_of(api: Api, history: bool = True) -> State:
    """The state that counts; without `history` nothing of attempts that have ended."""
    objects: dict[str, Json] = {}
    for kind in KINDS:
        for (namespace, name), record in api.records(kind).items():
            if namespace != NAMESPACE:
                continue
            if kind == kinds.POD:
                key = f"pods of {name.rpartition('-')[0]}"
                objects[key] = objects.get(key, 0) + 1
            else:
                objects[f"{kind.name} {name}"] = _plain(record.manifest, kind == kinds.CONTROLLER_REVISION)
    return State(objects if history else _present(objects), history)


def _present(objects: dict[str, Json]) -> dict[str, Json]:
    """Without what is kept of former attempts: commands, rejections, and the records of revisions that are not stable."""
    services = [found for key, found in objects.items() if key.startswith(f"{kinds.INFERENCE_SERVICE.name} ")]
    stable = next(
        (((found.get("status") or {}).get("stable") or {}).get("revision") for found in services), None
    )
    kept = {}
    for key, found in objects.items():
        if key.startswith(kinds.INFERENCE_SERVICE.name):
            status = {k: v for k, v in found["status"].items() if k not in ("commands", "rejected")}
            status["stable"] = {k: v for k, v in (status.get("stable") or {}).items() if k != "previous"}
            conditions = [c for c in status["conditions"] if c["type"] != "CommandIgnored"]
            found = {**found, "status": {**status, "conditions": conditions}}
            found["metadata"] = {k: v for k, v in found["metadata"].items() if k != "labels"}
        if key.startswith(kinds.CONTROLLER_REVISION.name):
            if not key.endswith(f"-{stable}"):
                continue
            # One that was lost is restored from its Deployment, with all that the API server filled in there.
            found = {k: v for k, v in found.items() if k != "data"}
            found["metadata"] = {k: v for k, v in found["metadata"].items() if k != "annotations"}
        kept[key] = found
    return kept


def _plain(value: Json, is_record: bool) -> Json:
    if isinstance(value, dict):
        return {
            key: _plain(entry, is_record)
            for key, entry in value.items()
            if key not in _DROPPED and not (is_record and key == "revision")
        }
    if isinstance(value, list):
        return [_plain(entry, is_record) for entry in value]
    if isinstance(value, str):
        return _MESSAGE.sub(
            "", _PREVIOUS.sub("", _STARTED.sub("", _TIME.sub("TIME", _ATTEMPT.sub(r"\1-N", value))))
        )
    return value


def _difference(mine: Json, theirs: Json, path: str) -> str:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in sorted(mine.keys() | theirs.keys()):
            if mine.get(key) != theirs.get(key):
                return _difference(mine.get(key), theirs.get(key), f"{path}.{key}")
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        for index, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            if a != b:
                return _difference(a, b, f"{path}[{index}]")
    if isinstance(mine, str) and isinstance(theirs, str):
        same = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), 0)
        mine, theirs = mine[max(0, same - 20) :], theirs[max(0, same - 20) :]
    return f"{path} is {str(mine)[:150]}, not {str(theirs)[:150]}"

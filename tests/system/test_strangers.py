"""Objects of others that have a child's name are left alone; objects of ours that lost their owner are taken back."""

from __future__ import annotations

import shlex
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from serving_api.names import OPERATOR
from serving_api.revision import revision_of
from serving_api.service import InferenceService
from serving_io import kinds
from serving_io.kinds import Kind
from tests.system.audit import Audit
from tests.system.interception import intercepted
from tests.system.kube import Kube, Manifest, condition, holds
from tests.system.services import (
    REVISION_KINDS,
    canary_at_step,
    children,
    committed,
    first_revision,
    web_service,
)

_PORTS = [{"name": "http", "port": 80}]
_BACKEND = {"name": "elsewhere", "port": 80}
_CONTAINER = {"name": "main", "image": "docker.io/library/busybox:1.37", "command": ["sleep", "600"]}
_LABELS = {"app": "elsewhere"}
FOREIGN: dict[Kind, Manifest] = {
    kinds.CONTROLLER_REVISION: {"data": {"theirs": True}, "revision": 3},
    kinds.DEPLOYMENT: {
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": _LABELS},
            "template": {"metadata": {"labels": _LABELS}, "spec": {"containers": [_CONTAINER]}},
        }
    },
    kinds.HTTP_ROUTE: {"spec": {"rules": [{"backendRefs": [_BACKEND]}]}},
    kinds.INFERENCE_AUTOSCALER: {
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "elsewhere"},
            "maxReplicas": 2,
            "objective": {"thresholdMilliseconds": 300},
            "signals": {"profile": "gateway"},
        }
    },
    kinds.POD_DISRUPTION_BUDGET: {"spec": {"minAvailable": 1, "selector": {"matchLabels": _LABELS}}},
    kinds.SERVICE: {"spec": {"selector": _LABELS, "ports": _PORTS}},
}
"""What somebody else might have by the name of a child, by kind."""


def revision(manifest: Manifest) -> str:
    """The revision that a service's first apply makes."""
    defaulted = {"metadata": {"uid": "-", "namespace": "-"} | manifest["metadata"], "spec": manifest["spec"]}
    return revision_of(InferenceService.parse(defaulted).spec.predictor)


def foreign(kind: Kind, name: str) -> Manifest:
    """Somebody else's object."""
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": name}} | FOREIGN[kind]


def services(namespace: str) -> dict[str, tuple[Manifest, Kind, str]]:
    """One service for each child that somebody else's object can be in the way of: its name → itself and the child."""
    made = {}
    for kind, of_revision in [
        *((kind, True) for kind in REVISION_KINDS),
        (kinds.SERVICE, False),
        (kinds.HTTP_ROUTE, False),
    ]:
        name = f"{kind.name.lower()[:20]}-{'revision' if of_revision else 'service'}"
        service = web_service(name, host=f"{name}.{namespace}.example.com")
        made[name] = (service, kind, f"{name}-{revision(service)}" if of_revision else name)
    return made


def untouched_until_removed(
    kube: Kube, audit: Audit, namespace: str, cases: dict[str, tuple[Manifest, Kind, str]]
) -> None:
    """NameConflict names a command; nobody has touched the object; running the command lets the service serve."""
    for name, (_, kind, child) in cases.items():
        kube.until(
            f"{name} says that {kind.name} {child} is in the way",
            partial(in_conflict, kube, namespace, name),
        )
    for name, (_, kind, child) in cases.items():
        live = kube.get(kind, namespace, child)
        message = condition(kube.status(namespace, name), "NameConflict")["message"]

        assert live is not None, f"{kind.name} {child}"
        assert {entry["manager"] for entry in live["metadata"]["managedFields"]} <= {
            "somebody",
            "kube-controller-manager",  # the status of a Deployment and of a PodDisruptionBudget
            "serving-autoscaler",  # the status of an InferenceAutoscaler, whoever has made it
        }
        assert "ownerReferences" not in live["metadata"]
        assert not [
            write
            for write in audit.writes("serving-operator")
            if (write.namespace, write.resource, write.name) == (namespace, kind.plural, child)
            and write.code < 400
        ]
        command = message[message.index("kubectl") :]
        kube.kubectl(*shlex.split(command)[1:])
    for name in cases:
        kube.until(
            f"{name} serves",
            partial(at_peace, kube, namespace, name),
        )


def in_conflict(kube: Kube, namespace: str, name: str) -> bool:
    """Whether the service says that somebody else's object is in its way."""
    return holds(kube.status(namespace, name), "NameConflict")


def at_peace(kube: Kube, namespace: str, name: str = "digits") -> bool:
    """Whether the service serves and nothing is in its way."""
    status = kube.status(namespace, name)
    return holds(status, "Ready") and not condition(status, "NameConflict")


def test_foreign_objects_were_there_before(kube: Kube, namespace: str) -> None:
    """An object that has a child's name before the apply stays as it is, for every child."""
    cases, audit = services(namespace), Audit(kube.cluster)
    for _, kind, child in cases.values():
        kube.create(kind, namespace, foreign(kind, child))
    for service, _, _ in cases.values():
        kube.apply(namespace, service)

    untouched_until_removed(kube, audit, namespace, cases)


def test_foreign_objects_come_between_read_and_write(kube: Kube, namespace: str, tmp_path: Path) -> None:
    """An object that is made after the operator looked, and before its creation arrives, stays as it is."""
    cases, audit = services(namespace), Audit(kube.cluster)
    waiting = {(kind.name, child): kind for _, kind, child in cases.values()}
    lock = threading.Lock()

    def come_first(request: dict[str, Any]) -> None:
        if "serving-operator" not in request["userInfo"]["username"]:
            return
        with lock:
            kind = waiting.pop((request["kind"]["kind"], request["name"]), None)
        if kind is not None:
            kube.create(kind, namespace, foreign(kind, request["name"]))

    with intercepted(kube, namespace, tmp_path, ["CREATE"], come_first):
        for service, _, _ in cases.values():
            kube.apply(namespace, service)
        kube.until("each name has been taken", lambda: not waiting)

        untouched_until_removed(kube, audit, namespace, cases)


def test_foreign_objects_take_the_place_of_children(kube: Kube, namespace: str, tmp_path: Path) -> None:
    """A child that is replaced by somebody else's object after the operator looked, and before its apply arrives."""
    service = web_service(host=f"{namespace}.example.com")
    revision_made = first_revision(kube, namespace, service)
    # Without its record a revision's other children are left as they are: the record's turn is in the tests above.
    family = [
        child for child in children("digits", revision_made) if child[0] is not kinds.CONTROLLER_REVISION
    ]
    waiting, lock = {(kind.name, child): kind for kind, child in family}, threading.Lock()

    def take_the_place(request: dict[str, Any]) -> None:
        if "serving-operator" not in request["userInfo"]["username"]:
            return
        with lock:
            kind = waiting.pop((request["kind"]["kind"], request["name"]), None)
        if kind is not None:
            kube.delete(kind, namespace, request["name"])
            kube.create(kind, namespace, foreign(kind, request["name"]))

    with intercepted(kube, namespace, tmp_path, ["UPDATE"], take_the_place):
        for kind, child in family:
            edit = {"metadata": {"labels": {"app.kubernetes.io/part-of": "elsewhere"}}}
            kube.patch(kind, namespace, child, edit)
        kube.until("each place has been taken", lambda: not waiting)
        kube.until(
            "the operator names each of them",
            lambda: (
                (message := condition(kube.status(namespace), "NameConflict").get("message", "")).count(
                    "kubectl"
                )
                == len(family)
                and all(f"{kind.name} {namespace}/{child} " in message for kind, child in family)
            ),
        )
    for kind, child in family:
        live = kube.get(kind, namespace, child)

        assert live is not None, f"{kind.name} {child}"
        assert OPERATOR not in {entry["manager"] for entry in live["metadata"]["managedFields"]}, live[
            "metadata"
        ]
        assert "labels" not in live["metadata"]

        kube.delete(kind, namespace, child)
    kube.until("the service serves again", partial(at_peace, kube, namespace))


def whereabouts(kube: Kube, namespace: str) -> dict[str, Any]:
    """Where a service is: its revisions and their attempts, its traffic, and its replicas."""
    status = kube.status(namespace)
    route = kube.get(kinds.HTTP_ROUTE, namespace, "digits") or {"spec": {"rules": [{"backendRefs": []}]}}
    backends = [backend for rule in route["spec"]["rules"] for backend in rule.get("backendRefs", [])]
    canary = status.get("canary", {})
    return {
        "stable": status.get("stable"),
        "canary": {key: canary.get(key) for key in ("id", "revision", "step", "weight", "verdict")},
        "weights": {backend["name"]: backend["weight"] for backend in backends},
        "replicas": {
            found["metadata"]["name"]: found["spec"]["replicas"]
            for found in kube.list(kinds.DEPLOYMENT, namespace)
        },
        "ready": holds(status, "Ready"),
        "conflict": condition(status, "NameConflict").get("message"),
    }


def uids(kube: Kube, namespace: str, family: list[tuple[Kind, str]]) -> set[str]:
    """The uids of these children and of the pods."""
    found = [live for kind, name in family if (live := kube.get(kind, namespace, name))]
    return {live["metadata"]["uid"] for live in [*found, *kube.list(kinds.POD, namespace)]}


def owners(kube: Kube, namespace: str, family: list[tuple[Kind, str]]) -> set[str]:
    """The uids of these children's owners."""
    found = [live for kind, name in family if (live := kube.get(kind, namespace, name))]
    return {
        owner["uid"] for live in found for owner in live["metadata"].get("ownerReferences", [{"uid": ""}])
    }


def exported(live: Manifest) -> Manifest:
    """What a backup keeps of an object for a cluster in which nothing of it is left: no status, no owners."""
    metadata = {
        key: live["metadata"][key] for key in ("name", "labels", "annotations") if key in live["metadata"]
    }
    kept = {key: value for key, value in live.items() if key not in ("status", "metadata")} | {
        "metadata": metadata
    }
    if live["kind"] == "Service":
        kept["spec"] = {key: value for key, value in live["spec"].items() if not key.startswith("clusterIP")}
    return kept


@pytest.mark.lengthy
def test_orphans_and_restores_end_where_they_were(kube: Kube, namespace: str) -> None:
    """In mid-canary: deleted with `--cascade=orphan` and applied again; then exported, deleted and restored."""
    host = f"{namespace}.example.com"
    stable = first_revision(kube, namespace, web_service(host=host))
    second = web_service(version="2", host=host)
    attempt = canary_at_step(kube, namespace, second)
    family = children("digits", stable, attempt.split("-")[0])
    kube.until(
        "the canary waits for its promotion",
        lambda: kube.status(namespace)["canary"].get("verdict") == "WaitingForPromotion",
    )
    before, objects = whereabouts(kube, namespace), uids(kube, namespace, family)

    kube.kubectl("delete", "infsvc", "-n", namespace, "digits", "--cascade=orphan")
    assert owners(kube, namespace, family) == {""}
    kube.apply(namespace, second)
    kube.until(
        "all children are adopted",
        lambda: owners(kube, namespace, family) == {kube.service(namespace)["metadata"]["uid"]},
    )
    kube.until(f"the service is where it was: {before}", lambda: whereabouts(kube, namespace) == before)
    assert uids(kube, namespace, family) == objects

    backup = [exported(live) for kind, name in family if (live := kube.get(kind, namespace, name))]
    service = exported(kube.service(namespace))
    kube.delete(kinds.INFERENCE_SERVICE, namespace, "digits")
    kube.until("everything is deleted", lambda: not uids(kube, namespace, family))
    # By kubectl: the server compares an immutable record's bytes, and a backup is written by programs like it.
    for manifest in [*backup, service]:
        kube.kubectl("create", "-n", namespace, "-f", "-", stdin=manifest)
    kube.until(
        "all restored children are adopted",
        lambda: owners(kube, namespace, family) == {kube.service(namespace)["metadata"]["uid"]},
    )
    kube.until(f"the service is where it was: {before}", lambda: whereabouts(kube, namespace) == before)

    kube.label(namespace, "digits", promote=attempt)
    committed(kube, namespace, attempt)

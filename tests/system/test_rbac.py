"""The shipped roles grant exactly what is asked of the API server, by its audit log since the cluster's start."""

from __future__ import annotations

import json
from functools import partial

import pytest

from localcluster.cluster import Cluster
from serving_io import kinds
from serving_io.kinds import Kind
from tests.system.authorization import Check, asked, granted
from tests.system.failures import restart_program
from tests.system.kube import Kube, Manifest, condition
from tests.system.services import canary_at_step, first_revision, web_service

PROGRAMS = ("serving-operator", "serving-autoscaler")
REVISION_CHILDREN = (
    kinds.DEPLOYMENT,
    kinds.SERVICE,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.INFERENCE_AUTOSCALER,
    kinds.CONTROLLER_REVISION,
)
RECORDS_KEPT = 10


@pytest.mark.lengthy
def test_roles_are_what_is_asked(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """Each grant is used and each request granted, after names taken, drift, a rollout, old records and KEDA."""
    with_twin_names(kube, namespace)
    with_drift_and_rollout(kube, namespace)
    with_old_records(kube, namespace)
    with_keda(kube)

    for program in PROGRAMS:
        checks = set(asked(program, cluster.audit_log))

        assert checks - granted(program) == set(), f"{program} asks for what its roles do not grant"
        assert granted(program) - checks == set(), f"the roles of {program} grant what it does not ask for"


def with_twin_names(kube: Kube, namespace: str) -> None:
    """Somebody else's objects have the names of a service's children: each is met by a create and a read."""
    first_revision(kube, namespace, web_service("learn", host=f"learn.{namespace}.example.com"))
    revision = kube.status(namespace, "learn")["stable"]["revision"]
    twins: dict[Kind, str] = {}
    for kind in (*REVISION_CHILDREN, kinds.HTTP_ROUTE):
        twins[kind] = f"twin-{revision}" if kind in REVISION_CHILDREN else "twin"
        found = kube.get(kind, namespace, twins[kind].replace("twin", "learn"))
        assert found is not None, f"{kind.name} of learn"
        kube.kubectl("create", "-n", namespace, "-f", "-", stdin=foreign(found, twins[kind]))
    manifest = web_service("twin", host=f"twin.{namespace}.example.com")
    kube.apply(namespace, manifest)
    while twins:
        named = kube.until(
            f"one of {[*twins.values()]} is reported", partial(in_the_way, kube, namespace, twins)
        )
        for kind in named:
            kube.delete(kind, namespace, twins.pop(kind))
    first_revision(kube, namespace, manifest)


def in_the_way(kube: Kube, namespace: str, twins: dict[Kind, str]) -> list[Kind]:
    """The kinds of the objects that the service says it cannot have."""
    said = condition(kube.status(namespace, "twin"), "NameConflict").get("message", "")
    return [kind for kind, name in twins.items() if f"{kind.name} {namespace}/{name} " in said]


def foreign(child: Manifest, name: str) -> Manifest:
    """An object of the same kind, by somebody else."""
    made = {key: value for key, value in child.items() if key != "status"}
    if made["kind"] == kinds.SERVICE.name:
        made["spec"] = {"ports": [{"port": 80}]}
    return made | {"metadata": {"name": name, "namespace": child["metadata"]["namespace"]}}


def with_drift_and_rollout(kube: Kube, namespace: str) -> None:
    """Each child has a label edited, then its owner removed, and gets both back; then a canary comes and goes."""
    host = f"learn.{namespace}.example.com"
    selector = "serving-operator.dev/service=learn"
    family = [
        (kind, child["metadata"]["name"])
        for kind in (*REVISION_CHILDREN, kinds.HTTP_ROUTE)
        for child in kube.list(kind, namespace, selector)
    ]
    # In turn: without an owner, an object that has another label is not ours to take back.
    for edit in ({"labels": {"app.kubernetes.io/part-of": "something-else"}}, {"ownerReferences": None}):
        for kind, name in family:
            kube.patch(kind, namespace, name, {"metadata": edit})
        kube.until(
            f"{[*edit]} of all children are put back",
            lambda: all(put_back(kube, kind, namespace, name) for kind, name in family),
        )
    attempt = canary_at_step(kube, namespace, web_service("learn", "2", host=host))
    kube.label(namespace, "learn", abort=attempt)
    kube.until(
        "the canary's children are gone",
        lambda: all(len(kube.list(kind, namespace, selector)) == 1 for kind in REVISION_CHILDREN[:1]),
    )


def put_back(kube: Kube, kind: Kind, namespace: str, name: str) -> bool:
    """Whether the child has its owner, and the label that was edited is as the operator wants it."""
    metadata: Manifest = (kube.get(kind, namespace, name) or {}).get("metadata", {})
    labels = metadata.get("labels", {})
    return labels.get("app.kubernetes.io/part-of") == "serving-operator" and "ownerReferences" in metadata


def with_old_records(kube: Kube, namespace: str) -> None:
    """More candidates for a first revision than records are kept: the oldest records go."""
    selector = "serving-operator.dev/service=many"
    for version in range(RECORDS_KEPT + 3):
        kube.apply(
            namespace,
            web_service(
                "many",
                str(version),
                host=f"many.{namespace}.example.com",
                spec__predictor__nodeSelector={"serving-operator.dev/nowhere": "true"},
            ),
        )
        kube.until(
            f"version {version} has its record",
            partial(recorded, kube, namespace, selector, f'"value": "{version}"'),
        )
    kube.until(
        "the oldest records are gone",
        lambda: len(kube.list(kinds.CONTROLLER_REVISION, namespace, selector)) <= RECORDS_KEPT,
    )


def recorded(kube: Kube, namespace: str, selector: str, text: str) -> bool:
    """Whether some revision's record holds a text."""
    return any(
        text in json.dumps(record) for record in kube.list(kinds.CONTROLLER_REVISION, namespace, selector)
    )


def with_keda(kube: Kube) -> None:
    """KEDA's kind is installed: the autoscaler asks who else scales."""
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "scaledobjects.keda.sh"},
        "spec": {
            "group": "keda.sh",
            "names": {"kind": "ScaledObject", "plural": "scaledobjects"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1alpha1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                    },
                }
            ],
        },
    }
    kube.kubectl("apply", "-f", "-", stdin=crd)
    try:
        kube.established("scaledobjects.keda.sh")
        since = kube.cluster.audit_log.stat().st_size
        restart_program(kube, "serving-autoscaler")
        wanted = {Check("keda.sh", "scaledobjects", verb) for verb in ("list", "watch")}
        kube.until(
            "the autoscaler asks for ScaledObjects",
            lambda: wanted <= set(asked("serving-autoscaler", kube.cluster.audit_log, since)),
        )
    finally:
        kube.kubectl("delete", "crd", "scaledobjects.keda.sh")

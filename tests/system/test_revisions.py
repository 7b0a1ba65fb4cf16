"""What makes a revision and what does not: only a change of what shapes the pod does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serving_io import kinds
from tests.api.manifests import GONE, edited
from tests.system.kube import Kube, Manifest, holds
from tests.system.services import first_revision, web_service


def made(kube: Kube, namespace: str) -> tuple[set[str], set[str], set[str]]:
    """The uids of the revisions' records, of their ReplicaSets and of the pods."""
    records, sets, pods = (
        {found["metadata"]["uid"] for found in kube.list(kind, namespace)}
        for kind in (kinds.CONTROLLER_REVISION, kinds.REPLICA_SET, kinds.POD)
    )
    return records, sets, pods


def acted_on(kube: Kube, namespace: str, name: str = "digits") -> bool:
    """Whether the operator has decided on the service as it is now, and needs nothing more."""
    service = kube.service(namespace, name)
    status = service.get("status", {})
    return (
        status.get("observedGeneration") == service["metadata"]["generation"]
        and holds(status, "UpToDate")
        and not status.get("canary")
    )


def test_edits_that_shape_no_pod(kube: Kube, namespace: str) -> None:
    """Bounds, timeout, objective, scaling, rollout, route and another spelling of a quantity make no revision."""
    host = f"{namespace}.example.com"
    limits = "spec.predictor.container.resources.limits.cpu"
    first = edited(web_service(host=host), {limits: "1"})
    first_revision(kube, namespace, first)
    before = made(kube, namespace)
    name = kube.list(kinds.CONTROLLER_REVISION, namespace)[0]["metadata"]["name"]

    def autoscaler() -> Manifest:
        found = kube.get(kinds.INFERENCE_AUTOSCALER, namespace, name)
        assert found is not None
        spec: Manifest = found["spec"]
        return spec

    def route() -> Manifest:
        found = kube.get(kinds.HTTP_ROUTE, namespace, "digits")
        assert found is not None
        spec: Manifest = found["spec"]
        return spec

    table: list[tuple[str, Any, Any]] = [
        ("spec.predictor.maxReplicas", 3, lambda: autoscaler()["maxReplicas"] == 3),
        ("spec.predictor.timeout", 7, lambda: route()["rules"][0]["timeouts"]["request"] == "7s"),
        (
            "spec.objective.thresholdMilliseconds",
            500,
            lambda: autoscaler()["objective"]["thresholdMilliseconds"] == 500,
        ),
        ("spec.scaling.scaleDownHoldSeconds", 60, lambda: autoscaler()["scaleDownHoldSeconds"] == 60),
        ("spec.rollout.steps", [{"weight": 50}], lambda: True),
        ("spec.route.hostnames", [host, f"b.{host}"], lambda: route()["hostnames"] == [host, f"b.{host}"]),
        (limits, "1000m", lambda: True),
        ("spec.predictor.nodeSelector", {}, lambda: True),
    ]
    service = first
    for path, value, effective in table:
        generation = kube.service(namespace)["metadata"]["generation"]
        service = edited(service, {path: value})
        kube.apply(namespace, service)
        kube.until(f"{path} is decided on", lambda: acted_on(kube, namespace))
        kube.until(f"{path} is in force", effective)

        assert kube.service(namespace)["metadata"]["generation"] > generation, f"{path} was no edit"
        assert made(kube, namespace) == before, path

    # More replicas are pods of the same revision, beside those that are there.
    kube.apply(namespace, edited(service, {"spec.predictor.minReplicas": 2}))
    kube.until("there are two pods", lambda: len(made(kube, namespace)[2]) == 2 and acted_on(kube, namespace))
    records, sets, pods = made(kube, namespace)

    assert (records, sets) == before[:2]
    assert before[2] < pods


CRD = "inferenceservices.serving-operator.dev"
PREDICTOR = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/predictor/properties"
NEW_FIELDS = (f"{PREDICTOR}/laterField", f"{PREDICTOR}/container/properties/laterField")
SERVICES = 50


def nowhere(name: str) -> Manifest:
    """A service whose pods no node takes, so that many of them cost nothing."""
    external = {
        "spec.scaling": {"class": "External", "external": {"replicas": 1}},
        "spec.predictor.nodeSelector": {"example.com/node": "none"},
        "spec.predictor.minReplicas": GONE,
        "spec.predictor.maxReplicas": GONE,
        "spec.objective": GONE,
    }
    return edited(web_service(name), external)


@pytest.mark.disruptive
def test_a_new_defaulted_field_makes_no_revision(kube: Kube, namespace: str) -> None:
    """A field with a default appears on 50 stored services without a write, and starts nothing."""
    names = [f"digits-{index}" for index in range(SERVICES)]
    items = [nowhere(name) for name in names]
    kube.kubectl(
        "apply", "-n", namespace, "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": items}
    )

    def started() -> bool:
        return (
            len(kube.list(kinds.CONTROLLER_REVISION, namespace)) == SERVICES
            and len(kube.list(kinds.POD, namespace)) == SERVICES
            and all(
                service.get("status", {}).get("canary")
                for service in kube.list(kinds.INFERENCE_SERVICE, namespace)
            )
        )

    kube.until("each service has its first revision", started)
    before = made(kube, namespace)
    field = {"type": "string", "default": "on"}
    change_crd(kube, *({"op": "add", "path": path, "value": field} for path in NEW_FIELDS))
    try:
        kube.until(
            "the default appears",
            lambda: all(
                service["spec"]["predictor"].get("laterField") == "on"
                and service["spec"]["predictor"]["container"].get("laterField") == "on"
                for service in kube.list(kinds.INFERENCE_SERVICE, namespace)
            ),
        )
        for name in names:  # the operator need not have noticed so far: now it must
            kube.patch(kinds.INFERENCE_SERVICE, namespace, name, {"spec": {"predictor": {"timeout": 6}}})
        kube.until(
            "the operator has decided on each service as it is now",
            lambda: all(
                service["status"]["observedGeneration"] == service["metadata"]["generation"] > 1
                for service in kube.list(kinds.INFERENCE_SERVICE, namespace)
            ),
        )

        assert made(kube, namespace) == before
    finally:
        change_crd(kube, *({"op": "remove", "path": path} for path in NEW_FIELDS))


def change_crd(kube: Kube, *operations: Manifest) -> None:
    """Change the installed CRD of services."""
    kube.kubectl("patch", "crd", CRD, "--type=json", "-p", json.dumps(operations))
    kube.until("the API server serves them anew", lambda: kube.list(kinds.INFERENCE_SERVICE))

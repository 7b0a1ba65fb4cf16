"""Whose an object with a child's name is."""

from __future__ import annotations

from typing import Any

import pytest

from serving_api.names import ServiceKey
from serving_operator.children.services import revision_service
from serving_operator.ensure import conflict_message
from serving_operator.ownership import Ownership, classify, removal_command, replicas_owners, same_content
from serving_operator.world import Manifest
from tests.operator.children.services import recorded

KEY = ServiceKey("team", "llama")
LABELS = {"app.kubernetes.io/managed-by": "serving-operator", "serving-operator.dev/service": "llama"}


def owner(**more: Any) -> Manifest:
    """A controller reference to the service."""
    return {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "InferenceService",
        "name": "llama",
        "uid": "uid-of-llama",
        "controller": True,
    } | more


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"ownerReferences": [owner()]}, Ownership.OURS),
        ({"ownerReferences": [owner(uid="old")]}, Ownership.WAIT_FOR_GARBAGE_COLLECTION),
        ({"ownerReferences": [owner(uid="old", name="other")]}, Ownership.FOREIGN),
        ({"ownerReferences": [owner(uid="x", kind="Deployment", apiVersion="apps/v1")]}, Ownership.FOREIGN),
        (
            {"ownerReferences": [owner(uid="x", apiVersion="serving.kserve.io/v1beta1")], "labels": LABELS},
            Ownership.FOREIGN,
        ),
        ({"labels": LABELS}, Ownership.ADOPTABLE),
        ({"labels": LABELS, "ownerReferences": [owner(controller=False)]}, Ownership.ADOPTABLE),
        ({"labels": LABELS | {"serving-operator.dev/service": "other"}}, Ownership.FOREIGN),
        ({"labels": {"serving-operator.dev/service": "llama"}}, Ownership.FOREIGN),
        ({}, Ownership.FOREIGN),
    ],
)
def test_owner_is_told_by_controller_then_by_labels(metadata: Manifest, expected: Ownership) -> None:
    """A controller decides by its uid; without one, only all our labels make an object ours to adopt."""
    assert classify({"metadata": metadata}, "uid-of-llama", KEY) is expected


def test_same_content_forgets_who_owns_it() -> None:
    """What a restore left is adopted if it is what we would make, whoever wrote it; anything else is not."""
    made, record = recorded()
    wanted = revision_service(made, record)
    orphan = wanted | {"metadata": {k: v for k, v in wanted["metadata"].items() if k != "ownerReferences"}}

    assert same_content(orphan, wanted)
    assert not same_content(orphan | {"spec": wanted["spec"] | {"type": "NodePort"}}, wanted)


def test_command_names_the_object() -> None:
    """The command that clears the way can be copied."""
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "llama", "namespace": "team"},
    }
    pvc = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "llama", "namespace": "team"}}

    assert removal_command(route) == "kubectl -n team delete httproute.gateway.networking.k8s.io llama"
    assert removal_command(pvc) == "kubectl -n team delete service llama"


def test_whoever_makes_the_object_is_named_and_it_is_not_to_be_deleted() -> None:
    """KServe would make its HTTPRoute again, and its callers would be without it meanwhile."""
    theirs = owner(uid="x", apiVersion="serving.kserve.io/v1beta1")
    metadata = {"name": "llama", "namespace": "team"}
    route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata}

    alone, made = (
        conflict_message(route | {"metadata": metadata | more})
        for more in ({}, {"ownerReferences": [theirs]})
    )

    assert removal_command(route) in alone
    assert (
        "made by InferenceService llama (serving.kserve.io/v1beta1); give this service another name" in made
    )
    assert "kubectl" not in made


def test_owners_of_replicas_are_others_than_us() -> None:
    """The hand-over of the replicas is seen by the autoscaler's entry, not by our own."""
    fields = {"f:spec": {"f:replicas": {}}}
    live = {
        "metadata": {
            "managedFields": [
                {"manager": "serving-operator", "fieldsV1": fields},
                {"manager": "serving-autoscaler", "subresource": "scale", "fieldsV1": fields},
                {"manager": "kube-controller-manager", "fieldsV1": {"f:status": {}}},
            ]
        }
    }

    assert replicas_owners(live) == {"serving-autoscaler"}

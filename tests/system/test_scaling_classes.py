"""Classes and modes of scaling: who sets the number of replicas, through a rollout and across a change of mode."""

from __future__ import annotations

from typing import Any

import pytest

from serving_api.names import AUTOSCALER, OPERATOR
from serving_io import kinds
from tests.api.manifests import GONE
from tests.system.kube import Kube, Manifest
from tests.system.recording import Recording, owners
from tests.system.services import canary_at_step, committed, first_revision, web_service


def numbers(kube: Kube, namespace: str) -> dict[str, int]:
    """The replicas that each Deployment asks for, by revision."""
    return {
        found["metadata"]["name"].rpartition("-")[2]: found["spec"]["replicas"]
        for found in kube.list(kinds.DEPLOYMENT, namespace)
    }


@pytest.mark.lengthy
def test_advise_takes_a_canary_through_promotion(kube: Kube, namespace: str) -> None:
    """The operator alone sets the replicas; the autoscaler says what it would do."""
    host = f"{namespace}.example.com"
    first, second = (
        web_service(version=version, host=host, spec__scaling__mode="Advise") for version in ("1", "2")
    )
    with Recording(kube, kinds.DEPLOYMENT, namespace) as recording:
        first_revision(kube, namespace, first)
        attempt = canary_at_step(kube, namespace, second)
        kube.label(namespace, "digits", promote=attempt)
        committed(kube, namespace, attempt)
    (advice,) = kube.list(kinds.INFERENCE_AUTOSCALER, namespace)

    assert {owners(version) for version in recording.versions()} == {frozenset({OPERATOR})}
    assert advice["spec"]["mode"] == "Advise"
    assert advice["status"]["lastDecision"]


EXTERNAL: dict[str, Any] = {
    "spec__scaling": {"class": "External", "external": {"replicas": 2}},
    "spec__predictor__minReplicas": GONE,
    "spec__predictor__maxReplicas": GONE,
    "spec__objective": GONE,
}


@pytest.mark.lengthy
def test_external_takes_a_canary_through_promotion(kube: Kube, namespace: str) -> None:
    """Through /scale a person raises and a HorizontalPodAutoscaler lowers: up at once, down after the commit.

    The cluster has no metrics API; without metrics a HorizontalPodAutoscaler still holds its own bounds, and that is
    what moves the number here.
    """
    host = f"{namespace}.example.com"
    service = web_service(host=host, **EXTERNAL)
    stable = first_revision(kube, namespace, service)
    assert numbers(kube, namespace) == {stable: 2}
    attempt = canary_at_step(kube, namespace, web_service(version="2", host=host, **EXTERNAL))
    canary = attempt.split("-")[0]
    assert numbers(kube, namespace) == {stable: 2, canary: 1}

    kube.kubectl("scale", "-n", namespace, "infsvc/digits", "--replicas=4")
    kube.until("stable follows at once", lambda: numbers(kube, namespace) == {stable: 4, canary: 1})
    kube.create(kinds.HORIZONTAL_POD_AUTOSCALER, namespace, scaler(least=2, most=3))
    kube.until(
        "the HorizontalPodAutoscaler writes the number",
        lambda: kube.service(namespace)["spec"]["scaling"]["external"]["replicas"] == 3,
    )
    kube.until(
        "the operator has seen it",
        lambda: (
            kube.status(namespace)["observedGeneration"] == kube.service(namespace)["metadata"]["generation"]
        ),
    )
    assert numbers(kube, namespace) == {stable: 4, canary: 1}

    kube.label(namespace, "digits", promote=attempt)
    status = committed(kube, namespace, attempt)
    kube.until("the new revision has the number", lambda: numbers(kube, namespace) == {canary: 3})
    pods = kube.list(kinds.POD, namespace, status["selector"])
    conditions = {
        entry["type"]: entry["status"]
        for entry in kube.list(kinds.HORIZONTAL_POD_AUTOSCALER, namespace)[0]["status"]["conditions"]
    }

    assert conditions["AbleToScale"] == "True"
    assert {pod["metadata"]["labels"]["serving-operator.dev/revision"] for pod in pods} == {canary}
    assert kube.list(kinds.INFERENCE_AUTOSCALER, namespace) == []
    kube.until("the scale subresource counts them", lambda: kube.status(namespace)["replicas"] == 3)


def scaler(least: int, most: int) -> Manifest:
    """A HorizontalPodAutoscaler of the service itself."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "digits"},
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "serving-operator.dev/v1alpha1",
                "kind": "InferenceService",
                "name": "digits",
            },
            "minReplicas": least,
            "maxReplicas": most,
        },
    }


def test_changes_of_mode_change_no_number(kube: Kube, namespace: str) -> None:
    """Auto → Advise → Auto keeps more replicas than needed; what follows is the autoscaler's own explained decision."""
    host = f"{namespace}.example.com"
    hold: dict[str, Any] = {"spec__scaling__scaleDownHoldSeconds": 3600}
    revision = first_revision(kube, namespace, web_service(host=host, spec__predictor__minReplicas=2, **hold))

    def live() -> Manifest:
        (found,) = kube.list(kinds.DEPLOYMENT, namespace)
        return found

    def mode() -> Any:
        (found,) = kube.list(kinds.INFERENCE_AUTOSCALER, namespace)
        return found["spec"]["mode"]

    kube.apply(namespace, web_service(host=host, **hold))
    kube.until("the autoscaler has the number alone", lambda: owners(live()) == {AUTOSCALER})
    with Recording(kube, kinds.DEPLOYMENT, namespace) as recording:
        kube.apply(namespace, web_service(host=host, spec__scaling__mode="Advise", **hold))
        kube.until("the operator has the number", lambda: mode() == "Advise" and OPERATOR in owners(live()))
        kube.apply(namespace, web_service(host=host, **hold))
        kube.until("the autoscaler has it again", lambda: mode() == "Auto" and owners(live()) == {AUTOSCALER})

        assert list(recording.changes()) == []
        assert live()["spec"]["replicas"] == 2

        kube.apply(namespace, web_service(host=host, spec__scaling__scaleDownHoldSeconds=10))
        kube.until("the autoscaler lowers the number", lambda: live()["spec"]["replicas"] == 1)
        (change,) = recording.changes()
    said = [
        event["note"]
        for event in kube.list(kinds.EVENT, namespace)
        if event["regarding"]["name"] == f"digits-{revision}" and event["reason"].startswith("Scal")
    ]

    assert change.owners == {AUTOSCALER}
    assert said, [event["reason"] for event in kube.list(kinds.EVENT, namespace)]

"""Classes and modes of scaling: who sets the number of replicas, through a rollout and across a change of mode."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest

from serving_api.names import AUTOSCALER, OPERATOR
from serving_io import kinds
from tests.api.manifests import GONE
from tests.system.audit import Audit
from tests.system.kube import Kube, Manifest
from tests.system.pod_metrics import pod_metrics_api, use_memory
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
    "spec__scaling": {"class": "External", "external": {"replicas": 1}},
    "spec__predictor__minReplicas": GONE,
    "spec__predictor__maxReplicas": GONE,
    "spec__objective": GONE,
}


@pytest.mark.lengthy
def test_external_takes_a_canary_through_promotion(kube: Kube, namespace: str) -> None:
    """A person and then a HorizontalPodAutoscaler set the number: it rises at once, and falls after the commit.

    Real are the HorizontalPodAutoscaler's controller, its choice of pods by status.selector, its sums and its writes
    through /scale. What it reads of the pods' memory is said by the test.
    """
    host = f"{namespace}.example.com"
    stable = first_revision(kube, namespace, web_service(host=host, **EXTERNAL))
    assert numbers(kube, namespace) == {stable: 1}
    audit = Audit(kube.cluster)
    attempt = canary_at_step(kube, namespace, web_service(version="2", host=host, **EXTERNAL))
    canary = attempt.split("-")[0]
    assert numbers(kube, namespace) == {stable: 1, canary: 1}

    with pod_metrics_api(kube), Recording(kube, kinds.INFERENCE_SERVICE, namespace) as recording:
        kube.kubectl("scale", "-n", namespace, "infsvc/digits", "--replicas=2")
        kube.until("stable follows at once", lambda: numbers(kube, namespace) == {stable: 2, canary: 1})
        # (2 × 50 + 90) / 50, rounded up: both revisions are selected.
        use_memory(kube, pods(kube, namespace, stable, 2), 50)
        use_memory(kube, pods(kube, namespace, canary, 1), 90)
        kube.create(kinds.HORIZONTAL_POD_AUTOSCALER, namespace, SCALER)
        kube.until("stable follows the metric", lambda: numbers(kube, namespace) == {stable: 4, canary: 1})
        old = pods(kube, namespace, stable, 4)
        # 5 × 20 / 50. The canary's comes last: until then it is still 4.
        use_memory(kube, old, 20)
        use_memory(kube, pods(kube, namespace, canary, 1), 20)
        kube.until("the metric's fall has been written", lambda: asked(kube, namespace) == 2)
        kube.until(
            "the operator has seen it",
            lambda: (
                kube.status(namespace)["observedGeneration"]
                == kube.service(namespace)["metadata"]["generation"]
            ),
        )
        assert numbers(kube, namespace) == {stable: 4, canary: 1}

        kube.label(namespace, "digits", promote=attempt)
        committed(kube, namespace, attempt)
        kube.until("the new revision has the number", lambda: numbers(kube, namespace) == {canary: 2})
        # 2 × 20 / 50, rounded up: the old revision is not selected any more.
        use_memory(kube, old, 1000)
        use_memory(kube, pods(kube, namespace, canary, 2), 20)
        kube.until("stable follows its own metric", lambda: numbers(kube, namespace) == {canary: 1})
    recorded = [live["spec"]["scaling"]["external"]["replicas"] for live in recording.versions()]

    assert [number for number, _ in groupby(recorded)] == [1, 2, 4, 2, 1]
    assert [
        (write.verb, write.subresource)
        for write in audit.writes("horizontal-pod-autoscaler")
        if (write.namespace, write.resource) == (namespace, "inferenceservices") and write.code == 200
    ] == [("update", "scale")] * 3
    assert kube.list(kinds.INFERENCE_AUTOSCALER, namespace) == []
    kube.until("the scale subresource counts them", lambda: kube.status(namespace)["replicas"] == 1)


def asked(kube: Kube, namespace: str) -> Any:
    """The number that the service asks for."""
    return kube.service(namespace)["spec"]["scaling"]["external"]["replicas"]


def pods(kube: Kube, namespace: str, revision: str, number: int) -> list[Manifest]:
    """The pods of a revision, once there are so many."""
    found: list[Manifest] = kube.until(
        f"revision {revision} has {number} pods",
        lambda: (
            seen
            if len(seen := kube.list(kinds.POD, namespace, f"serving-operator.dev/revision={revision}"))
            == number
            else None
        ),
    )
    return found


SCALER: Manifest = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "digits"},
    "spec": {
        "scaleTargetRef": {
            "apiVersion": "serving-operator.dev/v1alpha1",
            "kind": "InferenceService",
            "name": "digits",
        },
        "minReplicas": 1,
        "maxReplicas": 10,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "50Mi"}},
            }
        ],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
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

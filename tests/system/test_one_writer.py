"""Each field has one writer: a service's spec the user, a Deployment's replicas whoever its mode says."""

from __future__ import annotations

import pytest

from serving_api.names import AUTOSCALER, OPERATOR
from serving_io import kinds
from tests.system.audit import Audit
from tests.system.kube import Kube, Manifest, holds
from tests.system.recording import Recording, owners
from tests.system.services import canary_at_step, committed, first_revision, web_service

USER = "kubectl-client-side-apply"
SYSTEM = "serving-system"


def deployment(kube: Kube, namespace: str) -> Manifest:
    """The only Deployment."""
    (found,) = kube.list(kinds.DEPLOYMENT, namespace)
    return found


@pytest.mark.lengthy
def test_writers_of_a_rollout(kube: Kube, namespace: str) -> None:
    """From the first apply to a promoted canary: by managedFields at every version, and by the audit log."""
    host = f"{namespace}.example.com"
    audit = Audit(kube.cluster)
    with (
        Recording(kube, kinds.DEPLOYMENT, namespace) as deployments,
        Recording(kube, kinds.INFERENCE_SERVICE, namespace) as services,
    ):
        revision = first_revision(kube, namespace, web_service(host=host))
        kube.apply(namespace, web_service(host=host, spec__predictor__minReplicas=2))
        kube.until(
            "the autoscaler follows the bound", lambda: deployment(kube, namespace)["spec"]["replicas"] == 2
        )
        # The operator writes the Deployment again, after the hand-over.
        kube.patch(kinds.DEPLOYMENT, namespace, f"digits-{revision}", {"spec": {"revisionHistoryLimit": 9}})
        kube.until(
            "the edit is put back", lambda: deployment(kube, namespace)["spec"]["revisionHistoryLimit"] != 9
        )
        second = web_service(version="2", host=host, spec__predictor__minReplicas=2)
        attempt = canary_at_step(kube, namespace, second)
        kube.label(namespace, "digits", promote=attempt)
        committed(kube, namespace, attempt)
    changes = list(deployments.changes())
    users_of_spec = {
        entry["manager"]
        for version in services.versions()
        for entry in version["metadata"]["managedFields"]
        if "f:spec" in entry["fieldsV1"]
    }
    writes = [write for write in audit.writes() if write.namespace == namespace]

    assert users_of_spec == {USER}
    assert {
        write.subresource
        for write in writes
        if write.resource == "inferenceservices" and "serving-system" in write.user
    } == {"status"}
    assert changes, "no number was ever changed: nothing was shown"
    assert all(AUTOSCALER in change.owners for change in changes), changes
    assert AUTOSCALER in owners(deployment(kube, namespace))
    assert {
        (write.user.rpartition(":")[2], write.verb) for write in writes if write.subresource == "scale"
    } == {(AUTOSCALER, "patch")}


@pytest.mark.disruptive
def test_number_before_the_hand_over(kube: Kube, namespace: str) -> None:
    """Until the autoscaler takes it, the number is anybody's but the operator's; the hand-over keeps it."""
    scale_autoscaler(kube, 0)
    try:
        with Recording(kube, kinds.DEPLOYMENT, namespace) as recording:
            kube.apply(
                namespace,
                web_service(host=f"{namespace}.example.com", spec__scaling__scaleDownHoldSeconds=3600),
            )
            kube.until("there is a Deployment", lambda: kube.list(kinds.DEPLOYMENT, namespace))
            name = deployment(kube, namespace)["metadata"]["name"]

            assert owners(deployment(kube, namespace)) == {OPERATOR}

            kube.kubectl("scale", "-n", namespace, f"deployment/{name}", "--replicas=3")
            kube.patch(kinds.DEPLOYMENT, namespace, name, {"spec": {"revisionHistoryLimit": 9}})
            kube.until(
                "the operator writes the Deployment",
                lambda: deployment(kube, namespace)["spec"]["revisionHistoryLimit"] != 9,
            )
            before = list(recording.changes())

            assert [(change.before, change.after) for change in before] == [(1, 3)]
            assert OPERATOR not in before[0].owners

            scale_autoscaler(kube, 1)
            kube.until(
                "the autoscaler has the number",
                lambda: AUTOSCALER in owners(deployment(kube, namespace)),
            )

            assert list(recording.changes()) == before

            kube.until("the service is ready", lambda: holds(kube.status(namespace), "Ready"))
            later = list(recording.changes())[len(before) :]

            assert all(AUTOSCALER in change.owners for change in later), later
    finally:
        scale_autoscaler(kube, 1)


def scale_autoscaler(kube: Kube, replicas: int) -> None:
    """Run so many autoscalers, and wait until they are there or gone."""
    kube.kubectl("scale", "-n", SYSTEM, "deployment/serving-autoscaler", f"--replicas={replicas}")

    def settled() -> bool:
        found = kube.get(kinds.DEPLOYMENT, SYSTEM, "serving-autoscaler") or {}
        return bool(found.get("status", {}).get("readyReplicas", 0) == replicas)

    kube.until(f"{replicas} autoscalers are ready", settled)

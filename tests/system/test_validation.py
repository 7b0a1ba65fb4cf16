"""The API server itself refuses what would not work, names the field, and says what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from serving_io import kinds
from tests.api.manifests import ACCEPTED, REFUSED, Refused, edited, service
from tests.system.harness import Kube


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.why)
def test_refused(kube: Kube, case: Refused) -> None:
    """An invalid manifest is refused with the field and the remedy."""
    manifest = edited(service(), case.edits)
    done = kube.kubectl(
        "create",
        "-n",
        "default",
        "--dry-run=server",
        "--validate=false",
        "-f",
        "-",
        stdin=manifest,
        check=False,
    )

    assert done.returncode != 0, "accepted"
    assert case.field in done.stderr
    assert case.says in done.stderr


@pytest.mark.parametrize(("why", "edits"), ACCEPTED, ids=[why for why, _ in ACCEPTED])
def test_accepted(kube: Kube, why: str, edits: dict[str, Any]) -> None:
    """A valid variation is accepted."""
    kube.kubectl("create", "-n", "default", "--dry-run=server", "-f", "-", stdin=edited(service(), edits))


def test_every_field_is_explained(kube: Kube) -> None:
    """`kubectl explain` has a sentence for the fields that users look up."""
    for field in (
        "infsvc.spec.predictor.maxReplicas",
        "infsvc.spec.rollout.steps.weight",
        "infas.spec.share.reservePercent",
    ):
        said = kube.kubectl("explain", field).stdout

        assert "DESCRIPTION:" in said
        assert "<empty>" not in said


def test_object_stored_before_a_rule_was_tightened(kube: Kube, namespace: str) -> None:
    """It can still be labelled and have its status written: rules sit on fields, not at the root."""
    crd = kube.get(kinds.CUSTOM_RESOURCE_DEFINITION, None, "inferenceservices.serving-operator.dev")
    assert crd is not None
    timeout = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][
        "predictor"
    ]["properties"]["timeout"]
    paused = edited(
        service(), {"spec.predictor.timeout": 3600, "spec.predictor.container.image": "example/absent:1"}
    )
    kube.apply(namespace, paused)
    tightened = [
        {
            "op": "replace",
            "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/predictor/properties/timeout/maximum",
            "value": 600,
        }
    ]
    restored = [tightened[0] | {"value": timeout["maximum"]}]
    import json

    kube.kubectl("patch", "crd", crd["metadata"]["name"], "--type=json", "-p", json.dumps(tightened))
    try:
        kube.until(
            "the tightened rule refuses a new object",
            lambda: (
                "less than or equal to 600"
                in kube.kubectl(
                    "create",
                    "-n",
                    namespace,
                    "--dry-run=server",
                    "-f",
                    "-",
                    stdin=edited(paused, {"metadata.name": "other"}),
                    check=False,
                ).stderr
            ),
        )
        kube.label(namespace, "digits", abort="0123abcd-1")
        said = kube.until(
            "the operator writes the status of the old object",
            lambda: next(
                (c for c in kube.status(namespace).get("conditions", []) if c["type"] == "CommandIgnored"),
                None,
            ),
        )
    finally:
        kube.kubectl("patch", "crd", crd["metadata"]["name"], "--type=json", "-p", json.dumps(restored))

    assert said["status"] == "True"

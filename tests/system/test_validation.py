"""The API server itself refuses what would not work, names the field, and says what is allowed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.manifests import ACCEPTED, REFUSED, Refused, edited, service
from tests.system.kube import Kube, holds


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


TIMEOUT = (
    "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/predictor/properties/timeout/maximum"
)
CRD = "inferenceservices.serving-operator.dev"


def limit_timeout(kube: Kube, maximum: int) -> None:
    """Change the rule on predictor.timeout in the installed CRD."""
    kube.kubectl(
        "patch",
        "crd",
        CRD,
        "--type=json",
        "-p",
        json.dumps([{"op": "replace", "path": TIMEOUT, "value": maximum}]),
    )


@pytest.mark.disruptive
def test_object_stored_before_a_rule_was_tightened(kube: Kube, namespace: str) -> None:
    """It can still be labelled and have its status written: rules sit on fields, not at the root."""
    old = edited(service(), {"spec.predictor.timeout": 3600})
    kube.apply(namespace, old)
    limit_timeout(kube, 600)
    try:
        new = edited(old, {"metadata.name": "other"})
        kube.until(
            "the tightened rule refuses a new object",
            lambda: (
                "less than or equal to 600"
                in kube.kubectl(
                    "create", "-n", namespace, "--dry-run=server", "-f", "-", stdin=new, check=False
                ).stderr
            ),
        )
        kube.label(namespace, "digits", abort="0123abcd-1")
        kube.until(
            "the operator writes the status of the old object",
            lambda: holds(kube.status(namespace), "CommandIgnored"),
        )
    finally:
        limit_timeout(kube, 3600)

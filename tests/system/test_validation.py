"""The API server itself refuses what would not work, names the field, and says what is allowed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from serving_io.kinds import Kind
from tests.api.manifests import ACCEPTED, REFUSED, REFUSED_AUTOSCALERS, Refused, autoscaler, edited, service
from tests.system.kube import Kube, Manifest
from tests.system.services import canary_at_step, first_revision, web_service


@pytest.mark.parametrize(
    ("valid", "case"),
    [(service(), case) for case in REFUSED] + [(autoscaler(), case) for case in REFUSED_AUTOSCALERS],
    ids=lambda item: item.why if isinstance(item, Refused) else item["kind"],
)
def test_refused(kube: Kube, valid: Manifest, case: Refused) -> None:
    """An invalid manifest is refused with the field and the remedy."""
    manifest = edited(valid, case.edits)
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


@pytest.mark.parametrize(("kind", "name"), [("InferenceService", "infsvc"), ("InferenceAutoscaler", "infas")])
def test_every_field_is_explained(kube: Kube, kind: str, name: str) -> None:
    """`kubectl explain` knows every field of the API, and each has a description."""
    served = json.loads(kube.kubectl("get", "--raw", "/openapi/v3/apis/serving-operator.dev/v1alpha1").stdout)
    schema = served["components"]["schemas"][f"dev.serving-operator.v1alpha1.{kind}"]
    descriptions = dict(described(schema))
    listed = explained(kube.kubectl("explain", name, "--recursive").stdout)

    assert {path for path in listed if not path.startswith("metadata.")} == descriptions.keys()
    assert [path for path, description in descriptions.items() if not description.strip()] == []


def described(schema: Manifest, parent: str = "") -> Iterator[tuple[str, str]]:
    """The path of each field below a schema, and its description."""
    for name, field in schema.get("properties", {}).items():
        path = f"{parent}{name}"
        yield path, field.get("description", "")
        for inner in (field, field.get("items"), field.get("additionalProperties")):
            if isinstance(inner, dict):
                yield from described(inner, f"{path}.")


def explained(text: str) -> set[str]:
    """The path of each field that `kubectl explain --recursive` lists, by indentation."""
    found, parents = set(), list[str]()
    for line in text.splitlines():
        if match := re.match(r"((?:  )+)(\w+)\t<", line):
            parents[len(match[1]) // 2 - 1 :] = [match[2]]
            found.add(".".join(parents))
    return found


CRD = Kind(
    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
SPEC = "/spec/versions/0/schema/openAPIV3Schema/properties/spec"


@contextmanager
def rules_tightened(kube: Kube) -> Iterator[None]:
    """The installed CRD allows a shorter predictor.timeout, and has one CEL rule more where it has its others."""
    name = "inferenceservices.serving-operator.dev"
    crd = kube.get(CRD, None, name)
    assert crd is not None
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

    def replace(maximum: int, rules: list[Manifest]) -> None:
        patch = [
            {
                "op": "replace",
                "path": f"{SPEC}/properties/predictor/properties/timeout/maximum",
                "value": maximum,
            },
            {"op": "replace", "path": f"{SPEC}/x-kubernetes-validations", "value": rules},
        ]
        kube.kubectl("patch", "crd", name, "--type=json", "-p", json.dumps(patch))

    rules = spec["x-kubernetes-validations"]
    rule = {"rule": "self.predictor.timeout < 600", "message": "be quick"}
    replace(600, [*rules, rule])
    try:
        yield
    finally:
        replace(spec["properties"]["predictor"]["properties"]["timeout"]["maximum"], rules)


@pytest.mark.disruptive
def test_object_stored_before_a_rule_was_tightened(kube: Kube, namespace: str) -> None:
    """Its attempt can still be aborted by label, with all writes that this takes: rules sit on fields, not at the root."""
    first, second = (
        web_service(version=version, host=f"{namespace}.example.com", spec__predictor__timeout=timeout)
        for version, timeout in (("1", 600), ("2", 3600))
    )
    stable = first_revision(kube, namespace, first)
    attempt = canary_at_step(kube, namespace, second)
    with rules_tightened(kube):
        for why, timeout in (("less than or equal to 600", 3600), ("be quick", 600)):
            new = edited(second, {"metadata.name": "other", "spec.predictor.timeout": timeout})
            kube.until(f"a new object is refused: {why}", partial(refused, kube, namespace, new, why))
        kube.label(namespace, "digits", abort=attempt)
        status = kube.until(
            "the operator has ended the attempt",
            lambda: None if (seen := kube.status(namespace)).get("canary") else seen,
        )

    assert [(entry["id"], entry["reason"]) for entry in status["rejected"]] == [(attempt, "AbortedByLabel")]
    assert [(command["kind"], command["id"]) for command in status["commands"]] == [("Abort", attempt)]
    assert status["stable"]["revision"] == stable


def refused(kube: Kube, namespace: str, manifest: Manifest, why: str) -> bool:
    """Whether a new object is refused for this reason."""
    done = kube.kubectl("create", "-n", namespace, "--dry-run=server", "-f", "-", stdin=manifest, check=False)
    return why in done.stderr

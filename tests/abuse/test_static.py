"""What can be seen of the abuse cases without running anything: schemas, manifests, lock files, and the table itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving_api import crd
from serving_api.predictor import STORAGE_FORMS
from tests.operator.children.security import violations
from tests.operator.children.services import recorded

ROOT = Path(__file__).parents[2]
SPECS = {
    kind: made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for kind, made in {
        "InferenceService": crd.inference_service(),
        "InferenceAutoscaler": crd.inference_autoscaler(),
        "ServingRuntime": crd.serving_runtime(),
        "ClusterServingRuntime": crd.cluster_serving_runtime(),
    }.items()
}
BASE = [
    document
    for path in sorted((ROOT / "manifests" / "base").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]


def fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of a schema with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from fields(child, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield from fields(schema[inner], f"{path}[]")


ALL = [entry for kind, spec in SPECS.items() for entry in fields(spec, kind)]


def test_no_field_asks_for_the_host() -> None:
    """There is no raw pod: no field is named like what would leave the restricted standard."""
    forbidden = r"\.(host\w+|privileged|capabilities|securityContext|initContainers|volumes|hostPath|seccomp\w*|procMount|sysctls|template)$"
    asked = [path for path, _ in ALL if re.search(forbidden, path) and not path.endswith(".hostnames")]

    assert asked == []


def test_only_a_routes_parent_names_a_namespace() -> None:
    """Every other reference is to an object of the service's own namespace."""
    named = {path for path, _ in ALL if re.search(r"[nN]amespace(s|Selector)?$", path)}

    assert {path.partition(".")[2] for path in named if "affinity" not in path} == {
        "route.parentRefs[].namespace"
    }


def test_every_pattern_begins_at_the_beginning() -> None:
    """A pattern that may match anywhere lets anything through."""
    patterns = {path: schema["pattern"] for path, schema in ALL if "pattern" in schema}

    assert patterns
    assert [path for path, pattern in patterns.items() if not pattern.startswith("^")] == []


def test_every_list_of_the_spec_is_bounded() -> None:
    """Lists, maps and texts have a largest size, numbers a largest value."""
    limits = {"array": "maxItems", "integer": "maximum", "string": "maxLength"}
    endless = [
        path
        for path, schema in ALL
        if (limit := limits.get(schema.get("type", ""))) and limit not in schema and "enum" not in schema
    ]
    endless += [path for path, s in ALL if "additionalProperties" in s and "maxProperties" not in s]

    # Passed on as it is; Kubernetes does nothing per second of it.
    assert endless == ["InferenceService.predictor.tolerations[].tolerationSeconds"]


@pytest.mark.parametrize(
    ("uri", "scheme"),
    [
        ("s3://models/llm", "s3"),
        ("https://example.com/llm.tar", "https"),
        ("https://user:secret@example.com/llm#sha256=" + "0" * 64, "https"),
        ("hf://org/llm", "hf"),
        ("hf://org/llm:main", "hf"),
        ("oci://example.com/llm:latest", "oci"),
    ],
)
def test_a_download_without_a_pin_is_refused(uri: str, scheme: str) -> None:
    """What the CRD's rule asks for is a digest or a whole commit, and no credentials."""
    assert not re.fullmatch(STORAGE_FORMS[scheme][0], uri)


def test_what_is_bound_escalates_nothing() -> None:
    """No role that somebody has reads Secrets, runs commands in pods, or grants more than it holds."""
    bound = {d["roleRef"]["name"] for d in BASE if d["kind"].endswith("RoleBinding")}
    rules = [
        rule
        for document in BASE
        if document["kind"].endswith("Role") and document["metadata"]["name"] in bound
        for rule in document["rules"]
    ]

    assert rules
    for rule in rules:
        assert not {"*", "escalate", "bind", "impersonate"} & set(rule["verbs"])
        assert not {"*", "secrets", "pods/exec", "serviceaccounts/token"} & set(rule["resources"])


def test_nothing_ships_a_webhook_or_a_second_version() -> None:
    """Validation is the CRD's; one version is served, so that none needs to be converted."""
    assert not [d["kind"] for d in BASE if "Webhook" in d["kind"]]
    for text in crd.documents().values():
        made = yaml.safe_load(text)["spec"]
        assert len(made["versions"]) == 1
        assert "conversion" not in made


def test_no_child_has_a_finalizer() -> None:
    """Nothing waits for an operator that is gone."""
    _, record = recorded()

    assert "finalizers" not in record["metadata"]
    sources = [*(ROOT / "serving_operator").rglob("*.py"), *(ROOT / "autoscaler").rglob("*.py")]
    assert [path.name for path in sources if '"finalizers"' in path.read_text()] == []


def test_our_own_pods_are_restricted() -> None:
    """Operator and autoscaler keep the standard that they hold others to."""
    programs = [document for document in BASE if document["kind"] == "Deployment"]

    assert len(programs) == 2
    for program in programs:
        assert violations(program["spec"]["template"]) == []
        for container in program["spec"]["template"]["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_every_locked_package_has_a_hash() -> None:
    """What is installed is what was resolved."""
    for path in sorted((ROOT / "requirements").glob("*.lock")):
        text = path.read_text().replace("\\\n", " ")
        packages = [line for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
        assert packages, path.name
        assert [line.split()[0] for line in packages if "--hash=sha256:" not in line] == [], path.name


def test_the_table_names_tests_that_exist() -> None:
    """Twenty-five rows, and every test that one of them names is there."""
    text = (ROOT / "docs" / "abuse-cases.md").read_text()
    rows = re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)

    assert [int(row) for row in rows] == list(range(1, 26))
    for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text):
        assert (ROOT / path).is_file(), path
        assert not name or f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"

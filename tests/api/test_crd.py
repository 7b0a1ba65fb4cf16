"""The CRDs that are checked in are those of the types, small, and explained field by field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving_api import crd, reference

ROOT = Path(__file__).parents[2]
DEFINITIONS = {
    "InferenceService": crd.inference_service(),
    "InferenceAutoscaler": crd.inference_autoscaler(),
    "ServingRuntime": crd.serving_runtime(),
    "ClusterServingRuntime": crd.cluster_serving_runtime(),
}


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk every named field of a structural schema."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def root(definition: dict[str, Any]) -> dict[str, Any]:
    """The schema of the one version."""
    schema: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def test_the_reference_is_made_from_the_types() -> None:
    """docs/api.md is what the types say today, and has every field that has a sentence of its own."""
    made = reference.document(list(crd.definitions().values()))

    assert (ROOT / "docs" / "api.md").read_text() == made
    assert "| `rollout.analysis.windowSeconds` | integer, 10 to 3600 | `60` |" in made
    assert "`spec`: set exactly one of predictor.model and predictor.container" in made


@pytest.mark.parametrize("name", sorted(crd.documents()))
def test_checked_in_file_is_generated(name: str) -> None:
    """The file in crds/ equals what the types generate."""
    assert (ROOT / "crds" / name).read_text() == crd.documents()[name]


@pytest.mark.parametrize("name", sorted(crd.documents()))
def test_crd_stays_below_100_kilobytes(name: str) -> None:
    """Client-side apply keeps a copy in an annotation, which has a size limit."""
    assert len(crd.documents()[name].encode()) < 100_000


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_every_field_has_a_sentence(kind: str) -> None:
    """`kubectl explain` has something to say on every field."""
    mute = [
        path
        for path, schema in nodes(root(DEFINITIONS[kind]), kind)
        if not path.endswith(".metadata") and not schema.get("description", "").rstrip().endswith(".")
    ]

    assert mute == []


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_spec_has_no_floating_point(kind: str) -> None:
    """Floats do not survive a round trip through every client; the API conventions forbid them."""
    floats = [path for path, schema in nodes(root(DEFINITIONS[kind]), kind) if schema.get("type") == "number"]

    assert floats == []


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_root_rules_bind_only_the_name(kind: str) -> None:
    """A rule at the root would block label patches and status writes of objects stored before it."""
    rules = root(DEFINITIONS[kind]).get("x-kubernetes-validations", [])

    assert all("self.spec" not in rule["rule"] for rule in rules)


def test_generated_yaml_loads_to_the_definition() -> None:
    """Nothing is lost between the definition and the file."""
    assert yaml.safe_load(crd.documents()["inferenceservices.yaml"]) == crd.inference_service()

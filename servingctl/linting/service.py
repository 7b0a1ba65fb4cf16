"""Everything that the API server would refuse of an object of ours, as far as it can be told without one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from serving_api import crd
from serving_api.names import (
    API_VERSION,
    AUTOSCALER_KIND,
    CLUSTER_RUNTIME_KIND,
    RUNTIME_KIND,
    SERVICE_KIND,
)
from serving_api.schema import LABEL_VALUE
from servingctl.linting import cel
from servingctl.linting.schema import Schema, Violation, defaulted, violations

_DEFINITIONS: Final = {
    SERVICE_KIND: crd.inference_service,
    AUTOSCALER_KIND: crd.inference_autoscaler,
    RUNTIME_KIND: crd.serving_runtime,
    CLUSTER_RUNTIME_KIND: crd.cluster_serving_runtime,
}
KINDS: Final = tuple(_DEFINITIONS)


@cache
def schema_of(kind: str) -> Schema:
    """Return the schema of a kind of ours, without its status."""
    root = _DEFINITIONS[kind]()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    properties = {key: item for key, item in root["properties"].items() if key != "status"}
    return {**root, "properties": {**properties, "status": {}}}


def is_ours(manifest: Any) -> bool:
    """Whether a manifest is of a kind of ours."""
    return (
        isinstance(manifest, dict)
        and manifest.get("apiVersion") == API_VERSION
        and manifest.get("kind") in KINDS
    )


def problems(manifest: dict[str, Any]) -> list[Violation]:
    """Return what would be refused: first by metadata and schema, and if these are fine by the rules beside it."""
    schema = schema_of(manifest["kind"])
    found = [*_metadata(manifest.get("metadata")), *violations(manifest, schema)]
    return found or list(cel.broken(defaulted(manifest, schema), schema))


def unevaluated() -> list[str]:
    """Return the rules of all kinds that only the API server can evaluate."""
    rules = sorted({rule for kind in KINDS for rule in cel.rules(schema_of(kind))})
    return rules if not cel.is_available() else [rule for rule in rules if "oldSelf" in rule]


def _metadata(metadata: Any) -> Iterator[Violation]:
    if not isinstance(metadata, dict):
        yield Violation(("metadata",), "is required: a map with a name")
        return
    if not isinstance(metadata.get("name"), str) or not metadata["name"]:
        yield Violation(("metadata", "name"), "is required: a DNS label such as digits")
    for field in ("labels", "annotations"):
        entries = metadata.get(field)
        if entries is not None and not isinstance(entries, dict):
            yield Violation(("metadata", field), "must be a map")
            continue
        for key, value in (entries or {}).items():
            if not isinstance(value, str):
                yield Violation(("metadata", field, str(key)), f"{value!r} must be a text; put it in quotes")
            elif field == "labels" and (len(value) > 63 or not re.search(LABEL_VALUE, value)):
                yield Violation(
                    ("metadata", field, str(key)),
                    f"{value!r} is no value of a label: letters, digits, -, _ and .",
                )

"""JSON schemas for kubeconform, from what the API server publishes of its kinds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.contract.installation import Admin
from tests.manifests.rendering import Manifest

LOCATION = "{{.ResourceKind}}{{.KindSuffix}}.json"
"""How kubeconform names a kind's file."""


def write(admin: Admin, folder: Path, objects: Iterable[Manifest]) -> None:
    """Write a file for each kind of the objects; a field that a kind does not have is refused by it."""
    wanted = {(entry["apiVersion"], entry["kind"]) for entry in objects}
    places = {
        api_version: f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"
        for api_version, _ in wanted
    }

    def are_published() -> bool:
        index = json.loads(admin.kubectl("get", "--raw", "/openapi/v3"))["paths"]
        return set(places.values()) <= set(index)

    admin.until("the API server publishes its newest kinds", are_published)
    for api_version, place in places.items():
        schemas = json.loads(admin.kubectl("get", "--raw", f"/openapi/v3/{place}"))["components"]["schemas"]
        group, _, version = api_version.rpartition("/")
        for name, schema in schemas.items():
            for known in schema.get("x-kubernetes-group-version-kind") or ():
                if (known["group"], known["version"]) == (group, version) and (
                    api_version,
                    known["kind"],
                ) in wanted:
                    suffix = f"-{group.partition('.')[0]}" if group else ""
                    path = folder / f"{known['kind'].lower()}{suffix}-{version}.json"
                    path.write_text(json.dumps(_document(name, schemas)))


def _document(name: str, schemas: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "allOf": [{"$ref": f"#/components/schemas/{name}"}],
        "components": {"schemas": {key: _closed(schema) for key, schema in schemas.items()}},
    }


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _closed(value) for key, value in schema.items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not is_open:
        made["additionalProperties"] = False
    return made

"""Structural schemas, as CustomResourceDefinitions take them, from the types."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

_KEPT = {
    "type",
    "description",
    "enum",
    "default",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "anyOf",
}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _inline(node: Any, definitions: Schema) -> Schema:
    """Turn one node of pydantic's JSON schema into a structural schema."""
    node = dict(node)
    if "$ref" in node:
        target = definitions[node.pop("$ref").rsplit("/", 1)[1]]
        node = {**target, **node}
        if "x-kubernetes-validations" in target:
            own = [r for r in node["x-kubernetes-validations"] if r not in target["x-kubernetes-validations"]]
            node["x-kubernetes-validations"] = target["x-kubernetes-validations"] + own
    if "anyOf" in node and "x-kubernetes-int-or-string" not in node:
        alternatives = [option for option in node.pop("anyOf") if option.get("type") != "null"]
        if len(alternatives) != 1:
            raise ValueError(f"not structural: {alternatives}")
        outer = {key: value for key, value in node.items() if value is not None}
        node = {**_inline(alternatives[0], definitions), **outer}
    if "default" in node:
        node["default"] = _without_nulls(node["default"])
        if node["default"] is None:
            del node["default"]
    if "const" in node:
        node["enum"] = [node.pop("const")]
    made: Schema = {
        key: value for key, value in node.items() if key in _KEPT or key.startswith("x-kubernetes-")
    }
    if "anyOf" in made:
        made.pop("type", None)
    if isinstance(made.get("description"), str):
        made["description"] = " ".join(made["description"].split())
    if "properties" in node:
        made["properties"] = {
            name: _inline(child, definitions) for name, child in sorted(node["properties"].items())
        }
    if "items" in node:
        made["items"] = _inline(node["items"], definitions)
    if isinstance(node.get("additionalProperties"), dict):
        made["additionalProperties"] = _inline(node["additionalProperties"], definitions)
    return made


def structural(model: type[BaseModel]) -> Schema:
    """Return a model's structural OpenAPI v3 schema, without references."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _inline({key: value for key, value in schema.items() if key != "$defs"}, schema.get("$defs", {}))

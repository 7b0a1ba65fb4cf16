"""What the API server knows about a field: merged by key, by value or as a whole; default; allowed values.

A custom kind is described by its CRD's structural schema. For built-in kinds a table by field name holds
the few lists that merge; their other lists, and these maps, are replaced as a whole. CEL is not emulated.
"""

from __future__ import annotations

import copy
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Json = Any

_LIST_KEYS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "conditions"): ("type",),
    ("", "containers"): ("name",),
    ("", "env"): ("name",),
    ("", "imagePullSecrets"): ("name",),
    ("", "initContainers"): ("name",),
    ("", "ownerReferences"): ("uid",),
    ("", "topologySpreadConstraints"): ("topologyKey", "whenUnsatisfiable"),
    ("", "volumeMounts"): ("mountPath",),
    ("", "volumes"): ("name",),
    ("containers", "ports"): ("containerPort", "protocol"),
    ("spec", "ports"): ("port", "protocol"),
}
_SETS = {"finalizers"}
_ATOMIC_MAPS = {
    "configMapKeyRef", "fieldRef", "labelSelector", "namespaceSelector", "nodeSelector",
    "resourceFieldRef", "secretKeyRef", "selector",
}  # fmt: skip
_KEY_DEFAULTS = {"protocol": "TCP"}
_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,), "boolean": (bool,), "integer": (int,), "number": (int, float), "object": (dict,), "string": (str,),
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """The rules of one field; `schema` is None for built-in kinds."""

    schema: dict[str, Json] | None = None
    field: str = ""
    parent: str = ""

    def child(self, key: str) -> Shape:
        """The shape of a map's entry."""
        if self.schema is None or (not self.parent and not self.field and key == "metadata"):
            return Shape(None, key, self.field)
        properties = self.schema.get("properties") or {}
        additional = self.schema.get("additionalProperties")
        schema = properties.get(key, additional if isinstance(additional, dict) else {})
        return Shape(schema, key, self.field or "root")

    def item(self) -> Shape:
        """The shape of a list's item."""
        return Shape(
            None if self.schema is None else self.schema.get("items") or {}, self.field, self.parent or "root"
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that identify a list's items; empty for other lists."""
        if self.schema is not None:
            return tuple(self.schema.get("x-kubernetes-list-map-keys") or ())
        return _LIST_KEYS.get(("", self.field)) or _LIST_KEYS.get((self.parent, self.field)) or ()

    @property
    def is_set(self) -> bool:
        """Whether a list's items are merged by value."""
        if self.schema is not None:
            return self.schema.get("x-kubernetes-list-type") == "set"
        return self.field in _SETS

    @property
    def is_atomic(self) -> bool:
        """Whether a map is replaced as a whole."""
        if self.schema is not None:
            return self.schema.get("x-kubernetes-map-type") == "atomic"
        return self.field in _ATOMIC_MAPS

    def key_of(self, item: Json) -> dict[str, Json] | None:
        """The values that identify an item, or None if it states none of them."""
        properties = ((self.schema or {}).get("items") or {}).get("properties") or {}
        key = {}
        for name in self.keys:
            default = properties.get(name, {}).get("default", _KEY_DEFAULTS.get(name))
            value = item.get(name, default) if isinstance(item, dict) else None
            if value is None:
                return None
            key[name] = value
        return key


def undeclared(value: Json, schema: dict[str, Json], path: str = "") -> Iterator[str]:
    """Paths of fields that a structural schema does not have."""
    if isinstance(value, dict):
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, entry in value.items():
            if not path and key in ("apiVersion", "kind", "metadata"):
                continue
            inner = properties.get(key, additional)
            if inner is not None and inner is not True:
                yield from undeclared(entry, inner, f"{path}.{key}")
            elif not inner and _closed(schema):
                yield f"{path}.{key}"
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from undeclared(entry, schema.get("items") or {}, f"{path}[{index}]")


def pruned(value: Json, schema: dict[str, Json], top: bool = True) -> Json:
    """A copy without undeclared fields and with the schema's defaults."""
    if isinstance(value, list):
        return [pruned(entry, schema.get("items") or {}, False) for entry in value]
    if not isinstance(value, dict):
        return value
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    kept: dict[str, Json] = {}
    for key, entry in value.items():
        inner = properties.get(key, additional)
        if top and key in ("apiVersion", "kind", "metadata"):
            kept[key] = entry
        elif isinstance(inner, dict):
            if entry is not None or inner.get("nullable"):
                kept[key] = pruned(entry, inner, False)
        elif inner or not _closed(schema):
            kept[key] = entry
    for key, inner in properties.items():
        if key not in kept and "default" in inner:
            kept[key] = pruned(copy.deepcopy(inner["default"]), inner, False)
    return kept


def violations(value: Json, schema: dict[str, Json], path: str = "") -> Iterator[tuple[str, str, str]]:
    """(field, cause's reason, message) of each broken rule: type, required, enum, bounds, pattern, lengths."""
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield path, "FieldValueTypeInvalid", f"Invalid value: {value!r}: must be an integer or a string"
        return
    expected = _TYPES.get(schema.get("type", ""))
    if expected and (not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected)):
        message = f'Invalid value: "{type(value).__name__}": must be of type {schema["type"]}'
        yield path, "FieldValueTypeInvalid", message
        return
    for reason, message in _scalar_violations(value, schema, path):
        yield path, reason, message
    if isinstance(value, dict):
        for name in schema.get("required") or ():
            if name not in value:
                yield f"{path}.{name}".lstrip("."), "FieldValueRequired", "Required value"
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, entry in value.items():
            inner = properties.get(key, additional)
            if isinstance(inner, dict):
                yield from violations(entry, inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from violations(entry, schema.get("items") or {}, f"{path}[{index}]")


_Broken = Callable[[Json, Json], bool]
_BOUNDS: list[tuple[str, _Broken, str]] = [
    ("minimum", operator.lt, "greater than or equal to"),
    ("maximum", operator.gt, "less than or equal to"),
]
_LENGTHS: list[tuple[str, _Broken, str]] = [
    ("minLength", operator.lt, "at least"),
    ("maxLength", operator.gt, "at most"),
    ("minItems", operator.lt, "at least"),
    ("maxItems", operator.gt, "at most"),
]


def _scalar_violations(value: Json, schema: dict[str, Json], path: str) -> Iterator[tuple[str, str]]:
    if "enum" in schema and value not in schema["enum"]:
        allowed = ", ".join(f'"{one}"' for one in schema["enum"])
        yield "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {allowed}'
    for rule, broken, words in _BOUNDS:
        if rule in schema and isinstance(value, int | float) and broken(value, schema[rule]):
            yield (
                "FieldValueInvalid",
                f"Invalid value: {value}: {path} in body should be {words} {schema[rule]}",
            )
    for rule, broken, words in _LENGTHS:
        if rule in schema and isinstance(value, str | list) and broken(len(value), schema[rule]):
            yield (
                "FieldValueInvalid",
                f"Invalid value: {path} in body should have {words} {schema[rule]} entries",
            )
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield (
            "FieldValueInvalid",
            f"Invalid value: \"{value}\": {path} in body should match '{schema['pattern']}'",
        )


def _closed(schema: dict[str, Json]) -> bool:
    return not schema.get("x-kubernetes-preserve-unknown-fields") and schema.get("type") == "object"

"""A value against a structural schema, as the API server's own validation reads it."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from servingctl.paths import Path

Schema = dict[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}
_WORDS = {
    list: "a list",
    bool: "true or false",
    int: "a whole number",
    dict: "a map",
    str: "a text",
    float: "a number",
}
_Broken = Callable[[Any, Any], bool]
_BOUNDS: tuple[tuple[str, _Broken, str], ...] = (
    ("minimum", operator.lt, "at least"),
    ("maximum", operator.gt, "at most"),
)
_SIZES: tuple[tuple[str, _Broken, str], ...] = (
    ("minLength", operator.lt, "at least {} characters long"),
    ("maxLength", operator.gt, "at most {} characters long"),
    ("minItems", operator.lt, "at least {} entries long"),
    ("maxItems", operator.gt, "at most {} entries long"),
    ("maxProperties", operator.gt, "at most {} entries long"),
)


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: where, what, and what to do."""

    path: Path
    message: str


def violations(value: Any, schema: Schema, path: Path = ()) -> Iterator[Violation]:
    """Yield what the schema refuses: unknown fields, types, missing fields, choices, bounds, patterns."""
    if schema.get("x-kubernetes-int-or-string"):
        yield from _int_or_string(value, schema, path)
        return
    expected = _TYPES.get(schema.get("type", ""))
    if expected and (not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected)):
        yield Violation(path, f"{_shown(value)} must be {_WORDS[expected[0]]}{_quoting(value, expected)}")
        return
    yield from _scalar(value, schema, path)
    if isinstance(value, dict):
        yield from _map(value, schema, path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from violations(item, schema.get("items") or {}, (*path, index))


def defaulted(value: Any, schema: Schema) -> Any:
    """Return the value with the schema's defaults in the place of what is absent, and nulls as if absent."""
    if isinstance(value, list):
        return [defaulted(item, schema.get("items") or {}) for item in value]
    if not isinstance(value, dict):
        return value
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties") or {}
    made = {
        key: defaulted(item, properties.get(key) or additional)
        for key, item in value.items()
        if item is not None
    }
    for key, inner in properties.items():
        if key not in made and "default" in inner:
            made[key] = defaulted(inner["default"], inner)
    return made


def _map(value: dict[str, Any], schema: Schema, path: Path) -> Iterator[Violation]:
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    for name in schema.get("required") or ():
        if value.get(name) is None:
            yield Violation((*path, name), "is required; add it")
    for key, item in value.items():
        inner = properties.get(key, additional)
        if inner is None and schema.get("type") == "object" and (properties or additional):
            yield Violation((*path, str(key)), _unknown(str(key), properties))
        elif inner is not None and item is not None:
            yield from violations(item, inner, (*path, str(key)))


def _unknown(key: str, properties: Schema) -> str:
    near = [name for name in properties if name.lower() == key.lower()]
    near = near or [name for name in properties if name.lower().startswith(key.lower()[:4])]
    guess = f"; do you mean {near[0]}?" if near else ""
    return f"is no field of this object{guess}"


def _int_or_string(value: Any, schema: Schema, path: Path) -> Iterator[Violation]:
    if isinstance(value, bool) or not isinstance(value, int | str):
        yield Violation(path, f"{_shown(value)} must be a whole number or a text; put it in quotes")
    else:
        yield from _scalar(value, schema, path)


def _scalar(value: Any, schema: Schema, path: Path) -> Iterator[Violation]:
    if "enum" in schema and value not in schema["enum"]:
        yield Violation(path, f"{_shown(value)} must be one of {', '.join(map(str, schema['enum']))}")
    for key, broken, words in _BOUNDS:
        if key in schema and isinstance(value, int | float) and broken(value, schema[key]):
            yield Violation(path, f"{_shown(value)} must be {words} {schema[key]}")
    for key, broken, words in _SIZES:
        is_text = key.endswith("Length")
        fits = isinstance(value, str) if is_text else isinstance(value, dict if "Prop" in key else list)
        if key in schema and fits and broken(len(value), schema[key]):
            yield Violation(path, f"must be {words.format(schema[key])}")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield Violation(path, f"{_shown(value)} must match {schema['pattern']}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _quoting(value: Any, expected: tuple[type, ...]) -> str:
    is_bare = str in expected and isinstance(value, int | float)
    return "; put it in quotes" if is_bare else ""

"""The CEL rules of our schemas, evaluated here as the API server would.

The evaluator is an extra (`pip install '.[lint]'` in the clone); without it the rules are left to the API server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from serving_api.quantity import value_of
from servingctl.linting.schema import Schema, Violation
from servingctl.paths import Path

try:
    import cel
except ImportError:  # the extra is not installed
    cel = None  # type: ignore[assignment]

RESERVED = frozenset(
    {
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
    }
    | {"let", "loop", "package", "namespace", "return", "var", "void", "while"}
)
"""Words of CEL: the API server spells a property of such a name `__name__`."""
_QUALIFIED_NAME = re.compile(
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)


class Unevaluated(Exception):  # noqa: N818  (no error of the manifest)
    """A rule can only be evaluated by the API server."""


def is_available() -> bool:
    """Whether rules can be evaluated here."""
    return cel is not None


def holds(rule: str, value: Any) -> bool:
    """Whether a rule holds of `self`. Raises `Unevaluated`."""
    if cel is None or "oldSelf" in rule:
        raise Unevaluated(rule)
    context = cel.Context(variables={"self": value, "format": {}}, functions=_FUNCTIONS)
    try:
        return bool(cel.evaluate(rule, context))
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        raise Unevaluated(rule) from error


def rules(schema: Schema) -> Iterator[str]:
    """Yield every rule of a schema, wherever it stands."""
    for entry in schema.get("x-kubernetes-validations") or ():
        yield entry["rule"]
    for inner in (schema.get("properties") or {}).values():
        yield from rules(inner)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from rules(schema[key])


def broken(value: Any, schema: Schema, path: Path = ()) -> Iterator[Violation]:
    """Yield the rules that a value breaks; it has its defaults, and is as the schema has it otherwise."""
    for entry in schema.get("x-kubernetes-validations") or ():
        try:
            fine = holds(entry["rule"], escaped(value, schema))
        except Unevaluated:
            continue
        if not fine:
            field = tuple(part for part in entry.get("fieldPath", "").split(".") if part)
            yield Violation((*path, *field), entry["message"])
    if isinstance(value, dict):
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, item in value.items():
            inner = properties.get(key, additional)
            if isinstance(inner, dict) and item is not None:
                yield from broken(item, inner, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from broken(item, schema.get("items") or {}, (*path, index))


def escaped(value: Any, schema: Schema) -> Any:
    """Return a value with the properties of reserved names spelled as rules spell them; keys of maps stay."""
    if isinstance(value, dict):
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties") or {}
        return {
            f"__{key}__" if key in properties and key in RESERVED else key: escaped(
                item, properties.get(key) or additional
            )
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [escaped(item, schema.get("items") or {}) for item in value]
    return value


def _validate(_format: Any, text: Any) -> Any:
    fits = isinstance(text, str) and _QUALIFIED_NAME.fullmatch(text) and len(text.rpartition("/")[0]) <= 253
    return cel.OptionalValue.none() if fits else cel.OptionalValue.of([f"{text} is no qualified name"])


def _compared(one: Any, other: Any) -> int:
    first, second = value_of(one["amount"]), value_of(other["amount"])
    return (first > second) - (first < second)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "quantity": lambda text: {"amount": str(text)},
    "isInteger": lambda amount: value_of(amount["amount"]) == value_of(amount["amount"]).to_integral_value(),
    "compareTo": _compared,
    "isSorted": lambda items: list(items) == sorted(items),
    "qualifiedName": lambda _format: "qualified name",
    "validate": _validate,
}
"""Kubernetes' additions to CEL, as far as our rules use them."""

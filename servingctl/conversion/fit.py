"""Carrying a value over into a place whose schema says what it may be."""

from __future__ import annotations

from typing import Any, Final

from serving_api.service import InferenceServiceSpec
from serving_api.structural import structural
from servingctl.conversion.ledger import NOTHING, Ledger
from servingctl.linting.schema import Schema, violations
from servingctl.paths import Path, spelled

ABSENT: Final = object()
"""Nothing is left of a value."""
SPEC: Final = structural(InferenceServiceSpec)
SERVICE: Final[Path] = ("InferenceService",)


def schema_of(*path: str) -> Schema:
    """Return the schema of a field of our spec, by its names from `spec` down; lists are stepped into."""
    node: Schema = SPEC
    for name in path:
        node = node.get("items", node)["properties"][name]
    return node


def fit(value: Any, schema: Schema, source: Path, target: Path, ledger: Ledger) -> Any:
    """Return as much of a value as the schema has places for, each leaf entered in the ledger; perhaps `ABSENT`.

    Leaves that were entered before the call are left to whoever entered them: leave them out of `value`.
    """
    if value is None:
        ledger.imply(source, NOTHING)
        return ABSENT
    if isinstance(value, dict) and value and schema.get("type") == "object":
        return _fit_map(value, schema, source, target, ledger)
    if isinstance(value, list) and value and schema.get("type") == "array":
        return _fit_list(value, schema.get("items") or {}, source, target, ledger)
    broken = next(violations(value, schema, ()), None)
    if broken is not None:
        ledger.refuse(source, f"our {spelled(target[1:])}: {broken.message}")
        return ABSENT
    ledger.carry(source, target)
    return value


def _fit_map(value: dict[str, Any], schema: Schema, source: Path, target: Path, ledger: Ledger) -> Any:
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    made = {}
    for key, item in value.items():
        inner = properties.get(key, additional)
        if inner is None:
            ledger.refuse((*source, key), f"our {spelled(target[1:])} has no field {key}")
            continue
        found = fit(item, inner, (*source, key), (*target, key), ledger)
        if found is not ABSENT:
            made[key] = found
    return made or ABSENT


def _fit_list(value: list[Any], schema: Schema, source: Path, target: Path, ledger: Ledger) -> Any:
    made: list[Any] = []
    for index, item in enumerate(value):
        if item is None:
            ledger.imply((*source, index), NOTHING)
            continue
        found = fit(item, schema, (*source, index), (*target, len(made)), ledger)
        if found is ABSENT:
            # A list with a gap would say something else.
            ledger.withdraw(
                source, "another entry of this list is refused, and without it the list says something else"
            )
            return ABSENT
        made.append(found)
    return made or ABSENT

"""Entering what the tables of `fields` say, so that what is left of a map is what has to be thought about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from servingctl.conversion.fields import ONLY_THIS
from servingctl.conversion.ledger import NOTHING, Ledger
from servingctl.paths import Path


def refuse_listed(
    value: dict[str, Any], path: Path, table: Mapping[str, str], ledger: Ledger
) -> dict[str, Any]:
    """Refuse the fields that a table lists, unless they are null or empty; return the others."""
    left = {}
    for key, item in value.items():
        if item is None or (key in table and item in ({}, [])):
            ledger.imply((*path, key), NOTHING)
        elif key in table:
            ledger.refuse((*path, key), table[key])
        else:
            left[key] = item
    return left


def note_listed(
    value: dict[str, Any], path: Path, table: Mapping[str, tuple[Any, str]], ledger: Ledger
) -> dict[str, Any]:
    """Note the fields that a table lists with their one possible value, refuse other values; return the others."""
    left = {}
    for key, item in value.items():
        if key not in table:
            left[key] = item
        elif item == table[key][0] and type(item) is type(table[key][0]):
            ledger.imply((*path, key), table[key][1])
        else:
            ledger.refuse((*path, key), ONLY_THIS.format(table[key][0]))
    return left


def as_map(value: Any, path: Path, ledger: Ledger) -> dict[str, Any]:
    """Return a value that has to be a map; anything else is refused, and empty."""
    if isinstance(value, dict):
        return value
    ledger.refuse(path, "must be a map")
    return {}


def as_list(value: Any, path: Path, ledger: Ledger) -> list[Any]:
    """Return a value that has to be a list; anything else is refused, and empty."""
    if isinstance(value, list):
        return value
    ledger.refuse(path, "must be a list")
    return []

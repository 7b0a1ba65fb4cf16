"""The fields of an object that the operator owns, one by one, and edits of them that somebody might make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from serving_api.names import OPERATOR

Path = tuple[str, ...]
"""A field as the API's fieldsV1 names it: `f:NAME`, or `k:{...}` and `v:...` for the items of a list."""
GONE = object()
_OTHER = {
    "Allowed": "Frozen",
    "AlwaysAllow": "IfHealthyBudget",
    "Auto": "Advise",
    "Cluster": "Local",
    "ClusterIP": "NodePort",
    "None": "ClientIP",
    "TCP": "UDP",
    "gateway": "mlserver",
}
"""Another valid value of a field that is an enumeration."""


class Edit(NamedTuple):
    """One operation of a JSON patch on one field."""

    path: Path
    operation: dict[str, Any]


def owned(live: Mapping[str, Any]) -> list[Path]:
    """The fields that the operator owns in an object, status aside."""
    found: dict[Path, None] = {}
    for entry in live["metadata"]["managedFields"]:
        if entry["manager"] == OPERATOR and "subresource" not in entry:
            found.update(dict.fromkeys(_leaves(entry["fieldsV1"], ())))
    return list(found)


def _leaves(fields: Mapping[str, Any], path: Path) -> Iterator[Path]:
    is_item = bool(path) and path[-1].startswith("k:")
    keys = json.loads(path[-1][2:]) if is_item else {}
    if not fields or is_item:
        yield path
    for name, inner in fields.items():
        if name != "." and name[2:] not in keys:  # to edit a key is to remove the item
            yield from _leaves(inner, (*path, name))


def at(live: Any, path: Path) -> Any:
    """The value of a field, or GONE."""
    for part in path:
        key = _key(live, part)
        if key is None:
            return GONE
        live = live[key]
    return live


def _key(live: Any, part: str) -> str | int | None:
    """Where a part of a path leads to in a mapping or a list; None if it is not there."""
    if part.startswith("f:"):
        return part[2:] if isinstance(live, Mapping) and part[2:] in live else None
    wanted = json.loads(part[2:])
    for index, item in enumerate(live if isinstance(live, list) else ()):
        if part.startswith("v:") and item == wanted:
            return index
        if part.startswith("k:") and all(item.get(key) == value for key, value in wanted.items()):
            return index
    return None


def edits(live: Any, path: Path) -> Iterator[Edit]:
    """Edits of one field, the mildest first: another value of its type, then none at all."""
    pointer, value = "", live
    for part in path:
        key = _key(value, part)
        assert key is not None, f"{path} is not in {live}"
        pointer += "/" + str(key).replace("~", "~0").replace("/", "~1")
        value = value[key]
    for other in _others(value):
        yield Edit(path, {"op": "replace", "path": pointer, "value": other})
    yield Edit(path, {"op": "remove", "path": pointer})


def _others(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
        yield value - 1
    elif isinstance(value, str):
        yield from ([_OTHER[value]] if value in _OTHER else [])
        yield value + "x"
        yield "1" + value
    elif isinstance(value, list):
        yield value[1:]
        yield [*value, "x"]

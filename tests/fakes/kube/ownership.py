"""Server-side apply: which manager owns which field, and what a write makes of that.

A field is a path of FieldsV1 elements (`f:name`, `k:{"name":"x"}`, `v:"x"`). `leaves` flattens an object
into the fields that can be owned; writes are then compared as sets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tests.fakes.kube.shapes import Json, Shape

Path = tuple[str, ...]
Fields = frozenset[Path]


class Manager(NamedTuple):
    """Who wrote how: one entry of `metadata.managedFields`."""

    name: str
    operation: str
    subresource: str = ""
    split: bool = False
    """An entry of its own, of replicas alone: left to their former writer when somebody writes /scale, until the next write."""


Managers = dict[Manager, Fields]

_ITEM = "an item of a list that is merged by key"
_NOT_OWNED = {
    "apiVersion", "kind", "name", "namespace", "uid", "resourceVersion", "generation", "generateName",
    "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields",
}  # fmt: skip


def leaves(value: Json, shape: Shape, path: Path = ()) -> dict[Path, Json]:
    """Every field of an object that can be owned, with its value."""
    found: dict[Path, Json] = {}
    if isinstance(value, dict) and value and not shape.is_atomic:
        for key, entry in value.items():
            if key in _NOT_OWNED and (not path or path == ("f:metadata",)):
                continue
            if entry is not None:
                found |= leaves(entry, shape.child(key), (*path, f"f:{key}"))
        return found
    if isinstance(value, list) and value and shape.keys:
        for entry in value:
            here = (*path, _item_key(entry, shape))
            found[here] = _ITEM
            found |= leaves(entry, shape.item(), here)
        return found
    if isinstance(value, list) and value and shape.is_set:
        return {(*path, f"v:{_text(entry)}"): entry for entry in value}
    return {path: value} if path else {}


def merged(live: Json, applied: Json, shape: Shape) -> Json:
    """`live` with what `applied` states."""
    if isinstance(live, dict) and isinstance(applied, dict) and not shape.is_atomic:
        result = dict(live)
        for key, entry in applied.items():
            if entry is not None:
                result[key] = merged(live.get(key), entry, shape.child(key))
        return result
    if isinstance(live, list) and isinstance(applied, list) and shape.keys:
        stated = {_item_key(entry, shape): entry for entry in applied}
        kept = [
            merged(entry, stated.pop(_item_key(entry, shape), None) or {}, shape.item())
            if _item_key(entry, shape) in stated
            else entry
            for entry in live
        ]
        return kept + list(stated.values())
    if isinstance(live, list) and isinstance(applied, list) and shape.is_set:
        return live + [entry for entry in applied if entry not in live]
    return applied


def apply(
    live: Json, applied: Json, shape: Shape, managers: Managers, manager: Manager, force: bool
) -> tuple[Json, Managers, list[tuple[Manager, Path]]]:
    """The object and its managers after an apply, and the conflicts that stop it (none with `force`)."""
    new = merged(live, applied, shape)
    stated = frozenset(leaves(applied, shape))
    changed, _ = _difference(leaves(live, shape), leaves(new, shape))
    conflicts = [
        (other, path)
        for other, fields in managers.items()
        if other != manager
        for path in sorted(fields & changed)
    ]
    if conflicts and not force:
        return live, managers, conflicts
    after = {other: fields - changed for other, fields in managers.items() if other != manager}
    still_owned: set[Path] = set(stated).union(*after.values())
    for path in sorted(managers.get(manager, frozenset()) - still_owned, key=len):
        if not any(owned[: len(path)] == path for owned in still_owned):
            new = _without(new, path, shape)
    new = merged(new, applied, shape)  # a container that was stated empty stays
    after[manager] = stated
    return new, _left(after, leaves(new, shape), keep=manager), []


def updated(live: Json, new: Json, shape: Shape, managers: Managers, manager: Manager) -> Managers:
    """The managers after a write that states the whole object: it owns what it changed, and only that."""
    changed, _ = _difference(leaves(live, shape), leaves(new, shape))
    after = {other: fields - changed for other, fields in managers.items()}
    if changed:
        after[manager] = managers.get(manager, frozenset()) | changed
    return _left(after, leaves(new, shape), keep=None)


def split_by_scale(managers: Managers, replicas: Path) -> Managers:
    """The managers once somebody writes /scale: who owns replicas by an update owns them by a second entry."""
    after: Managers = {}
    for manager, fields in managers.items():
        if manager.operation == "Update" and not manager.subresource and replicas in fields:
            after[manager._replace(split=True)] = frozenset({replicas})
            fields -= {replicas}
        after[manager] = fields
    return {manager: fields for manager, fields in after.items() if fields}


def managed_fields(managers: Managers, api_version: str, time: str) -> list[dict[str, Json]]:
    """`metadata.managedFields` as the server shows it."""
    entries = []
    for manager, fields in managers.items():
        tree: dict[str, Json] = {}
        in_order = sorted(fields)
        for path, follower in zip(in_order, [*in_order[1:], ()], strict=False):
            node = tree
            for element in path:
                node = node.setdefault(element, {})
            if follower[: len(path)] == path:  # in this order what lies within a field follows it directly
                node["."] = {}
        entry = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": api_version,
            "time": time,
            "fieldsType": "FieldsV1",
            "fieldsV1": tree,
        }
        if manager.subresource:
            entry["subresource"] = manager.subresource
        entries.append(entry)
    return entries


def stated_managers(entries: list[dict[str, Json]]) -> Managers:
    """What a writer states as `metadata.managedFields`."""
    managers: Managers = {}
    for entry in entries:
        if entry.get("manager"):
            key = Manager(entry["manager"], entry["operation"], entry.get("subresource", ""))
            key = key._replace(split=key in managers)
            managers[key] = managers.get(key, frozenset()) | frozenset(_paths(entry.get("fieldsV1") or {}))
    return managers


def _paths(tree: dict[str, Json], path: Path = ()) -> Iterator[Path]:
    for element, inner in tree.items():
        if element == ".":
            yield path
        elif inner:
            yield from _paths(inner, (*path, element))
        else:
            yield (*path, element)


def words(path: Path) -> str:
    """A path as messages show it: `.spec.replicas`."""
    return "".join(f".{element[2:]}" if element.startswith("f:") else f"[{element[2:]}]" for element in path)


def _difference(old: Mapping[Path, Json], new: Mapping[Path, Json]) -> tuple[Fields, Fields]:
    changed = frozenset(path for path, value in new.items() if path not in old or old[path] != value)
    return changed, frozenset(old) - frozenset(new)


def _left(managers: Managers, present: Iterable[Path], keep: Manager | None) -> Managers:
    """Without fields that are gone, and without managers that own nothing any more."""
    here = set(present)
    trimmed = {
        manager: fields if manager == keep else frozenset(path for path in fields if path in here)
        for manager, fields in managers.items()
    }
    return {manager: fields for manager, fields in trimmed.items() if fields}


def _without(value: Json, path: Path, shape: Shape) -> Json:
    """A copy without the field; containers that this leaves empty go too."""
    element, rest = path[0], path[1:]
    if element.startswith("f:") and isinstance(value, dict):
        key = element[2:]
        if key not in value:
            return value
        inner = _without(value[key], rest, shape.child(key)) if rest else None
        copy = {name: entry for name, entry in value.items() if name != key}
        return copy if inner in (None, {}, []) else {**copy, key: inner}
    if isinstance(value, list):
        kept = []
        for entry in value:
            is_it = element in (f"v:{_text(entry)}", _item_key(entry, shape) if shape.keys else "")
            if not is_it:
                kept.append(entry)
            elif rest:
                kept.append(_without(entry, rest, shape.item()))
        return kept
    return value


def _item_key(item: Any, shape: Shape) -> str:
    return f"k:{_text(shape.key_of(item))}"


def _text(value: Json) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))

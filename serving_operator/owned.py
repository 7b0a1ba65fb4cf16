"""Fields as `managedFields` has them (fieldsV1): `f:` and a name, `k:` and the key of a list's item, `v:` and a value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from serving_api.names import OPERATOR


@lru_cache(maxsize=4096)
def parsed(text: str) -> Any:
    """A key or value of fieldsV1; the same few come again and again, and nobody changes them."""
    return json.loads(text)


def annotation_is_ours(live: Mapping[str, Any], name: str) -> bool:
    """Whether an annotation was written by the operator and by nobody since."""
    for entry in live["metadata"].get("managedFields") or ():
        metadata = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
        if entry.get("manager") == OPERATOR and f"f:{name}" in (metadata.get("f:annotations") or {}):
            return True
    return False


def has(item: Any, keys: Mapping[str, Any]) -> bool:
    """Whether a list's item has a key; what it leaves out has its default, which a key states."""
    return isinstance(item, dict) and all(item.get(key, value) == value for key, value in keys.items())


def absent(owned: Mapping[str, Any], live: Any) -> dict[str, Any]:
    """Return those of the owned fields that the object does not have: zeros, of which the server keeps the owner alone."""
    return dict(_absent(owned, live))


def _absent(owned: Mapping[str, Any], live: Any) -> Iterator[tuple[str, Any]]:
    for path, inner in owned.items():
        found: Any = None
        if path.startswith("f:") and isinstance(live, dict):
            if path[2:] not in live:
                yield path, {}
                continue
            found = live[path[2:]]
        elif path.startswith("k:") and isinstance(live, list) and inner:
            keys = parsed(path[2:])
            found = next((item for item in live if has(item, keys)), None)
        if inner and found is not None and (rest := absent(inner, found)):
            yield path, rest


def without_zeros(wanted: Any, live: Any, owned: Mapping[str, Any]) -> Any:
    """Return what is wanted without the zeros that are owned and that the object does not have."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        return {
            key: without_zeros(value, live.get(key), owned.get(f"f:{key}") or {})
            for key, value in wanted.items()
            if not (f"f:{key}" in owned and key not in live and value in ("", 0))
        }
    if isinstance(wanted, (list, tuple)) and isinstance(live, (list, tuple)):
        items = list(wanted)
        for keys, fields in (
            (parsed(path[2:]), inner) for path, inner in owned.items() if path.startswith("k:")
        ):
            found = next((item for item in live if has(item, keys)), None)
            items = [without_zeros(item, found, fields) if has(item, keys) else item for item in items]
        return items
    return wanted

"""Fields as `managedFields` has them (fieldsV1): `f:` and a name, `k:` and the key of a list's item, `v:` and a value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=4096)
def parsed(text: str) -> Any:
    """A key or value of fieldsV1; the same few come again and again, and nobody changes them."""
    return json.loads(text)


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

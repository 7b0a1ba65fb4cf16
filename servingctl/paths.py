"""Where a value stands in a manifest, and how that is spelled for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]
"""Keys of maps and indices of lists, from the root."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def spelled(path: Path) -> str:
    """Spell a path: `spec.predictor.env[0].name`; keys that are no plain words are quoted in brackets."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{part!r}]"
    return text


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of each value that holds no others: scalars, null, and empty maps and lists."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, str(key)))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def value_at(value: Any, path: Path) -> Any:
    """Return the value at a path. Raises KeyError if there is none."""
    for part in path:
        if isinstance(part, int):
            if not isinstance(value, list) or part >= len(value):
                raise KeyError(spelled(path))
            value = value[part]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            raise KeyError(spelled(path))
    return value

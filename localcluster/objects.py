"""API objects as they are read and written here: JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]


def dated(condition: Object, before: Iterable[Object], now: str) -> Object:
    """A condition with its time of transition, which moves only with its status; `before` are those stored."""
    same = (condition["type"], condition["status"])
    old = next((each for each in before if (each["type"], each.get("status")) == same), {})
    return {**condition, "lastTransitionTime": old.get("lastTransitionTime") or now}

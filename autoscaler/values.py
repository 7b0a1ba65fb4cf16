"""Values that follow from others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["changed"]

if TYPE_CHECKING:
    from dataclasses import replace as changed
else:
    T = TypeVar("T")

    def changed(value: T, /, **fields: Any) -> T:
        """As `dataclasses.replace`, for frozen dataclasses whose fields are all given to `__init__` and whose `__init__` does nothing else.

        A replacement asks each field for its value and for leave: with the forty of what is remembered of a target, that
        took a third of a tick. Types are checked as those of the original.
        """
        made = object.__new__(type(value))
        object.__setattr__(made, "__dict__", {**value.__dict__, **fields})
        return made

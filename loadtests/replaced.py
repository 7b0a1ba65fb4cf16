"""Lets a program be another one for a while: by one name that stands for something else."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

Change = Callable[[Any], Any]
"""What a name stands for meanwhile, made of what it stands for."""


def constant(value: Any) -> Change:
    """Another value, whatever there was."""
    return lambda old: value


@contextmanager
def replaced(target: str, change: Change) -> Iterator[None]:
    """Change what `target` names, as `module:attribute` or `module:Class.attribute`, while the block lasts."""
    module, _, path = target.partition(":")
    holder: Any = importlib.import_module(module)
    *parents, attribute = path.split(".")
    for parent in parents:
        holder = getattr(holder, parent)
    with mock.patch.object(holder, attribute, change(holder.__dict__[attribute])):
        yield

"""Manifests as YAML that people read: fields in their order, nothing by reference."""

from __future__ import annotations

from typing import Any

import yaml

WIDTH = 110


class _Plain(yaml.SafeDumper):
    """Writes a value that occurs twice twice: an anchor would have to be looked up."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never refer to what was written before."""
        return True


def as_yaml(value: Any, *, sort_keys: bool = False) -> str:
    """Spell a value as YAML."""
    return str(yaml.dump(value, Dumper=_Plain, sort_keys=sort_keys, allow_unicode=True, width=WIDTH))

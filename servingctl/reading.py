"""Manifests from files, folders and stdin."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from servingctl.documents import Document, UnreadableError, documents
from servingctl.exits import USAGE, Stop

SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "-"


def read(names: Iterable[str]) -> list[Document]:
    """Read all documents. Raises `Stop` for what cannot be read, is no YAML, or holds nothing."""
    found = []
    for name in names:
        for file in _files(name):
            try:
                text = sys.stdin.read() if file == STDIN else Path(file).read_text()
                found += documents(text, file)
            except (OSError, UnicodeDecodeError) as error:
                raise Stop(f"{file} cannot be read: {error}", USAGE) from None
            except UnreadableError as error:
                raise Stop(str(error), USAGE) from None
    if not found:
        raise Stop(f"{', '.join(names)}: no manifest in it", USAGE)
    return found


def _files(name: str) -> list[str]:
    if name == STDIN or not Path(name).is_dir():
        return [name]
    return sorted(str(file) for file in Path(name).iterdir() if file.suffix in SUFFIXES)

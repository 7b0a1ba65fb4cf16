"""What the files of a kubeconfig say together: as kubectl merges them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Contexts:
    """The contexts of all files; of entries with one name the first counts."""

    current: str | None
    """The first that a file names as current, whichever file describes it."""
    described: Mapping[str, Mapping[str, Any]]
    token_files: Mapping[str, Path | None]
    """By user; None where the token is not in a file of its own."""
    files: tuple[Path, ...]
    """Those that are there and say anything: `kubectl config` leaves empty ones, and the library fails on them."""

    def token_file(self, context: str | None) -> Path | None:
        """The file that the context's user reads its token from, if it does."""
        user = self.described.get(context or "", {}).get("user")
        return self.token_files.get(str(user))


def contexts_of(path: str | None) -> Contexts:
    """Read each file of a path that is there. Raises `ValueError` with the name of one that cannot be read."""
    current: str | None = None
    described: dict[str, Mapping[str, Any]] = {}
    token_files: dict[str, Path | None] = {}
    files: list[Path] = []
    for name in (path or "").split(os.pathsep):
        file = Path(os.path.expanduser(name))  # the library does so, too
        if not name or not file.is_file():
            continue
        if not (config := _read(file)):
            continue
        files.append(file)
        stated = config.get("current-context")
        current = current or (str(stated) if stated else None)
        for context, content in _entries(config, "context"):
            described.setdefault(context, content)
        for user, content in _entries(config, "user"):
            token_file = content.get("tokenFile")
            token_files.setdefault(user, file.parent / str(token_file) if token_file else None)
    return Contexts(current, described, token_files, tuple(files))


def _read(file: Path) -> Mapping[str, Any]:
    try:
        config: Any = yaml.safe_load(file.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{file} cannot be read ({error})") from error
    return config if isinstance(config, dict) else {}


def _entries(config: Mapping[str, Any], what: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for entry in config.get(f"{what}s") or ():
        yield str(entry.get("name")), entry.get(what) or {}

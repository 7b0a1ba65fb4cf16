"""Where files live: the user's cache (binaries, environments) and the clone's own files."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
GO_MODULE = Path(__file__).resolve().parent / "go"
CONFIG = Path(__file__).resolve().parent / "config"
MANIFESTS = REPOSITORY / "manifests"
REQUIREMENTS = REPOSITORY / "requirements"


def this_python() -> str:
    """This interpreter as a word of a shell command: relative where it lies below the working directory.

    A bare `python` is another one, without what this project needs.
    """
    path, here = Path(sys.executable), Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/serving-operator` (`~/.cache/serving-operator`), created if missing."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(home).resolve() / "serving-operator"
    path.mkdir(parents=True, exist_ok=True)
    return path

"""The administrator's configuration file, read once at the start."""

from __future__ import annotations

from pathlib import Path

import yaml

from serving_api.configuration import Configuration, parse


def read(path: Path | None) -> Configuration:
    """Read the file; without one, and in the empty folder that a missing ConfigMap is mounted as, all is default.

    Raises ValueError that names the file and each key at fault.
    """
    if path is None:
        return Configuration()
    if not path.is_file():
        # Kubernetes mounts an optional ConfigMap that is not there as an empty folder.
        if not path.parent.is_dir():
            raise ValueError(f"{path}: there is no such file")
        others = sorted(entry.name for entry in path.parent.iterdir() if not entry.name.startswith("."))
        if others:
            raise ValueError(
                f"{path}: there is no such file, but {', '.join(others)}; rename the key to {path.name}"
            )
        return Configuration()
    try:
        return parse(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error

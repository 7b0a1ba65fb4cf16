"""Files that others read while they are written."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(path: Path, content: str | bytes, mode: int | None = None) -> bool:
    """Replace a file whole, by rename, if its content differs; says whether it did. `mode`: its permissions."""
    wanted = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == wanted:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(wanted)
    if mode is not None:
        new.chmod(mode)
    os.replace(new, path)
    return True

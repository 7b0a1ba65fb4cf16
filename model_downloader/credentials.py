"""Credentials: the keys of a Secret, mounted as files, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Credentials:
    """A folder with one file per key: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, HF_TOKEN …; none without a folder."""

    folder: Path | None = None

    def get(self, key: str) -> str | None:
        """The value of a key without the newline at its end; None if it is not there."""
        path = self.folder / key if self.folder else None
        return path.read_text().strip() if path is not None and path.is_file() else None

    def ca_file(self) -> str | None:
        """The path of the certificate authorities to believe beside the public ones: key `ca.crt`."""
        path = self.folder / "ca.crt" if self.folder else None
        return str(path) if path is not None and path.is_file() else None

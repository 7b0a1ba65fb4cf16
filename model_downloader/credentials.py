"""Credentials: the keys of a Secret, mounted as files, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_downloader.outcome import Refused


@dataclass(frozen=True, slots=True)
class Credentials:
    """A folder with one file per key: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, HF_TOKEN …; none without a folder."""

    folder: Path | None = None

    def get(self, key: str) -> str | None:
        """The value of a key without the newline at its end; None if it is not there.

        Raises Refused with the key's name if no header may hold the value: the libraries' own errors show it.
        """
        path = self.folder / key if self.folder else None
        if path is None or not path.is_file():
            return None
        value = path.read_text(encoding="utf-8", errors="replace").strip()
        if not (value.isascii() and value.isprintable()):
            raise Refused(
                f"{key} of the Secret holds a line break or a character that no HTTP header may hold; "
                "store it again without."
            )
        return value

    def ca_file(self) -> str | None:
        """The path of the certificate authorities to believe beside the public ones: key `ca.crt`."""
        path = self.folder / "ca.crt" if self.folder else None
        return str(path) if path is not None and path.is_file() else None

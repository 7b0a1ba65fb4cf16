"""The folder that a model is gathered in: nothing leaves it, it has a limit, and it appears at once or not at all."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from model_downloader.outcome import Refused

MODEL = "model"
PARTIAL = "partial"
UNFINISHED = ".part"
CHUNK_BYTES = 1 << 20
MOST_FILES = 100_000
PROGRESS_SECONDS = 10.0

log = logging.getLogger("model_downloader")


class Folder:
    """`root/partial` while a download is under way, `root/model` when it is whole. `most_bytes`: limit of all files."""

    def __init__(self, root: Path, most_bytes: int) -> None:
        self.root = root
        self.partial = root / PARTIAL
        self.model = root / MODEL
        self.most_bytes = most_bytes
        self._said_at = 0.0

    def is_whole(self) -> bool:
        """Whether the model is there. An empty folder is none: whoever mounts it by its path may have made it."""
        return self.model.is_dir() and any(self.model.iterdir())

    def start(self) -> None:
        """Make the folder; what an earlier try has left in it is resumed."""
        self.partial.mkdir(parents=True, exist_ok=True)

    def place(self, name: str) -> Path:
        """The path of a file by its name from elsewhere. Raises Refused for a name that leads out of the folder."""
        pure = PurePosixPath(name)
        bad = (
            not name
            or pure.is_absolute()
            or name != str(pure)
            or "\\" in name
            or not name.isprintable()  # asked before the encoding: an archive's name may be no text at all
            or any(part in ("..", ".") or len(part.encode()) > 250 for part in pure.parts)
        )
        if bad:
            raise Refused(f"The name {name!r} leads out of the model's folder, or is no name of a file.")
        path = self.partial / pure
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.parent.resolve().is_relative_to(self.partial.resolve()):
            raise Refused(f"The name {name!r} leads out of the model's folder by a link.")
        return path

    def check(self, sizes_bytes: Iterable[int]) -> int:
        """Return the sum of the sizes. Raises Refused if there are too many files or bytes."""
        sizes = list(sizes_bytes)
        if len(sizes) > MOST_FILES:
            raise Refused(f"{len(sizes)} files are more than {MOST_FILES}.")
        self.check_bytes(sum(sizes))
        return sum(sizes)

    def check_bytes(self, total: int) -> None:
        """Raises Refused if the model is larger than it may be."""
        if total > self.most_bytes:
            raise Refused(
                f"The model has {megabytes(total)} MB or more and may have {megabytes(self.most_bytes)} MB: the "
                "administrator sets the limit (--model-download-limit-megabytes)."
            )

    def write(self, path: Path, chunks: Iterable[bytes], *, at: int, before: int, total: int | None) -> int:
        """Write a file from byte `at` on, under another name until it is whole; `before` bytes are of other files.

        Returns its size. Raises Refused at the limit of bytes.
        """
        unfinished = path.with_name(path.name + UNFINISHED)
        size_bytes = self.fill(unfinished, chunks, at=at, before=before, total=total)
        unfinished.rename(path)
        return size_bytes

    def fill(self, path: Path, chunks: Iterable[bytes], *, at: int, before: int, total: int | None) -> int:
        """Write a file as `write` does, but under its own name from the first byte on."""
        with path.open("r+b" if at else "wb") as file:
            file.seek(at)
            file.truncate()
            for chunk in chunks:
                file.write(chunk)
                at += len(chunk)
                self.check_bytes(before + at)
                self.progress(before + at, total)
            file.flush()
            os.fsync(file.fileno())
        return at

    def progress(self, done: int, total: int | None) -> None:
        """Say now and then how far it is."""
        if time.monotonic() - self._said_at >= PROGRESS_SECONDS:
            self._said_at = time.monotonic()
            log.info("%s%s MB", megabytes(done), f" of {megabytes(total)}" if total else "")

    def verify(self, wanted: str, uri: str) -> None:
        """Compare the digest of all files. Raises Refused, and drops what was fetched, if it is another."""
        found = tree_digest(self.partial)
        if found != wanted:
            self.drop()
            raise Refused(
                f"What is there now is not what was pinned: sha256={found} instead of {wanted}. If it is what you "
                f"want, write it into storageUri: {uri}"
            )

    def finish(self) -> None:
        """Let the model appear, whole."""
        self.partial.rename(self.model)

    def drop(self) -> None:
        """Remove what was fetched so far."""
        shutil.rmtree(self.partial, ignore_errors=True)


def unfinished_bytes(path: Path) -> int:
    """How much of a file an earlier try has left."""
    unfinished = path.with_name(path.name + UNFINISHED)
    return unfinished.stat().st_size if unfinished.is_file() else 0


def tree_digest(folder: Path) -> str:
    """SHA-256, in hex, of the lines `<sha256 of the file>  <path>\\n` in the order of the paths' bytes.

    The same by hand: `find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum`.
    """
    lines = sorted((path.relative_to(folder).as_posix().encode(), path) for path in _files(folder))
    digest = hashlib.sha256()
    for name, path in lines:
        digest.update(file_digest(path).encode() + b"  " + name + b"\n")
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def megabytes(count: int) -> str:
    """A number of bytes in megabytes."""
    return f"{count / 1e6:.1f}"


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())

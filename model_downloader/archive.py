"""Unpacks an archive into the model's folder: plain files and folders only, nothing outside of it, within the limit."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TypeVar

from model_downloader.folder import CHUNK_BYTES, MOST_FILES, Folder
from model_downloader.outcome import Refused

Entry = TypeVar("Entry")
ENDINGS = (".tar", ".tar.gz", ".tgz", ".zip")


def is_archive(name: str) -> bool:
    """Whether a file is unpacked, by its name."""
    return name.endswith(ENDINGS)


def unpack(archive: Path, folder: Folder) -> None:
    """Unpack an archive. Raises Refused for a link, a device, a name that leads out, or too many entries or bytes."""
    done = 0
    try:
        for name, size_bytes, file in _entries(archive):
            with file:
                path = folder.place(name)
                if path.exists():
                    raise Refused(f"The archive has {name!r} twice.")
                chunks = iter(lambda file=file: file.read(CHUNK_BYTES), b"")  # type: ignore[misc]
                # The size that an entry states may be a lie; what is written is counted.
                folder.check_bytes(done + size_bytes)
                # Under its own name: any other may be an entry's, and what is not whole is dropped with the rest.
                done += folder.fill(path, chunks, at=0, before=done, total=None)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, UnicodeDecodeError) as error:
        raise Refused(f"The archive cannot be read: {error}") from error


def _entries(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    if archive.name.endswith(".zip"):
        yield from _of_zip(archive)
        return
    with tarfile.open(archive, "r|*") as tar:
        for member in _counted(tar):
            name = _plain(member.name)
            if member.isdir():
                continue
            if not member.isreg():
                raise Refused(
                    f"The archive's {name!r} is a link or a device; only files and folders are unpacked."
                )
            file = tar.extractfile(member)
            assert file is not None
            yield name, member.size, file


def _of_zip(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(archive) as packed:
        for member in _counted(packed.infolist()):
            kind = member.external_attr >> 28
            if member.is_dir():
                continue
            if kind not in (0, 8):  # the type bits of st_mode: 8 is a regular file, 0 is not stated
                raise Refused(f"The archive's {member.filename!r} is a link or a device.")
            yield _plain(member.filename), member.file_size, packed.open(member)


def _counted(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Folders count, too: they cost memory while a tar is read."""
    for count, entry in enumerate(entries, 1):
        if count > MOST_FILES:
            raise Refused(f"The archive has more than {MOST_FILES} entries: pack fewer.")
        yield entry


def _plain(name: str) -> str:
    """Archives made of `.` have names that begin with `./`."""
    return name.removeprefix("./") or "."


def into_place(folder: Folder, archive: Path) -> None:
    """Replace the downloaded archive by what is in it."""
    packed = folder.root / f"packed-{archive.name}"
    archive.rename(packed)
    try:
        folder.drop()
        folder.start()
        unpack(packed, folder)
    except BaseException:
        folder.drop()
        raise
    finally:
        packed.unlink(missing_ok=True)
    if not any(folder.partial.iterdir()):
        shutil.rmtree(folder.partial)
        raise Refused("The archive holds no file.")

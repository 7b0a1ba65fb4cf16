"""Recordings as files, packed where the name ends in .gz; one that is not complete keeps a name of its own."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from autoscaler.replay.recording.decode import LONGEST_LINE, Decoder, RecordingError
from autoscaler.replay.recording.encode import Encoder
from autoscaler.replay.recording.moment import Moment


def read(path: Path) -> Iterator[Moment]:
    """Every moment of a file, in bounded memory. Raises RecordingError, and OSError where there is no file."""
    with _open(path, "rt") as file:
        try:
            yield from Decoder(str(path)).moments(_lines(file))
        except (EOFError, gzip.BadGzipFile, UnicodeDecodeError) as error:
            raise RecordingError(f"{path} cannot be read to its end: {error}") from error


class Writer:
    """Writes a recording under `path` with `.part` appended, and renames it at a regular end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self.characters = 0
        self._encoder = Encoder()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _open(self.part, "wt", packed=path.suffix == ".gz")

    def write(self, moment: Moment) -> None:
        """Add a moment; it is in the file when the file is closed."""
        for line in self._encoder.lines(moment):
            self.characters += len(line) + 1
            self._file.write(line + "\n")

    def close(self) -> None:
        """Complete the file."""
        self._file.close()
        self.part.replace(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()


def _open(path: Path, mode: str, packed: bool | None = None) -> IO[str]:
    if path.suffix == ".gz" if packed is None else packed:
        return cast(IO[str], gzip.open(path, mode, encoding="utf-8", newline="\n"))
    return cast(IO[str], path.open(mode, encoding="utf-8", newline="\n"))


def _lines(file: IO[str]) -> Iterator[str]:
    while line := file.readline(LONGEST_LINE + 1):
        yield line

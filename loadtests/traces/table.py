"""Columns out of text files, plain or gzipped, and errors that say which file, which line, and what was expected."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadtests.traces.trace import Floats, Ints

Cell = str | float | None


class TraceError(ValueError):
    """A trace that cannot be read; the message names file and line, and what was expected there."""


def wrong(path: Path, line: int, expected: str, found: object) -> TraceError:
    """The error for what stands in a line, counted from 1."""
    return TraceError(f"{path}, line {line}: expected {expected}, found {_short(found)}")


def stem(path: Path) -> str:
    """The name of a file without what says how it is written; its traces are called so."""
    return path.name.removesuffix(".gz").rpartition(".")[0]


@dataclass(frozen=True)
class Table:
    """Columns by name, and the line that each row was read from."""

    path: Path
    lines: Sequence[int]
    columns: dict[str, list[Cell]]

    def texts(self, name: str) -> list[str]:
        """A column as it stands in the file."""
        return [str(cell) for cell in self.columns[name]]

    def numbers(self, name: str) -> Floats:
        """A column of numbers, finite and not negative. Raises TraceError."""
        cells = self.columns[name]
        try:
            values = np.array(cells, dtype=np.float64)
        except (TypeError, ValueError):
            values = np.array([_number(cell) for cell in cells])
        self._demand(np.isfinite(values) & (values >= 0), name, "a number that is not negative")
        return values

    def wholes(self, name: str) -> Ints:
        """A column of whole numbers that are not negative. Raises TraceError."""
        values = self.numbers(name)
        self._demand(values == np.floor(values), name, "a whole number")
        return values.astype(np.int64)

    def _demand(self, good: NDArray[np.bool_], name: str, expected: str) -> None:
        if not good.all():
            row = int(np.argmin(good))
            raise wrong(self.path, self.lines[row], f"{expected} as {name}", self.columns[name][row])


def read_csv(path: Path, wanted: Sequence[str]) -> Table:
    """The wanted columns of a file with a header; others are let go. Raises TraceError, also if there is no row."""
    with opened(path) as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader, [])]
        missing = [name for name in wanted if name not in header]
        if missing:
            raise wrong(path, 1, f"a header with the columns {_listed(wanted)}", ",".join(header))
        places = [header.index(name) for name in wanted]
        lines: list[int] = []
        cells: list[list[Cell]] = [[] for _ in wanted]
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise wrong(path, reader.line_num, f"{len(header)} columns", f"{len(row)}: {','.join(row)}")
            lines.append(reader.line_num)
            for column, place in zip(cells, places, strict=True):
                column.append(row[place])
    return _filled(path, lines, dict(zip(wanted, cells, strict=True)))


def read_json_lines(path: Path, wanted: Sequence[str]) -> Table:
    """The wanted keys of a file with an object a line. Raises TraceError, also if there is no line."""
    expected = f"a JSON object with {_listed(wanted)}"
    lines: list[int] = []
    columns: dict[str, list[Cell]] = {name: [] for name in wanted}
    with opened(path) as file:
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except json.JSONDecodeError:
                row = None
            if not isinstance(row, dict) or any(name not in row for name in wanted):
                raise wrong(path, number, expected, text.strip())
            lines.append(number)
            for name in wanted:
                columns[name].append(row[name])
    return _filled(path, lines, columns)


def read_words(path: Path, name: str) -> Table:
    """One column: whatever is separated by white space, in reading order. Raises TraceError, also if there is nothing."""
    lines: list[int] = []
    cells: list[Cell] = []
    with opened(path) as file:
        for number, text in enumerate(file, start=1):
            words = text.split()
            cells += words
            lines += [number] * len(words)
    return _filled(path, lines, {name: cells})


@contextmanager
def opened(path: Path) -> Iterator[TextIOWrapper]:
    """A file as text, unpacked if its name ends in .gz. What goes wrong while it is read is raised as TraceError."""
    try:
        with _text(path) as file:
            yield file
    except (OSError, EOFError, zlib.error, csv.Error, UnicodeError) as error:
        raise TraceError(f"{path} cannot be read: {error}") from None


def _text(path: Path) -> TextIOWrapper:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _filled(path: Path, lines: list[int], columns: dict[str, list[Cell]]) -> Table:
    if not lines:
        raise TraceError(f"{path} holds no data: expected {_listed(list(columns))}")
    return Table(path, lines, columns)


def _number(cell: Cell) -> float:
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:3])}, …, {names[-1]}"


def _short(found: object) -> str:
    text = repr(found)
    return text if len(text) <= 80 else f"{text[:77]}…"

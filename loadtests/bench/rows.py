"""The rows of all runs as files: `runs.csv`, or one file a shard beside it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

from loadtests.bench.run import HINDSIGHT, NO_KNOB, OURS, Row
from loadtests.bench.score import by_cell, oracle

RUNS = "runs.csv"
COLUMNS = tuple(field.name for field in fields(Row))
_FLOATS = ("late", "cost", "work", "worst_hour", "hours_above")


def as_text(row: Row) -> dict[str, str]:
    """A row as text; numbers so that they read back as they are, nothing for a bound that there is not."""
    return {
        name: "" if value is None else repr(value) if isinstance(value, float) else str(value)
        for name, value in asdict(row).items()
    }


def row_of(text: Mapping[str, str]) -> Row:
    """A row read back."""
    return Row(
        cell=text["cell"],
        seed=int(text["seed"]),
        policy=text["policy"],
        knob=text["knob"],
        bound=float(text["bound"]) if text["bound"] else None,
        configuration=text["configuration"],
        scalings=int(text["scalings"]),
        **{name: float(text[name]) for name in _FLOATS},
    )


def files_in(folder: Path) -> list[Path]:
    """All files of rows, those of shards among them."""
    return sorted((*folder.glob("runs*.csv"), *folder.glob("extra*.csv")))


def known(files: Iterable[Path], configuration: str) -> list[Row]:
    """The rows of this configuration in these files, as far as they are there, each once; a line that was cut off is none."""
    found: dict[tuple[str, str, str, int], Row] = {}
    for path in filter(Path.exists, files):
        with path.open(newline="", encoding="utf-8") as lines:
            for line in csv.DictReader(lines):
                if _complete(line) and line["configuration"] == configuration:
                    row = row_of(line)
                    found[row.policy, row.knob, row.cell, row.seed] = row
    return list(found.values())


def is_extra(row: Row) -> bool:
    """Whether a row is no policy's that anybody would run: ours without one of its mechanisms, or tuned in hindsight."""
    return row.policy == HINDSIGHT or (row.policy == OURS and row.knob != NO_KNOB)


def extra_of(path: Path) -> Path:
    """The file beside one of runs that holds the rows that are none."""
    return path.with_name(path.name.replace("runs", "extra", 1))


def file_of(shard: tuple[int, int] | None) -> str:
    """The name of the file that a run writes."""
    return RUNS if shard is None else f"runs-{shard[0]}-of-{shard[1]}.csv"


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write the file of runs and that of extra rows anew."""
    for place, extra in ((path, False), (extra_of(path), True)):
        part = place.with_suffix(".part")  # who is interrupted here keeps the file as it was
        with part.open("w", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, COLUMNS).writeheader()
        _append(part, (row for row in rows if is_extra(row) == extra))
        part.replace(place)


def append(path: Path, rows: Sequence[Row]) -> None:
    """Write further rows, each into its file."""
    _append(path, (row for row in rows if not is_extra(row)))
    _append(extra_of(path), filter(is_extra, rows))


def _append(path: Path, rows: Iterable[Row]) -> None:
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.DictWriter(file, COLUMNS).writerows(map(as_text, rows))


def with_bounds(rows: Sequence[Row]) -> list[Row]:
    """Every row with the known-rate oracle's cost of its cell and seed; without one where the cell is infeasible."""
    costs = {(row.cell, row.seed): row.cost for runs in oracle(by_cell(rows)).values() for row in runs}
    return [replace(row, bound=costs.get((row.cell, row.seed))) for row in rows]


def _complete(line: Mapping[str, str | None]) -> bool:
    return all(line.get(name) for name in COLUMNS if name != "bound")

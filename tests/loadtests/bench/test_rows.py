"""The rows of all runs as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from loadtests.bench.rows import append, as_text, file_of, files_in, known, row_of, with_bounds, write
from tests.loadtests.bench.test_score import ROWS, row

COLUMNS = "cell,seed,policy,knob,late,cost,work,bound,configuration"


def test_rows_read_back_as_they_were_written() -> None:
    """Every number; a bound that there is not as nothing."""
    one = row("ours", "a/b", 1 / 3, 2 / 7)
    assert row_of(as_text(one)) == one
    assert as_text(one)["bound"] == ""
    assert row_of(as_text(replace(one, bound=2 / 3))).bound == 2 / 3


def test_columns_are_those_that_others_read(tmp_path: Path) -> None:
    """In this order, before those that only the report needs."""
    write(tmp_path / "runs.csv", ROWS)
    assert (tmp_path / "runs.csv").read_text().startswith(COLUMNS + ",")


def test_the_files_of_all_shards_are_known(tmp_path: Path) -> None:
    """Each row once; not those of another configuration, nor a line that was cut off."""
    write(tmp_path / file_of(None), ROWS[:2])
    write(tmp_path / file_of((1, 2)), [])
    append(tmp_path / file_of((1, 2)), ROWS[1:4])
    append(tmp_path / file_of((1, 2)), [replace(ROWS[5], configuration="other")])
    path = tmp_path / file_of((2, 2))
    write(path, ROWS[4:5])
    with path.open("a") as file:
        file.write("hard,0,ours,none,0.03")
    assert (tmp_path / "runs-1-of-2.csv").exists()
    assert sorted(map(repr, known(files_in(tmp_path), "c"))) == sorted(map(repr, ROWS[:5]))


def test_the_bound_is_the_oracles_cost_where_there_is_one() -> None:
    """Of the same cell and seed; nothing where the cell is infeasible."""
    bounds = {(one.policy, one.cell, one.seed): one.bound for one in with_bounds(ROWS)}
    assert bounds["ours", "easy", 0] == 12.0
    assert bounds["oracle", "easy", 0] == 12.0
    assert bounds["hpa", "easy", 1] == 12.0
    assert bounds["ours", "hard", 0] is None

"""Recorded traces among the cells, and shards."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from loadtests.bench import __main__ as bench
from loadtests.bench.__main__ import _shard, jobs
from loadtests.bench.cells import HEADLINE, fitting, pairs, read_matrix, recorded_rates
from loadtests.bench.job import Job
from loadtests.bench.rows import append
from loadtests.bench.run import Row, Setting
from loadtests.bench.settings import settings
from loadtests.bench.timeline import timeline
from loadtests.traces.table import TraceError
from tests.loadtests.bench.test_score import row

HOUR = 3600


def counts(path: Path, hours: list[int]) -> None:
    """A file with so many requests in the first second of each hour."""
    numbers = [n if second == 0 else 0 for n in hours for second in range(HOUR)]
    path.write_text(" ".join(map(str, numbers)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three traces: two whole days, one and a half, and two of which one is empty."""
    counts(tmp_path / "long.counts", [1] * 24 + [3] * 24)
    counts(tmp_path / "short.counts", [1] * 36)
    counts(tmp_path / "idle.counts", [1] * 24 + [0] * 24)
    return tmp_path


def test_traces_that_are_too_short_or_idle_are_left_out_and_named(folder: Path) -> None:
    """Days of history and the scored one have to be there."""
    found, left_out = fitting(folder, 2)
    assert [name for name, _ in found] == ["long"]
    assert sorted(reason.split()[0] for reason in left_out) == ["idle", "short"]
    assert [name for name, _ in fitting(folder, 1)[0]] == ["long", "short"], (
        "its last day is the idle one's empty one"
    )


def test_a_recorded_trace_keeps_its_shape(folder: Path) -> None:
    """The last whole days at the mean that is asked for."""
    rates, step = recorded_rates(str(folder), "long", 2.0, 2)
    assert (len(rates) * step, rates.mean()) == (2 * 86400, pytest.approx(2.0))
    day = int(86400 / step)
    assert rates[day:].mean() == pytest.approx(3 * rates[:day].mean())
    assert recorded_rates(str(folder), "long", 2.0, 1)[0].mean() == pytest.approx(2.0)


def test_a_recorded_trace_makes_cells(folder: Path) -> None:
    """As many as an embedded one, whose load is its own."""
    embedded = read_matrix(largest_work=0.5)
    more = read_matrix(largest_work=0.5, recorded=[("long", str(folder))])
    assert len(more.cells) * 6 == len(embedded.cells) * 7
    cell = more.cells[-1]
    assert cell.trace == "long"
    assert cell.load(1, 2).rates.mean() == pytest.approx(cell.mean_work / cell.work_seconds)


def test_a_folder_without_traces_is_refused(tmp_path: Path) -> None:
    """With what would be one."""
    with pytest.raises(TraceError, match="known are"):
        fitting(tmp_path, 2)


@pytest.mark.parametrize("text", ["", "3", "0/2", "3/2", "a/b"])
def test_a_shard_is_one_of_its_number(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ArgumentTypeError):
        _shard(text)


def test_jobs_are_what_is_left() -> None:
    """Ours fifteen services at a time; all that is left of the others for each service."""
    of = [(cell, 0) for cell in read_matrix(largest_work=0.5).cells[:20]]
    wanted = [Setting("ours"), Setting("oracle", 0.006), Setting("kpa", 0.5, 60.0)]
    done = [row("kpa", of[0][0].name, 0.0, 1.0, knob=wanted[2].knob)]
    left = list(jobs(wanted, of, done, 0, "c"))
    assert [(job.settings, len(job.pairs)) for job in left] == [
        (wanted[:1], 15),
        (wanted[:1], 5),
        (wanted[1:2], 1),
        *[(wanted[1:], 1)] * 19,
    ]
    assert _shard("2/2") == (2, 2)


def test_the_headlines_cells_are_36_of_the_matrix() -> None:
    """With ours and the oracle alone, and seeds that can be others than those that anything was tuned on."""
    cells = read_matrix(HEADLINE).cells
    assert len(cells) == 36
    assert set(cells) <= set(read_matrix().cells)
    assert {seed for _, seed in pairs(cells, 2, 40)} == {40, 41}
    assert {one.policy for one in settings([])} == {"oracle", "clairvoyant", "ours"}


def test_a_day_is_drawn() -> None:
    """A small service's: load, replicas beside the oracle's, and who was late."""
    cell = min(read_matrix(largest_work=0.2).cells, key=lambda one: one.start_seconds)
    page = timeline(cell, 0, 0, hours=0.25)
    assert page.count("<figure>") == 3
    assert "known-rate oracle" in page
    assert page.count("late") >= 2


def test_a_shard_goes_on_where_it_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps what it has, and takes the same cells and seeds as before: those that no other shard takes."""
    monkeypatch.setitem(sys.modules, "numba", ModuleType("numba"))
    asked: list[set[tuple[str, int]]] = []

    def run_first(left: Sequence[Job], rows: list[Row], path: Path, processes: int) -> None:
        asked.append({(cell.name, seed) for job in left for cell, seed in job.pairs})
        (cell, seed) = left[-1].pairs[0]
        made = [
            replace(
                row(one.policy, cell.name, 0.0, 1.0, seed, one.knob), configuration=left[-1].configuration
            )
            for one in left[-1].settings
        ]
        append(path, made)
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "run_all", run_first)
    command = ["--cells", "6", "--seeds", "1", "--peer", "kpa", "--out", str(tmp_path), "--shard"]
    for shard in ("1/2", "1/2", "2/2"):
        with pytest.raises(KeyboardInterrupt):
            bench.main([*command, shard])
    assert [len(each) for each in asked] == [3, 3, 3], "ours is left of the one that was done"
    assert asked[0] == asked[1]
    assert not asked[0] & asked[2]
    counts = {path.name: len(path.read_text().splitlines()) for path in tmp_path.glob("runs-*.csv")}
    assert counts["runs-1-of-2.csv"] == 1 + 2 * (counts["runs-2-of-2.csv"] - 1)

"""The study of judges: its exact test, its rules on windows made by hand, and what it writes."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from loadtests.judge_study import command
from loadtests.judge_study.fisher import best_power, best_unbiased_power, is_significant
from loadtests.judge_study.grid import CELLS, CELLS_WITH_FEW, DETECTIONS, draw
from loadtests.judge_study.measure import measure_cell
from loadtests.judge_study.report import render
from loadtests.judge_study.rules import NEVER, RULES, argo, flagger, mann_whitney, peeking_fisher
from loadtests.judge_study.summary import is_complete
from serving_operator.judge.comparison import Counts, columns
from serving_operator.judge.verdict import limits_of
from serving_operator.judge.windows import Window

LIMITS = limits_of(99)
DOCUMENT = Path(__file__).parents[2] / "docs" / "judge.md"


def of_windows(*windows: Window) -> Counts:
    return columns(list(windows))


def exact_tail(table: Window) -> float:
    """P(X ≥ bad) by whole numbers."""
    size, bad, others, others_bad = table
    total = bad + others_bad
    ways = sum(math.comb(size, k) * math.comb(others, total - k) for k in range(bad, min(size, total) + 1))
    return ways / math.comb(size + others, total)


def test_fishers_test_is_exact() -> None:
    """For every small table the verdict is that of the tail counted in whole numbers."""
    tables = [
        Window(n, y, m, z)
        for n, m in product(range(6), (0, 1, 3, 7))
        for y in range(n + 1)
        for z in range(m + 1)
    ]
    for level in (0.051, 0.31):  # no tail is equal to these
        found = is_significant(of_windows(*tables), level)[:, 0]
        expected = [exact_tail(table) < level and table.bad > 0 for table in tables]
        assert found.tolist() == expected


def test_fishers_test_holds_for_many_requests() -> None:
    """Large tables, one far and one near the level, agree with whole numbers too."""
    tables = [Window(3000, bad, 27000, 540) for bad in (110, 76, 72)]
    found = is_significant(of_windows(*tables), 0.05)[:, 0].tolist()
    assert found == [exact_tail(table) < 0.05 for table in tables]
    assert found == [True, True, False]


def test_the_bounds_of_testing_are_ordered() -> None:
    """Knowing stable's share cannot hurt, more requests neither; no difference gives the level."""
    assert best_power(30, 0.02, 0.02, 0.025) == pytest.approx(0.025)
    assert best_unbiased_power(30, 270, 0.02, 0.02, 0.025) == pytest.approx(0.025)
    assert best_unbiased_power(30, 270, 0.02, 0.2, 0.025) < best_power(30, 0.02, 0.2, 0.025)
    assert best_power(30, 0.02, 0.1, 0.025) < best_power(60, 0.02, 0.1, 0.025)


def test_flagger_aborts_at_the_fifth_failed_check_and_without_requests() -> None:
    """A check fails below 99% and where there is no request."""
    fine, wrong, empty = Window(100, 1, 900, 0), Window(100, 2, 900, 0), Window(0, 0, 900, 0)
    assert flagger(of_windows(*[fine] * 30), LIMITS).bad_at.item() == NEVER
    assert flagger(of_windows(*[fine, wrong, empty] * 10), LIMITS).bad_at.item() == 8


def test_argo_aborts_at_the_fourth_failure() -> None:
    """Three failures are within the limit; windows without requests are none."""
    wrong, empty = Window(100, 6, 900, 0), Window(0, 0, 900, 0)
    assert argo(of_windows(*[wrong] * 3, *[empty] * 27), LIMITS).bad_at.item() == NEVER
    assert argo(of_windows(*[empty] * 2, *[wrong] * 28), LIMITS).bad_at.item() == 6


def test_peeking_adds_up_what_it_has_seen() -> None:
    """The test is of all requests so far."""
    window = Window(6, 1, 54, 1)
    assert exact_tail(window) > 0.05 > exact_tail(Window(24, 4, 216, 4))
    assert 1 < peeking_fisher(of_windows(*[window] * 30), LIMITS).bad_at.item() <= 4


def test_mann_whitney_looks_once_and_is_blind_where_most_windows_are_clean() -> None:
    """It sees what is bad in most windows, not what is bad in a few."""
    often, seldom, clean = Window(60, 6, 540, 1), Window(60, 30, 540, 1), Window(60, 0, 540, 1)
    assert mann_whitney(of_windows(*[often] * 30), LIMITS).bad_at.item() == 30
    assert mann_whitney(of_windows(*[seldom, clean, clean] * 10), LIMITS).good_at.item() == 30


def test_cells_are_drawn_alike_by_the_same_seed_only() -> None:
    """Same seed and number, same figures; another number, another draw."""
    cell = CELLS[0]
    assert measure_cell(1, 0, cell, 50, 20) == measure_cell(1, 0, cell, 50, 20)
    assert measure_cell(1, 0, cell, 50, 20) != measure_cell(1, 1, cell, 50, 20)


def test_overdispersed_counts_have_the_variance_that_they_are_named_for() -> None:
    """The share of bad requests of a window varies 1 + ρ(n − 1) times as much as that of independent ones."""
    cell = next(c for c in CELLS if (c.requests_per_second, c.weight_percent, c.base_percent) == (10, 50, 5))
    plain = draw(np.random.default_rng(1), cell, 0.05, 400)
    spread = draw(np.random.default_rng(1), cell, 0.05, 400, dispersion=0.02)
    inflation = np.var(spread.bad / spread.requests) / np.var(plain.bad / plain.requests)
    assert inflation == pytest.approx(1 + 0.02 * 299, rel=0.1)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a short study has written."""
    out = tmp_path_factory.mktemp("study")
    assert command.main(["--runs", "8", "--rival-runs", "4", "--out", str(out)]) == 0
    return out


def test_the_summary_has_every_rule_and_cell(written: Path) -> None:
    """Per rule and cell: false abort, false promote, promoted, median windows, share inconclusive."""
    summary = json.loads((written / "summary.json").read_text())
    assert is_complete(summary)
    assert set(summary["rules"]) == set(summary["worst"]) == set(RULES)
    assert len(summary["detections"]) == len(DETECTIONS)
    wanted = {"false_abort", "false_promote", "promoted", "median_windows_to_promote", "inconclusive"}
    for cells in summary["rules"].values():
        assert len(cells) == len(CELLS) + len(CELLS_WITH_FEW)
        assert all(wanted <= set(cell) for cell in cells)
        assert all(
            0 <= cell[key] <= 1 for cell in cells for key in ("false_abort", "promoted", "inconclusive")
        )


def test_every_key_of_the_summary_is_documented(written: Path) -> None:
    """docs/judge.md names each key that the summary has."""
    summary = json.loads((written / "summary.json").read_text())
    keys = set(summary) | set(summary["constants"]) | set(summary["rules"]["ours"][0]) | set(summary["rules"])
    keys |= (
        set(summary["detections"][0]) | set(summary["worst"]["ours"]) | set(summary["false_promote_together"])
    )
    text = DOCUMENT.read_text()
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_the_report_tells_the_summary(written: Path) -> None:
    """The report is rendered from the summary alone, all cells in it."""
    summary = json.loads((written / "summary.json").read_text())
    report = (written / "report.md").read_text()
    assert report == render(summary)
    assert report.count(" rps, ") >= len(CELLS) + len(CELLS_WITH_FEW)


def test_an_interrupted_study_leaves_nothing_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends it with status 130, and an earlier report stays."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "report.md").write_text("earlier")
    monkeypatch.setattr(command, "measure_cell", interrupted)
    assert command.main(["--out", str(tmp_path)]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    assert (tmp_path / "report.md").read_text() == "earlier"


def test_a_study_without_runs_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """At least one run a cell is needed."""
    with pytest.raises(SystemExit):
        command.main(["--runs", "0"])
    assert "at least 1" in capsys.readouterr().err

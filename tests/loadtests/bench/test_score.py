"""Which cells are feasible and held, who is cheapest, and what the summary says."""

from __future__ import annotations

import pytest

from loadtests.bench.cells import Cell, read_matrix
from loadtests.bench.job import Job
from loadtests.bench.report import markdown
from loadtests.bench.run import Row, Setting
from loadtests.bench.score import by_cell as grouped
from loadtests.bench.score import holds, oracle, standings, summary

SUMMARY_KEYS = {
    "configuration",
    "cells",
    "cells_feasible",
    "seeds",
    "runs",
    "settings",
    "settings_incomplete",
    "ours_cells_held",
    "ours_cost_over_work",
    "ours_cost_over_oracle",
    "ours_late",
    "peer_that_holds_most",
    "peer_that_holds_most_gap_closed",
    "peer_that_holds_all",
    "peer_that_holds_all_cost_ratio",
    "retuned_keda_cells",
    "retuned_keda_cost_ratio",
    "clairvoyant_cost_ratio",
    "smooth_over_clairvoyant",
    "cells_infeasible",
    "cells_infeasible_won",
}


def row(policy: str, cell: str, late: float, cost: float, seed: int = 0, knob: str = "none") -> Row:
    """A run with ten units of work."""
    return Row(cell, seed, policy, knob, late, cost, 10.0, None, "c", late, 0.0, 1)


ROWS = [
    *(row("oracle", "easy", 0.002, 13.0, seed, "allowed=0.002") for seed in (0, 1)),
    *(row("oracle", "easy", 0.007, 12.0, seed, "allowed=0.006") for seed in (0, 1)),
    *(row("oracle", "easy", 0.009, 11.0, seed, "allowed=0.012") for seed in (0, 1)),
    row("oracle", "hard", 0.020, 12.0, knob="allowed=0.002"),
    *(row("ours", "easy", 0.005, 15.0, seed) for seed in (0, 1)),
    row("ours", "hard", 0.030, 15.0),
    row("kpa", "easy", 0.009, 18.0, knob="target=0.5"),
    row("kpa", "easy", 0.010, 18.0, seed=1, knob="target=0.5"),
    *(row("hpa", "easy", 0.050, 10.0, seed, "target=0.9") for seed in (0, 1)),
    row("hpa", "easy", 0.001, 10.0, knob="target=0.8"),
]


def test_a_cell_is_feasible_where_an_oracle_is_hardly_late() -> None:
    """The cheapest of its schedules that is counts; the other cell stays in the table, and is not judged."""
    found = oracle(grouped(ROWS))
    assert {cell: {row.knob for row in runs} for cell, runs in found.items()} == {"easy": {"allowed=0.006"}}


@pytest.mark.parametrize(
    ("late", "held", "why"),
    [
        ((0.010, 0.010), True, "the mean is the limit"),
        ((0.013, 0.004), True, "one seed may be above it"),
        ((0.014, 0.004), False, "but not by so much"),
        ((0.011, 0.011), False, "the mean is above"),
    ],
)
def test_a_cell_is_held(late: tuple[float, float], held: bool, why: str) -> None:
    """By the mean of the seeds and by the worst of them."""
    assert holds([row("ours", "c", share, 1.0, seed) for seed, share in enumerate(late)]) == held, why


def test_settings_stand_by_cost_on_the_feasible_cells() -> None:
    """The cheapest first, whether it holds or not; not one that has not run with every seed."""
    found = standings(ROWS)
    assert [(one.policy, one.held, one.cells) for one in found] == [
        ("hpa", 0, 1), ("oracle", 1, 1), ("ours", 1, 1), ("kpa", 1, 1),
    ]  # fmt: skip
    assert found[2].cost_over_oracle == pytest.approx(1.25)


def test_the_summary_compares_with_the_cheapest_that_holds() -> None:
    """Half of the way from the peer to the oracle is a gap closed by one half."""
    found = summary(ROWS)
    assert set(found) == SUMMARY_KEYS
    assert (found["settings"], found["settings_incomplete"]) == (4, 1)
    assert found["peer_that_holds_all"] == "kpa target=0.5"
    assert found["peer_that_holds_all_cost_ratio"] == pytest.approx(15 / 18)
    assert found["peer_that_holds_most_gap_closed"] == pytest.approx(0.5)
    assert (found["cells"], found["cells_feasible"], found["ours_cells_held"]) == (2, 1, 1)
    assert "| ours | none | 1 of 1 |" in markdown(ROWS, found)


def test_ours_is_compared_with_who_knows_the_day() -> None:
    """Of KEDA's thresholds and the clairvoyant's schedules the cheapest that holds, cell by cell."""
    settings = [
        ("keda-rate", "easy", 0.02, 11.0, "target=0.9"),
        ("keda-rate", "easy", 0.009, 13.0, "target=0.8"),
        ("keda-queue", "easy", 0.0, 20.0, "target=1"),
        ("keda-rate", "hard", 0.02, 20.0, "target=0.9"),
        ("clairvoyant", "easy", 0.008, 12.0, "headroom=0.9,window=15"),
        ("clairvoyant", "easy", 0.02, 10.0, "headroom=0.7,window=15"),
    ]
    more = [row(p, cell, late, cost, seed, knob) for p, cell, late, cost, knob in settings for seed in (0, 1)]
    more.append(row("keda-rate", "easy", 0.0, 5.0, knob="target=1"))  # with one seed it says little
    extra = [row("keda-hindsight", "easy", 0.01, 12.5, seed, "target=0.825") for seed in (0, 1)]
    found = summary([*ROWS, *more], extra)
    assert (found["retuned_keda_cells"], found["retuned_keda_cost_ratio"]) == (1, pytest.approx(15 / 12.5))
    assert found["clairvoyant_cost_ratio"] == pytest.approx(15 / 12)
    assert "| 1 of 1 | 1.250 | 1.250 |  | 1.200 |" in markdown([*ROWS, *more], found, extra)


def test_ours_wins_a_cell_that_nobody_holds_by_being_less_late() -> None:
    """Than every setting of a peer that costs no more."""
    assert (summary(ROWS)["cells_infeasible"], summary(ROWS)["cells_infeasible_won"]) == (1, 1)
    for cost, late, is_won in ((14.0, 0.02, 0), (16.0, 0.02, 1), (14.0, 0.04, 1)):
        found = summary([*ROWS, row("kpa", "hard", late, cost, knob="target=0.3")])
        assert found["cells_infeasible_won"] == is_won


def test_the_subset_has_something_of_everything() -> None:
    """Every trace, amount of work, kind of service, variation and routing, each cell once."""
    matrix = read_matrix(largest_work=15)
    chosen = matrix.subset(24)
    assert len(set(chosen)) == 24
    for value in (
        lambda cell: cell.trace,
        lambda cell: cell.mean_work,
        lambda cell: (cell.objective, cell.start_seconds),
        lambda cell: cell.variation,
        lambda cell: cell.routing,
    ):
        assert {value(cell) for cell in chosen} == {value(cell) for cell in matrix.cells}
    assert matrix.subset(10_000) == matrix.cells


def test_a_run_scores_the_day_after_the_history() -> None:
    """Of a tiny service, for the oracle: what it costs is at least one replica, and all of it is counted."""
    cell = Cell("diurnal", 0.02, 0.5, 5.0, 60.0, 0.5, "least-request")
    (found,) = Job([Setting("oracle", 0.006)], [(cell, 1)], 0, "c").run()
    assert found.cost >= 86400
    assert 0.01 * 86400 < found.work < 0.04 * 86400
    assert found.late < 0.02


def test_the_clairvoyant_knows_what_will_come() -> None:
    """On the day that is scored it is hardly later than with twice its headroom, which costs more."""
    cell = Cell("bursts", 0.02, 0.5, 5.0, 60.0, 0.5, "least-request")
    settings = [Setting("clairvoyant", headroom, 15.0) for headroom in (1.0, 2.0)]
    one, two = Job(settings, [(cell, 1)], 0, "c").run()
    assert one.cost <= two.cost
    assert two.late <= one.late < 0.1

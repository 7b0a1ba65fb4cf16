"""The benchmark's pictures."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from loadtests.bench.plots import cost_over_bound, front, pareto
from loadtests.bench.score import Standing
from tests.loadtests.bench.test_score import row

ROWS = [
    row("oracle", "bursts/a=5/x", 0.002, 12.0),
    row("ours", "bursts/a=5/x", 0.005, 15.0),
    row("kpa", "bursts/a=5/x", 0.009, 18.0, knob="target=0.5"),
    row("kpa", "bursts/a=5/x", 0.030, 14.0, knob="target=0.9"),
    row("oracle", "bursts/a=0.5/x", 0.002, 12.0),
    row("ours", "bursts/a=0.5/x", 0.005, 15.0),
    row("kpa", "bursts/a=0.5/x", 0.009, 18.0, knob="target=0.5"),
    row("kpa", "bursts/a=0.5/x", 0.030, 14.0, knob="target=0.9"),
]


def standing(cost: float, late: float) -> Standing:
    """A setting of one policy."""
    return Standing("kpa", f"{cost}", 1, 1, cost, late, late, late, cost)


def test_a_front_is_of_those_that_none_beats() -> None:
    """Neither the dearer one that is later, nor what lies outside of the picture."""
    tried = ((1.5, 0.02), (1.2, 0.05), (1.6, 0.03), (2.0, 0.001), (5.0, 0.0), (1.1, 0.2))
    found = front(standing(cost, late) for cost, late in tried)
    assert found == [(1.2, 5.0), (1.5, 2.0), (2.0, 0.1)]


def test_a_front_of_one_is_seen() -> None:
    """As a dash: a line of one point would be none."""
    (left, _), (right, _), _ = front([standing(1.5, 0.02)])
    assert left < 1.5 < right


def test_sizes_are_plots_of_their_own() -> None:
    """The smallest first, with the names of the policies."""
    picture = pareto(ROWS)
    ElementTree.fromstring(picture)
    assert picture.index("0.5 replicas busy") < picture.index(
        "5 replicas busy on average", picture.index("0.5") + 20
    )
    assert "kpa" in picture
    assert "ours" in picture


def test_every_cell_has_its_ratio() -> None:
    """Ours, and the best of the peers with its setting."""
    picture = cost_over_bound(ROWS)
    ElementTree.fromstring(picture)
    assert ">ours<" in picture

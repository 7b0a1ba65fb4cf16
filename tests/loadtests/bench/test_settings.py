"""Which settings are compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from loadtests.bench.run import SIMULATED_PEERS, Setting
from loadtests.bench.settings import refined, settings
from tests.loadtests.bench.test_score import row


def test_each_peer_has_ten_points_and_two_holds() -> None:
    """With one replica at least; without ours and the oracle's, which have no knob, and the static one's holds."""
    found = Counter(one.policy for one in settings(SIMULATED_PEERS))
    assert found.pop("ours") == found.pop("oracle") == 1
    assert found.pop("static") == 10
    assert set(found.values()) == {20}


def test_the_full_grid_has_every_step() -> None:
    """From a twentieth on in steps of 2.5 points, four holds, one replica at least or two."""
    found = [
        one for one in settings(["kpa", "hpa-utilization"], full=True) if one.policy == "hpa-utilization"
    ]
    assert len(found) == 39 * 4 * 2
    assert {0.05, 0.075, 0.625, 1.0} <= {one.target for one in found}
    assert {one.knob for one in found} >= {"target=0.625,hold=120,min=2", "target=0.05,hold=300,min=1"}
    assert len({one.knob for one in found}) == len(found)


@pytest.mark.parametrize(
    ("late", "expected", "why"),
    [
        (0.005, {0.55, 0.575, 0.625, 0.65}, "on both sides of the cheapest that holds"),
        (0.05, set(), "none holds, so there is none to refine"),
    ],
)
def test_a_peers_best_is_refined(late: float, expected: set[float], why: str) -> None:
    """In steps of 2.5 points with its own hold; what was tried is not tried again."""
    tried = [Setting("kpa", 0.6, 60.0), Setting("kpa", 0.5, 60.0), Setting("kpa", 0.65, 300.0)]
    rows = [
        row("oracle", "easy", 0.002, 12.0),
        row("kpa", "easy", late, 15.0, knob=tried[0].knob),
        row("kpa", "easy", late, 18.0, knob=tried[1].knob),
    ]
    found = refined(rows, tried)
    assert {one.target for one in found} == expected, why
    assert {one.hold_seconds for one in found} <= {60.0}
    known = [*tried, replace(tried[0], target=0.55)]
    assert {one.target for one in refined(rows, known)} == expected - {0.55}

"""Which settings are compared."""

from __future__ import annotations

from collections import Counter

import pytest

from loadtests.bench.run import SIMULATED_PEERS, Setting
from loadtests.bench.settings import refined, retuned, settings
from tests.loadtests.bench.test_score import row


def test_each_peer_has_ten_points_and_two_holds() -> None:
    """With one replica at least; without ours, which has no knob, what oracle and clairvoyant allow themselves, and the static one's holds."""
    found = Counter(one.policy for one in settings(SIMULATED_PEERS))
    assert (found.pop("ours"), found.pop("oracle"), found.pop("clairvoyant")) == (1, 11, 30)
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
        (0.005, {0.525, 0.55, 0.575, 0.65, 0.7, 0.75}, "on both sides of the cheapest that holds"),
        (0.05, set(), "none holds, so there is none to refine"),
    ],
)
def test_a_peers_best_is_refined(late: float, expected: set[float], why: str) -> None:
    """Up to the neighbours of its own hold; what was tried is not tried again."""
    tried = [Setting("kpa", target, 60.0) for target in (0.4, 0.5, 0.6, 0.8)]
    tried.append(Setting("kpa", 0.65, 300.0))
    rows = [
        row("oracle", "easy", 0.002, 12.0, knob="allowed=0.006"),
        row("kpa", "easy", late, 15.0, knob=tried[2].knob),
        row("kpa", "easy", late, 18.0, knob=tried[1].knob),
    ]
    found = refined(rows, tried)
    assert {one.target for one in found} == expected, why
    assert {one.hold_seconds for one in found} <= {60.0}


def test_the_cheapest_that_holds_all_is_refined_as_well() -> None:
    """Beside the cheapest that holds nine tenths, where that is another."""
    tried = [Setting("kpa", target, 60.0) for target in (0.4, 0.6, 0.8)]
    cells = [f"c{number}" for number in range(10)]
    rows = [row("oracle", cell, 0.002, 12.0, knob="allowed=0.006") for cell in cells]
    rows += [row("kpa", cell, 0.02 if cell == "c0" else 0.0, 13.0, knob=tried[2].knob) for cell in cells]
    rows += [row("kpa", cell, 0.0, 18.0, knob=tried[0].knob) for cell in cells]
    assert {one.target for one in refined(rows, tried)} == {0.45, 0.5, 0.55, 0.65, 0.7, 0.75}


def test_keda_is_tuned_for_each_cell_in_steps() -> None:
    """From the highest threshold that holds it to the next one, with each hold that holds it at all."""
    tried = [Setting("keda-rate", target, hold) for target in (0.6, 0.7, 0.8) for hold in (60.0, 300.0)]
    rows = [row("oracle", cell, 0.002, 12.0, knob="allowed=0.006") for cell in ("easy", "steep", "last")]
    for one in tried:
        rows.append(row("keda-rate", "easy", 0.0 if one.target < 0.75 else 0.02, 15.0, knob=one.knob))
        rows.append(row("keda-rate", "steep", 0.5, 15.0, knob=one.knob))
        rows.append(row("keda-rate", "last", 0.0, 15.0, knob=one.knob))
    found = retuned(rows, tried)
    assert {(one.target, one.hold_seconds) for one in found["easy"]} == {
        (target, hold) for target in (0.725, 0.75, 0.775) for hold in (60.0, 300.0)
    }
    assert "steep" not in found
    assert {one.target for one in found["last"]} >= {0.825, 0.975, 1.0}
    assert {one.policy for one in found["easy"]} == {"keda-hindsight"}

"""What the demo knows of its canaries: metrics and status in, tallies by step out."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.demo.evidence import (
    ABORTS,
    ADVANCES,
    Counted,
    Tally,
    counted,
    evidence,
    lines,
    of_steps,
    towards,
)
from loadtests.demo.observation import Canary, Snapshot
from serving_operator.judge.verdict import judge, limits_of
from serving_operator.judge.windows import Window

LIMITS = limits_of(99)
ID = "bbbbbbbb-2"
GOOD = {
    "verdict": "Good",
    "source": "runtime",
    "step": 0,
    "windows": 2,
    "requests": 60,
    "badRequests": 0,
    "stableRequests": 180,
    "stableBadRequests": 1,
    "worseThanStable": "0.31",
    "goodEnough": "21.5",
}


def series(name: str, value: str, **labels: str) -> dict[str, Any]:
    return {"metric": {"__name__": f"serving_canary_{name}", "attempt": ID, **labels}, "value": [0, value]}


ANSWER = [
    {"metric": {"__name__": "serving_canary_weight_percent", "revision": "bbbbbbbb"}, "value": [0, "25"]},
    series("windows", "2", source="runtime"),
    series("requests", "60", side="canary"),
    series("requests", "180", side="stable"),
    series("bad_requests", "0", side="canary"),
    series("bad_requests", "1", side="stable"),
    series("evidence_missing", "1", reason="NoSeries"),
]


def said(seconds: float, evidence: dict[str, Any] | None) -> tuple[float, Snapshot]:
    return seconds, Snapshot(canary=Canary(ID, "bbbbbbbb", 25, "", evidence))


def test_the_metrics_of_a_step_are_read_by_side() -> None:
    """Sums of canary and stable are told apart; without a step, or in the moment of two attempts, nothing is known."""
    assert counted(ANSWER) == Counted(ID, 2, 60, 0, 180, 1)
    assert counted(ANSWER[:1]) is None
    assert counted(ANSWER[:1] + ANSWER[-1:]) is None
    other = series("windows", "1") | {
        "metric": {"__name__": "serving_canary_windows", "attempt": "cccccccc-3"}
    }
    assert counted([*ANSWER, other]) is None


def test_windows_are_what_the_sums_grow_by() -> None:
    """The judge is given the same windows as in the operator, and says the same."""
    sums = [Counted(ID, 0, 0, 0, 0, 0), Counted(ID, 1, 30, 0, 90, 1), Counted(ID, 2, 55, 9, 180, 1)]
    tallies = [tally for _, tally in evidence([], list(enumerate(sums)), LIMITS)]
    wanted = judge([Window(30, 0, 90, 1), Window(25, 9, 90, 0)], LIMITS)
    assert [tally.windows for tally in tallies] == [0, 1, 2]
    assert (tallies[-1].requests, tallies[-1].bad, tallies[-1].verdict) == (55, 9, "")
    assert (tallies[-1].worse_than_stable, tallies[-1].good_enough) == (wanted.worse, wanted.good_enough)


def test_a_step_begins_anew() -> None:
    """Fewer windows than before are the next step's; another attempt begins at its first."""
    counts = [
        (1.0, Counted(ID, 4, 120, 0, 360, 0)),
        (2.0, Counted(ID, 1, 60, 0, 60, 0)),
        (3.0, None),
        (4.0, Counted("cccccccc-3", 1, 30, 30, 90, 0)),
    ]
    found = [(tally.attempt, tally.step, tally.requests) for _, tally in evidence([], counts, LIMITS)]
    assert found == [(ID, 0, 120), (ID, 1, 60), ("cccccccc-3", 0, 30)]


def test_of_a_step_stays_its_verdict() -> None:
    """The numbers of a verdict stay, although windows are counted after it; a later verdict replaces it."""
    counts = [(1.0, Counted(ID, 1, 30, 0, 90, 0)), (3.0, Counted(ID, 3, 90, 0, 270, 1))]
    known = evidence([said(0.0, None), said(2.0, GOOD), said(2.5, GOOD)], counts, LIMITS)
    assert [seconds for seconds, _ in known] == [1.0, 2.0, 3.0]
    assert of_steps(known, ID) == [Tally(ID, 0, 2, 60, 0, 180, 1, 0.31, 21.5, "Good")]
    assert of_steps(known[:1], ID)[0].verdict == ""
    bad = evidence([said(2.0, GOOD), said(4.0, GOOD | {"verdict": "Bad"})], counts, LIMITS)
    assert [tally.verdict for tally in of_steps(bad, ID)] == ["Bad"]
    assert of_steps(known, "cccccccc-3") == []


@pytest.mark.parametrize(
    ("ratio", "bound", "percent"), [(1, ADVANCES, 0), (0.2, ADVANCES, 0), (ADVANCES, ADVANCES, 100), (ABORTS**2, ABORTS, 200)]
)  # fmt: skip
def test_the_way_to_a_bound_is_in_logarithms(ratio: float, bound: float, percent: float) -> None:
    """A ratio of 1 or less has gone none of it, the bound all of it."""
    assert towards(ratio, bound) == pytest.approx(percent)


def test_lines_break_between_steps() -> None:
    """A step that ends, and one that follows another at once, leave a gap in the plot."""
    first, second = Tally(ID, 0, 1, 30, 0, 90, 0, 1, ADVANCES), Tally(ID, 1, 0, 0, 0, 0, 0, 1, 1)
    good, worse = lines([(1.0, first), (2.0, second)], [(0.0, None), (3.0, None)])
    assert good == [(1.0, pytest.approx(100)), (2.0, None), (2.0, 0), (3.0, None)]
    assert worse == [(1.0, 0), (2.0, None), (2.0, 0), (3.0, None)]

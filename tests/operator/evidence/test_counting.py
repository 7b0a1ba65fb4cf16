"""Integers from counters: resets, gaps, series that come and go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_operator.evidence.counting import HISTORY_SECONDS, grown

START, END = 1000, 1060
GRID = st.integers(0, 12).map(lambda index: START + 5 * index)


@pytest.mark.parametrize(
    ("points", "from_zero", "expected"),
    [
        ([(1000, 7), (1030, 9), (1060, 12)], True, 5),
        ([(1000, 7), (1030, 2), (1060, 3)], True, 3),
        ([(990, 7), (1060, 12)], True, 5),
        ([(1020, 4), (1060, 6)], True, 6),
        ([(1020, 4), (1060, 6)], False, 2),
        ([(1000, 7), (1020, 9)], True, 2),
        ([(1000 - HISTORY_SECONDS - 5, 7), (1020, 9)], True, 9),
        ([(1000, 7), (1065, 90)], True, 0),
        ([], True, 0),
    ],
    ids=[
        "plain",
        "reset",
        "gap-at-start",
        "new",
        "not-known-new",
        "vanishes",
        "old-history",
        "after-the-end",
        "none",
    ],
)
def test_growth(points: list[tuple[float, float]], from_zero: bool, expected: int) -> None:
    """What one series grew by in a window."""
    assert grown(points, START, END, from_zero=from_zero) == expected


@given(st.dictionaries(GRID, st.integers(0, 50), min_size=1), st.sets(GRID))
def test_growth_is_what_happened(steps: dict[int, int], restarts: set[int]) -> None:
    """Whatever was counted up to the last point is found, through restarts, if each is seen as a fall."""
    value, total, points = 0, 0, [(START - 5, 0.0)]
    for at in sorted(steps):
        if at in restarts and value > steps[at]:
            value = 0
        value += steps[at]
        total += steps[at] if at > START else 0
        points.append((at, float(value)))

    assert grown(points, START, END, from_zero=True) == total


@given(st.lists(st.tuples(GRID, st.integers(0, 99)), max_size=12), st.integers(1, 11))
def test_windows_add_up(raw: list[tuple[int, int]], cut: int) -> None:
    """Two windows that touch count together what one over both does: nothing is lost or counted twice between."""
    points = [(float(at), float(value)) for at, value in sorted(dict(raw).items())]
    points.insert(0, (START - 5, 3.0))
    middle = START + 5 * cut

    parts = grown(points, START, middle, from_zero=True) + grown(points, middle, END, from_zero=True)

    assert parts == grown(points, START, END, from_zero=True)

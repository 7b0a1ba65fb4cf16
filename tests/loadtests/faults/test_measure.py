"""What is read from a run beside the same run without the fault."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from loadtests.faults.measure import Moment, figures, late_minutes, settled, turns


def moments(
    wanted: Callable[[float], int], late_share: Callable[[float], float] = lambda _: 0.0
) -> list[Moment]:
    """A moment every five seconds for half an hour, ten requests a second."""
    found, late = [], 0.0
    for at in range(0, 1801, 5):
        late += 50 * late_share(at)
        found.append(Moment(float(at), wanted(at), 10 * at, round(late)))
    return found


FLAT = moments(lambda _: 7)


def test_a_fault_without_effect_shows_none() -> None:
    """Nothing is late, nothing turns, and replicas are at once those of the run without."""
    found = figures(FLAT, FLAT, 600, 900)
    assert (found.before, found.lowest, found.highest, found.after) == (7, 7, 7, 7)
    assert (found.turns, found.late, found.late_until, found.settled_after) == (0, 0.0, 0.0, 0.0)


def test_the_lowest_is_of_the_fault_and_the_highest_of_all_that_follows() -> None:
    """What falls after the fault has ended is no fewer replicas because of it."""
    run = moments(lambda at: 5 if at > 1000 else 9 if at > 700 else 7)
    found = figures(run, FLAT, 600, 900)
    assert (found.lowest, found.highest, found.after, found.turns) == (7, 9, 5, 1)
    assert found.excess == pytest.approx(9 / 7)
    higher = moments(lambda at: 9 if at < 500 else 7)
    assert figures(run, higher, 600, 900).excess == pytest.approx(1.0), "it had as many ten minutes ago"
    sooner, later = moments(lambda at: 9 if at > 740 else 7), moments(lambda at: 9 if at > 800 else 7)
    assert figures(run, sooner, 600, 900).excess == pytest.approx(1.0), "it has as many half a minute later"
    assert figures(run, later, 600, 900).excess == pytest.approx(9 / 7)


@pytest.mark.parametrize(
    ("wanted", "expected", "why"),
    [
        ([7, 7, 7], 0, "nothing moves"),
        ([7, 8, 9], 0, "one direction"),
        ([7, 9, 9, 7], 1, "up, then down"),
        ([7, 9, 6, 9, 4], 3, "each change of direction counts"),
        ([7, 8, 7, 8, 7], 0, "one replica is none"),
        ([7, 10, 9, 8, 7, 6, 7, 8], 2, "however slowly"),
        ([9, 8, 8, 9, 5], 0, "nor is one on the way"),
    ],
)
def test_turns(wanted: list[int], expected: int, why: str) -> None:
    """Changes of direction, however long replicas stand between them."""
    assert turns(wanted) == expected, why


def test_late_minutes_end_where_clients_have_what_they_want_again() -> None:
    """Minutes with more than a twentieth late; 4% is none."""
    run = moments(lambda _: 7, lambda at: 0.5 if 600 < at <= 780 else 0.04)
    assert late_minutes([moment for moment in run if moment.at >= 600]) == [660.0, 720.0, 780.0]
    assert figures(run, FLAT, 600, 700).late_until == 80.0
    assert figures(run, FLAT, 600, 900).late_until == -120.0, "before the fault had ended"
    assert figures(run, FLAT, 600, 700).late == pytest.approx((90 * 10 + 0.04 * 1020 * 10) / 12000, abs=0.01)


def test_replicas_are_back_when_they_stay() -> None:
    """For five minutes: a moment at the right number on the way is not it."""
    run = moments(lambda at: 12 if at < 1000 else 7 if at < 1100 else 4 if at < 1300 else 8)
    assert settled(run, FLAT, 900) == 400.0
    assert settled(moments(lambda _: 12), FLAT, 900) is None
    assert settled(moments(lambda at: 7 if at > 1600 else 12), FLAT, 900) is None, "too late to know"

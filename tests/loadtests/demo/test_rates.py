"""How the demo chooses its load."""

from __future__ import annotations

import pytest

from loadtests.demo.rates import Rates, peak_rate, rates, rise_step_seconds


@pytest.mark.parametrize(
    ("why", "seconds", "expected"),
    [
        (
            "two replicas' worth of work at the peak, nearly; one slow answer does not count",
            [0.04, 0.04, 2.0],
            (5, 12, 49),
        ),
        ("a slow machine gets what its replicas can do", [0.25], (1.4, 5.6, 8)),
        ("a fast machine is not made to burn", [0.001], (5, 12, 120)),
    ],
)
def test_the_load_fits_the_machine(why: str, seconds: list[float], expected: tuple[float, ...]) -> None:
    """The peak needs three replicas, and the rest of the story as many as it is to show, whatever a request costs here."""
    assert rates(seconds) == Rates(*expected), why


@pytest.mark.parametrize(
    ("why", "work_seconds", "expected"),
    [
        ("nothing is learned yet", None, 33),
        ("a request costs as much as its answer takes", 0.06, 33),
        ("half of an answer's time was the way: two replicas would hold what was chosen", 0.03, 65),
        ("there is an end to it", 0.001, 120),
    ],
)
def test_the_peak_is_more_than_two_replicas_hold(
    why: str, work_seconds: float | None, expected: float
) -> None:
    """By the work that the autoscaler has learned while the load rose."""
    assert peak_rate(33, work_seconds) == expected, why


@pytest.mark.parametrize(
    ("why", "start_seconds", "expected"),
    [
        ("nothing is measured yet", None, 9),
        ("a pod that starts at once makes no step too short to be seen", 4, 9),
        ("where pods start slowly the load gives them time", 24, 15.6),
    ],
)
def test_the_rise_fits_the_machine(why: str, start_seconds: float | None, expected: float) -> None:
    """A step is as long as it must be for the pod that the step before it asked for."""
    assert rise_step_seconds(start_seconds) == pytest.approx(expected), why

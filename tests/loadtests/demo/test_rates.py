"""How the demo chooses its load."""

from __future__ import annotations

import pytest

from loadtests.demo.rates import Rates, rates


@pytest.mark.parametrize(
    ("why", "seconds", "expected"),
    [
        (
            "two replicas' worth of work at the peak, nearly; one slow answer does not count",
            [0.04, 0.04, 2.0],
            (5, 12, 49),
        ),
        ("a slow machine gets what its replicas can do", [0.25], (1.4, 5.6, 8)),
        ("a fast machine is not made to burn", [0.001], (5, 12, 60)),
    ],
)
def test_the_load_fits_the_machine(why: str, seconds: list[float], expected: tuple[float, ...]) -> None:
    """The peak needs three replicas, and the rest of the story as many as it is to show, whatever a request costs here."""
    assert rates(seconds) == Rates(*expected), why

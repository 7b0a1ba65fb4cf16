"""How the demo chooses its load."""

from __future__ import annotations

import pytest

from loadtests.demo.rates import peak_rate


@pytest.mark.parametrize(
    ("why", "seconds", "expected"),
    [
        ("two replicas' worth of work, nearly", [0.065, 0.065, 2.0], 30),
        ("a slow machine still gets a load that can be seen", [0.5], 16),
        ("a fast machine is not made to burn", [0.001], 60),
    ],
)
def test_the_peak_fits_the_machine(why: str, seconds: list[float], expected: float) -> None:
    """The peak needs three replicas, whatever a request costs here; one slow answer does not count."""
    assert peak_rate(seconds) == expected, why

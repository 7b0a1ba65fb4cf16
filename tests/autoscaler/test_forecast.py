"""Levels, trends, holds and bands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.forecast import Band, Forecast, Held, RateHistory, forecast


@pytest.mark.parametrize(
    ("fast", "base", "before", "expected", "why"),
    [
        (20.0, 20.0, 20.0, 20.0, "constant load stays"),
        (21.5, 20.0, 20.0, 20.0, "within noise it stays"),
        (40.0, 20.0, 20.0, 80.0, "a surge is extended, to twice its level at most"),
        (30.0, 20.0, 29.5, 30.0, "a step that has ended is its own level"),
        (5.0, 20.0, 18.0, 20.0, "a fall is believed at the pace of the slow window"),
        (0.0, 0.0, 0.0, 0.0, "nothing stays nothing"),
    ],
)
def test_forecast(fast: float, base: float, before: float, expected: float, why: str) -> None:
    """Demand a minute ahead."""
    history = RateHistory(((0.0, before), (20.0, fast)))
    assert forecast(fast, base, history, 20.0, 20.0, 60.0).expected == pytest.approx(expected), why


@given(*[st.floats(0, 1e5)] * 3, st.floats(0, 600))
def test_forecast_is_bounded(fast: float, base: float, before: float, horizon: float) -> None:
    """No forecast falls below the level, or exceeds twice the larger window."""
    found = forecast(fast, base, RateHistory(((0.0, before),)), 20.0, 20.0, horizon)
    assert isinstance(found, Forecast)
    assert found.level <= found.expected <= 2 * max(fast, base)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.integers(1, 30))
def test_held_is_the_maximum_of_the_window(values: list[float], hold: int) -> None:
    """The staircase remembers exactly the highest value of the hold."""
    held = Held()
    for at, value in enumerate(values):
        held = held.with_value(float(at), value, float(hold))
        assert held.highest == max(values[max(0, at - hold) : at + 1])


@pytest.mark.parametrize(
    ("start", "target", "after", "why"),
    [
        (None, 5.0, 5.0, "the first value is taken"),
        (100.0, 102.9, 100.0, "a small rise is noise"),
        (100.0, 103.1, 103.1, "a larger one is not"),
        (100.0, 90.1, 100.0, "a small fall is noise"),
        (100.0, 89.0, 89.0, "a larger one is not"),
        (0.0, 0.01, 0.01, "from nothing, anything counts"),
    ],
)
def test_band(start: float | None, target: float, after: float, why: str) -> None:
    """A value moves when its target leaves the band."""
    assert Band(start).following(target, 0.03, 0.10).value == after, why

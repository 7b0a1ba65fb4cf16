"""Traces that are made up: the same for a seed, and of the shape that their names promise."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest

from loadtests.traces import synthetic
from loadtests.traces.synthetic import GENERATORS, HOUR_SECONDS, STEP_SECONDS

SEEDS = range(5)
HOUR_STEPS = round(HOUR_SECONDS / STEP_SECONDS)


def runs(values: np.ndarray) -> list[tuple[float, int]]:
    """Each value that lasts, with its number of steps."""
    return [(value, len(list(group))) for value, group in groupby(values.tolist())]


@pytest.mark.parametrize("name", GENERATORS)
def test_a_seed_repeats_a_trace(name: str) -> None:
    """The same seed yields the same rates, another seed others."""
    first, again, other = (GENERATORS[name](seed) for seed in (1, 1, 2))
    assert first.rates.tolist() == again.rates.tolist()
    assert first.rates.tolist() != other.rates.tolist()
    assert (first.name, other.name) == (f"{name}-1", f"{name}-2")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", GENERATORS)
def test_a_trace_has_three_days_and_a_mean_of_one(name: str, seed: int) -> None:
    """All are alike in length and mean, and every day has demand."""
    made = GENERATORS[name](seed)
    days = made.days()
    assert len(days) == 3
    assert made.duration_seconds == 3 * 86_400
    assert made.mean_rate == pytest.approx(1)
    assert all(day.mean_rate > 0.05 for day in days)


@pytest.mark.parametrize("seed", SEEDS)
def test_diurnal_is_smooth_and_has_nights(seed: int) -> None:
    """No minute changes by more than a hundredth of the mean, and days are at least three times as busy as nights."""
    made = synthetic.diurnal(seed)
    assert np.abs(made.rates[6:] - made.rates[:-6]).max() < 0.01
    for day in made.days():
        assert day.rates.min() > 0
        assert day.rates.max() > 3 * day.rates.min()


@pytest.mark.parametrize("seed", SEEDS)
def test_bursts_come_at_once(seed: int) -> None:
    """On every day there are as many jumps as bursts, unless two fall into one step, and between them rates only fade."""
    for day in synthetic.bursts(seed).days():
        changes = np.diff(day.rates, prepend=day.rates[0])
        jumps = changes > 0.2
        assert 6 <= jumps.sum() <= 8
        assert changes[~jumps].max() < 0.002


@pytest.mark.parametrize("seed", SEEDS)
def test_spikes_are_at_full_hours(seed: int) -> None:
    """Each hour begins with a minute far above the usual, one before six with ten, the same every day; no other time does."""
    usual = np.median(synthetic.cron_spikes(seed).rates)
    nights = set()
    for day in synthetic.cron_spikes(seed).days():
        hours = day.rates.reshape(24, HOUR_STEPS)
        lengths = [(row > 1.01 * usual).sum() for row in hours]
        nights.add(int(np.argmax(lengths)))
        assert sorted(lengths) == [6] * 23 + [60]
        for row, length in zip(hours, lengths, strict=True):
            assert (row[:length] > 3.9 * usual).all()
            assert row[length:] == pytest.approx(usual)
    assert len(nights) == 1
    assert max(nights) < 6


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_hold_for_hours(seed: int) -> None:
    """Every level but the one cut at the end lasts for one to six hours, and they are within a factor of 16."""
    levels = runs(synthetic.steps(seed).rates)
    assert len(levels) >= 12
    assert all(HOUR_STEPS - 1 <= length <= 6 * HOUR_STEPS + 1 for _, length in levels[:-1])
    values = [value for value, _ in levels]
    assert max(values) <= 16 * min(values)


@pytest.mark.parametrize("seed", SEEDS)
def test_ramps_climb_without_jumps(seed: int) -> None:
    """Rates go up to at least twice the ground many times, never by more than a sixtieth of it in a step."""
    made = synthetic.ramps(seed)
    ground = made.rates.min()
    assert np.abs(np.diff(made.rates)).max() <= 5 * ground * STEP_SECONDS / 300 + 1e-9
    high = [long for long, _ in runs(made.rates >= 1.99 * ground)]
    assert 8 <= sum(high) <= 60


@pytest.mark.parametrize("seed", SEEDS)
def test_zeros_are_really_zero(seed: int) -> None:
    """Most of the time there is nothing at all, for at least an hour each; whoever comes stays for an hour at most."""
    stretches = runs(synthetic.zeros(seed).rates == 0)
    idle = [length for zero, length in stretches if zero]
    busy = [length for zero, length in stretches if not zero]
    assert sum(idle) > 3 * sum(busy)
    assert all(HOUR_STEPS - 1 <= length <= 8 * HOUR_STEPS + 1 for length in idle[:-1])
    assert all(length <= HOUR_STEPS + 1 for length in busy)

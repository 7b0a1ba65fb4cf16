"""Traces made up from a seed, one for each way in which demand troubles an autoscaler.

Each lasts three days in steps of ten seconds and has a mean of 1 request per second: two days to learn from, one to
be judged on. The same seed gives the same trace; generators do not share what they draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from loadtests.traces.trace import DAY_SECONDS, Floats, Trace

DAYS: Final = 3
STEP_SECONDS: Final = 10.0
HOUR_SECONDS: Final = 3_600.0
BURSTS_A_DAY: Final = 8
CRON_SECONDS: Final = 60.0
"""How long the hourly jobs of `cron_spikes` last, from the full hour on."""
NIGHTLY_SECONDS: Final = 600.0
"""How long its nightly job lasts, from one full hour before six o'clock on."""

_STEPS = round(DAYS * DAY_SECONDS / STEP_SECONDS)
_END = DAYS * DAY_SECONDS


def diurnal(seed: int = 0) -> Trace:
    """Day and night: a wave of 24 hours, a smaller one of 12, and days that differ by a tenth. Nothing is sudden."""
    rng = np.random.default_rng((seed, 1))
    day, half_day = rng.uniform(0.55, 0.70), rng.uniform(0.10, 0.20)
    phases = rng.uniform(0, 2 * np.pi, 3)
    turns = 2 * np.pi * _times() / DAY_SECONDS
    wave = 1 + day * np.sin(turns + phases[0]) + half_day * np.sin(2 * turns + phases[1])
    return _named("diurnal", seed, wave * (1 + 0.1 * np.sin(turns / 2.3 + phases[2])))


def bursts(seed: int = 0) -> Trace:
    """A calm wave, and eight bursts a day out of nowhere: two to eight times the calm at once, gone over minutes.

    A burst decays exponentially with a time constant of two to fifteen minutes.
    """
    rng = np.random.default_rng((seed, 2))
    times = _times()
    rates = 1 + 0.2 * np.sin(2 * np.pi * times / DAY_SECONDS + rng.uniform(0, 2 * np.pi))
    for day in range(DAYS):
        for begin in rng.uniform(day, day + 1, BURSTS_A_DAY) * DAY_SECONDS:
            since = times - np.floor(begin / STEP_SECONDS) * STEP_SECONDS
            height, fading = rng.uniform(2, 8), rng.uniform(120, 900)
            rates = rates + np.where(since >= 0, height * np.exp(-np.maximum(since, 0) / fading), 0)
    return _named("bursts", seed, rates)


def cron_spikes(seed: int = 0) -> Trace:
    """Jobs by the clock: at every full hour four to six times the usual for a minute, once a night more for longer.

    The nightly job is eight to twelve times the usual for ten minutes, at the same full hour before six each day.
    """
    rng = np.random.default_rng((seed, 3))
    times = _times()
    since_hour = times % HOUR_SECONDS
    hours = (times // HOUR_SECONDS).astype(int)
    hourly = rng.uniform(4, 6, hours[-1] + 1)[hours]
    nightly = rng.uniform(8, 12, DAYS)[(times // DAY_SECONDS).astype(int)]
    night_hour = rng.integers(1, 6)
    rates = np.where(since_hour < CRON_SECONDS, hourly, 1.0)
    at_night = (hours % 24 == night_hour) & (since_hour < NIGHTLY_SECONDS)
    return _named("cron-spikes", seed, np.where(at_night, nightly, rates))


def steps(seed: int = 0) -> Trace:
    """Levels that hold for one to six hours and change at once, between a quarter and four times, evenly in the log."""
    rng = np.random.default_rng((seed, 4))
    changes = np.cumsum(rng.uniform(1, 6, round(DAYS * 24)) * HOUR_SECONDS)
    levels = np.exp(rng.uniform(np.log(0.25), np.log(4), len(changes) + 1))
    return _named("steps", seed, levels[np.searchsorted(changes, _times(), side="right")])


def ramps(seed: int = 0) -> Trace:
    """Up in 5 to 60 minutes to two to six times the ground, down as slowly; half an hour to two hours on each level."""
    rng = np.random.default_rng((seed, 5))
    knots, values = [0.0], [1.0]
    while knots[-1] < _END:
        ground, top = rng.uniform(0.5, 2, 2) * HOUR_SECONDS
        up, down = rng.uniform(300, 3_600, 2)
        height = rng.uniform(2, 6)
        knots += [knots[-1] + float(part) for part in np.cumsum([ground, up, top, down])]
        values += [1.0, height, height, 1.0]
    return _named("ramps", seed, np.interp(_times(), knots, values))


def zeros(seed: int = 0) -> Trace:
    """Nothing at all for one to eight hours, then somebody works with the model for 5 to 60 minutes, and so on."""
    rng = np.random.default_rng((seed, 6))
    times = _times()
    rates = np.zeros(_STEPS)
    now = 0.0
    while now < _END:
        begin = now + rng.uniform(1, 8) * HOUR_SECONDS
        now = begin + rng.uniform(300, 3_600)
        rates[(times >= begin) & (times < now)] = rng.uniform(0.5, 2)
    return _named("zeros", seed, rates)


GENERATORS: Final[Mapping[str, Callable[[int], Trace]]] = MappingProxyType(
    {
        "diurnal": diurnal,
        "bursts": bursts,
        "cron-spikes": cron_spikes,
        "steps": steps,
        "ramps": ramps,
        "zeros": zeros,
    }
)
"""Every generator by the name of its traces, which `-` and the seed follow."""


def _times() -> Floats:
    """When each step begins, in seconds."""
    return np.arange(_STEPS, dtype=np.float64) * STEP_SECONDS


def _named(name: str, seed: int, shape: Floats) -> Trace:
    return Trace(f"{name}-{seed}", STEP_SECONDS, shape).scaled_to(1.0)

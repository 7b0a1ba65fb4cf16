"""A trace: requests per second, step by step, and the arrivals that are drawn from it.

Arrivals are an inhomogeneous Poisson process: within a step the rate is the trace's. Real counts vary more than
that from minute to minute; so each minute's rate may be multiplied by a Gamma variate of mean 1 first, which makes
the count of a minute negative binomial: variance m + (v · m)² for a mean of m and a coefficient of variation v
(the Gamma-Poisson mixture of Greenwood and Yule, 1920).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY_SECONDS: Final = 86_400.0
MINUTE_SECONDS: Final = 60.0
"""For so long a modulated rate keeps its factor."""
VARIABILITIES: Final = (0.0, 0.15, 0.4)
"""Coefficients of variation of one-minute rates to report results for: none, mild and strong."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """Requests as they were recorded: parallel arrays, in order of arrival."""

    seconds: Floats
    """Arrival, seconds since the beginning of the trace."""
    input_tokens: Ints
    output_tokens: Ints


@dataclass(frozen=True, eq=False)
class Trace:
    """Requests per second of one service over time; the rates are a copy that cannot be written to.

    Raises ValueError if rates are not a row of finite numbers, none negative, or if the step is no time.
    """

    name: str
    seconds_per_step: float
    rates: Floats
    """Requests per second, one value a step; any mean."""
    recorded: Recorded | None = None
    """The requests themselves, where the trace is of single requests and not of counts."""

    def __post_init__(self) -> None:
        rates = np.array(self.rates, dtype=np.float64)
        if rates.ndim != 1 or not rates.size or not np.isfinite(rates).all() or rates.min() < 0:
            raise ValueError(f"{self.name}: rates must be a row of finite numbers, none of them negative")
        if not self.seconds_per_step > 0:
            raise ValueError(f"{self.name}: a step must last, it has {self.seconds_per_step:g} s")
        rates.flags.writeable = False
        object.__setattr__(self, "rates", rates)

    @property
    def duration_seconds(self) -> float:
        """From the beginning of the first step to the end of the last."""
        return len(self.rates) * self.seconds_per_step

    @property
    def mean_rate(self) -> float:
        """Requests per second over the whole trace."""
        return float(self.rates.mean())

    def days(self) -> tuple[Trace, ...]:
        """The whole days, each a trace that begins at 0; what is left of a day at the end is dropped.

        Raises ValueError if a day is no whole number of steps.
        """
        steps = round(DAY_SECONDS / self.seconds_per_step)
        if abs(steps * self.seconds_per_step - DAY_SECONDS) > 1e-6:
            raise ValueError(
                f"{self.name}: steps of {self.seconds_per_step:g} s do not divide a day of {DAY_SECONDS:g} s"
            )
        return tuple(self._day(day, steps) for day in range(len(self.rates) // steps))

    def scaled_to(self, mean_rate: float) -> Trace:
        """The same shape with that mean, in requests per second.

        Recorded requests are left out: those of one rate are not those of another. Raises ValueError if the mean
        asked for is negative or not finite, and if the trace is without requests, hence without a shape.
        """
        if not (np.isfinite(mean_rate) and mean_rate >= 0):
            raise ValueError(f"{self.name}: a mean rate is finite and not negative, not {mean_rate:g}")
        if self.mean_rate == 0:
            raise ValueError(f"{self.name}: a trace without requests has no shape to scale")
        return replace(self, rates=self.rates * (mean_rate / self.mean_rate), recorded=None)

    def arrivals(
        self, rng: np.random.Generator, begin: float, end: float, variability: float = 0.0
    ) -> Floats:
        """Draw the arrivals from `begin` to before `end`, both in seconds since the beginning, in order.

        `variability` is the coefficient of variation of the rate from minute to minute (see `VARIABILITIES`), around
        the trace's. Raises ValueError if it is negative, and if the trace does not cover the time asked for.
        """
        if variability < 0:
            raise ValueError(f"{self.name}: variability is not negative, it is {variability:g}")
        if not 0 <= begin <= end <= self.duration_seconds:
            raise ValueError(
                f"{self.name}: {begin:g} to {end:g} s is not within its {self.duration_seconds:g} s"
            )
        if begin == end:
            return np.empty(0)
        edges = np.unique(
            np.concatenate(
                [
                    [begin, end],
                    _multiples(self.seconds_per_step, begin, end),
                    _multiples(MINUTE_SECONDS, begin, end),
                ]
            )
        )
        starts, lengths = edges[:-1], np.diff(edges)
        middles = starts + lengths / 2
        rates = self.rates[np.minimum((middles / self.seconds_per_step).astype(int), len(self.rates) - 1)]
        if variability > 0:
            minutes = (middles / MINUTE_SECONDS).astype(int)
            shape = 1 / variability**2
            factors = rng.gamma(shape, 1 / shape, minutes[-1] - minutes[0] + 1)
            rates = rates * factors[minutes - minutes[0]]
        counts = rng.poisson(rates * lengths)
        drawn = np.repeat(starts, counts) + rng.random(counts.sum()) * np.repeat(lengths, counts)
        # A sum may round up to the end, which no longer belongs to the time asked for.
        return np.sort(np.minimum(drawn, np.nextafter(end, begin)))

    def _day(self, day: int, steps: int) -> Trace:
        recorded = self.recorded
        if recorded is not None:
            first, last = np.searchsorted(recorded.seconds, [day * DAY_SECONDS, (day + 1) * DAY_SECONDS])
            recorded = Recorded(
                recorded.seconds[first:last] - day * DAY_SECONDS,
                recorded.input_tokens[first:last],
                recorded.output_tokens[first:last],
            )
        rates = self.rates[day * steps : (day + 1) * steps]
        return replace(self, name=f"{self.name}, day {day + 1}", rates=rates, recorded=recorded)


def _multiples(unit: float, begin: float, end: float) -> Floats:
    """Multiples of `unit` strictly between the two."""
    inner = np.arange(np.floor(begin / unit), np.ceil(end / unit) + 1) * unit
    return np.asarray(inner[(inner > begin) & (inner < end)])

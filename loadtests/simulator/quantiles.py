"""A distribution by some of its quantiles, as publications give it: by line between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loadtests.simulator.requests import Floats


@dataclass(frozen=True)
class Quantiles:
    """Values that the shares, from 0 to 1 and ascending, of all are at most. Raises ValueError for anything else."""

    shares: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        ends = (self.shares[0], self.shares[-1]) if self.shares else ()
        ascending = all(np.all(np.diff(row) >= 0) for row in (self.shares, self.values))
        if len(self.shares) != len(self.values) or ends != (0.0, 1.0) or not ascending:
            raise ValueError("quantiles ascend from a share of 0 to one of 1, each with its value")

    def at(self, share: float) -> float:
        """The value that this share of all is at most."""
        return float(np.interp(share, self.shares, self.values))

    def draw(self, random: np.random.Generator, count: int) -> Floats:
        """Independent values."""
        return np.interp(random.random(count), self.shares, self.values)

    @property
    def mean(self) -> float:
        """Of the values."""
        return float(np.trapezoid(self.values, self.shares))

    @property
    def mean_square(self) -> float:
        """Mean of the squares of the values."""
        low, high = np.array(self.values[:-1]), np.array(self.values[1:])
        return float(np.diff(self.shares) @ (low * low + low * high + high * high) / 3)

"""What replicas carry at a constant rate, found by trying: for models of service that no queueing formula describes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loadtests.bounds.cost import Floats, Ints

REPLICAS = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 64, 128)
"""What is tried; between them by line, and more carry as much each as the most."""
ALLOWED = 0.006
"""Late fraction at a constant rate, where 0.01 is allowed: as sizing by a formula does, the rest is for what is not constant."""
HALVINGS = 10

Late = Callable[[int, float], float]
"""Late fraction of so many replicas at so many requests per second."""


@dataclass(frozen=True, eq=False)
class Curve:
    """By number of replicas, from one on: the share of their largest rate that they carry within the objective."""

    utilizations: Floats
    saturation: float
    """Requests per second of one replica that always has enough to do."""

    def largest_rates(self, replicas: int) -> Floats:
        """Requests per second that 1 to `replicas` carry."""
        counts = np.arange(1, replicas + 1)
        return np.maximum.accumulate(
            np.interp(counts, REPLICAS, self.utilizations) * counts * self.saturation
        )

    def smallest(self, rates: Floats) -> Ints:
        """Fewest replicas that carry each of the rates, at least one. Raises ValueError where no number of them would."""
        each = self.utilizations[-1] * self.saturation
        if not each > 0:
            raise ValueError("no number of replicas holds the objective at any rate")
        most = int(np.ceil(rates.max(initial=0.0) / each)) + REPLICAS[-1]
        return np.minimum(np.searchsorted(self.largest_rates(most), rates) + 1, most)


def measured(late: Late, saturation: float, allowed: float = ALLOWED) -> Curve:
    """Halve the range in which the largest rate of each number of replicas lies, up to what they serve at most."""
    found = []
    for replicas in REPLICAS:
        low, high = 0.0, 1.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            holds = late(replicas, middle * replicas * saturation) <= allowed
            low, high = (middle, high) if holds else (low, middle)
        found.append(low)
    return Curve(np.array(found), saturation)

"""The situations that judges are put in, and the counts drawn for them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from serving_operator.judge.comparison import Counts, Floats
from serving_operator.judge.verdict import limits_of
from serving_operator.judge.windows import Limits

WINDOWS = 60
WINDOW_SECONDS = 60.0
DISPERSION = 0.02
"""ρ of the overdispersed scenarios: in every window each revision has a share of bad requests of its own, Beta."""
RATES = (1.0, 3.0, 10.0, 30.0, 100.0)
WEIGHTS = (5.0, 10.0, 25.0, 50.0)
BASES = (0.1, 0.5, 1.0, 2.0, 5.0)
FEW = (0.1, 0.3)
"""Requests per second at which there is little to say; at 10% weight."""
STRICTEST_PERCENT = 99.0
"""The strictest objective that an InferenceService can have, and its default."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A service: its requests per second, the canary's weight and stable's bad requests in percent, the objective."""

    requests_per_second: float
    weight_percent: float
    base_percent: float
    objective_percent: float

    @property
    def limits(self) -> Limits:
        return limits_of(self.objective_percent)

    @property
    def base_ratio(self) -> float:
        return self.base_percent / 100


@dataclass(frozen=True, slots=True)
class Detection:
    """A demand: a canary with that many bad requests is to be aborted within so many windows."""

    bad_percent: float
    base_percent: float
    windows: int
    requests_per_second: float = 1.0
    weight_percent: float = 10.0

    @property
    def cell(self) -> Cell:
        """The service in which that is demanded, with the objective that it has by default."""
        return Cell(self.requests_per_second, self.weight_percent, self.base_percent, STRICTEST_PERCENT)


def suitable_objective(base_percent: float) -> float:
    """The objective, in percent, that allows twice what stable has, or the strictest."""
    return min(STRICTEST_PERCENT, 100 - 2 * base_percent)


CELLS = tuple(Cell(*where, suitable_objective(where[2])) for where in product(RATES, WEIGHTS, BASES))
CELLS_WITH_FEW = tuple(Cell(rate, 10.0, base, STRICTEST_PERCENT) for rate, base in product(FEW, BASES))
DETECTIONS = tuple(
    Detection(bad, base, windows) for bad, windows in ((20.0, 5), (10.0, 10)) for base in (0.1, 0.5, 1.0, 2.0)
)


def draw(
    random: np.random.Generator,
    cell: Cell,
    canary_ratio: float,
    runs: int,
    *,
    dispersion: float = 0.0,
    windows: int = WINDOWS,
) -> Counts:
    """Counts of so many runs, shape (windows, runs): Poisson arrivals, stable with the cell's share of bad requests."""
    a_window = cell.requests_per_second * WINDOW_SECONDS
    share = cell.weight_percent / 100
    columns: list[Floats] = []
    for part, ratio in ((share, canary_ratio), (1 - share, cell.base_ratio)):
        requests = random.poisson(a_window * part, (windows, runs))
        ratios: float | Floats = ratio
        if dispersion:
            scale = (1 - dispersion) / dispersion
            ratios = random.beta(ratio * scale, (1 - ratio) * scale, (windows, runs))
        columns += [requests.astype(np.float64), random.binomial(requests, ratios).astype(np.float64)]
    return Counts(*columns)

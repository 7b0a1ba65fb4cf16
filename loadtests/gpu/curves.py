"""Fits to measured times of batches, and what a replica can serve by them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class BatchTime:
    """Seconds of a batch of b items: `fixed + per_item * b`; `error` is the largest relative error of the fit."""

    fixed: float
    per_item: float
    error: float

    def seconds(self, batch: float) -> float:
        """Seconds of a batch of so many items."""
        return self.fixed + self.per_item * batch


@dataclass(frozen=True)
class StepTime:
    """Seconds of one decoding step: `fixed + per_sequence * b + per_token * tokens` in the KV cache of all sequences.

    The linear form is that of WVA's model of an engine; `error` is the largest relative error of the fit.
    """

    fixed: float
    per_sequence: float
    per_token: float
    error: float

    def seconds(self, batch: float, tokens: float) -> float:
        """Seconds of a step of so many sequences that have so many tokens together."""
        return self.fixed + self.per_sequence * batch + self.per_token * tokens


@dataclass(frozen=True)
class Capacity:
    """The most that a replica serves within a limit of seconds: the batch, and items per second."""

    batch: int
    per_second: float


def batch_time(batches: Sequence[int], seconds: Sequence[float]) -> BatchTime:
    """Fit the times of batches, each time weighing the same however long it is. Raises ValueError below two sizes."""
    (fixed, per_item), error = _fit(np.array([[1.0, b] for b in batches]), np.array(seconds, float))
    return BatchTime(fixed, per_item, error)


def step_time(batches: Sequence[int], tokens: Sequence[int], seconds: Sequence[float]) -> StepTime:
    """Fit the times of decoding steps. Raises ValueError below three points."""
    columns = np.array([[1.0, b, t] for b, t in zip(batches, tokens, strict=True)])
    (fixed, per_sequence, per_token), error = _fit(columns, np.array(seconds, float))
    return StepTime(fixed, per_sequence, per_token, error)


def capacity(batches: Sequence[int], seconds: Sequence[float], limit_seconds: float) -> Capacity | None:
    """The batch that serves most per second among those that take at most the limit; None if none does."""
    feasible = [
        Capacity(batch, batch / taken)
        for batch, taken in zip(batches, seconds, strict=True)
        if taken <= limit_seconds
    ]
    return max(feasible, key=lambda found: found.per_second, default=None)


def busy_at(loads: Sequence[float], busy: Sequence[float], level: float) -> float | None:
    """The load at which the GPU first calls itself busy for that share of the time, between the loads by line."""
    points = sorted(zip(loads, busy, strict=True))
    for (load0, busy0), (load1, busy1) in zip([(0.0, 0.0), *points], points, strict=False):
        if busy1 >= level:
            return load0 + (load1 - load0) * (level - busy0) / (busy1 - busy0)
    return None


def as_json(fit: BatchTime | StepTime | Capacity | None) -> dict[str, float] | None:
    """The fit as a summary holds it."""
    return None if fit is None else asdict(fit)


def _fit(columns: NDArray[np.float64], seconds: NDArray[np.float64]) -> tuple[list[float], float]:
    if len(columns) < columns.shape[1]:
        raise ValueError(f"{len(columns)} points for {columns.shape[1]} unknowns: measure more sizes")
    weighted = columns / seconds[:, None]
    found, *_ = np.linalg.lstsq(weighted, np.ones(len(seconds)), rcond=None)
    error = float(np.max(np.abs(weighted @ found - 1.0)))
    return [float(value) for value in found], error

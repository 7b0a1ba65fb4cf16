"""All schedules of a few steps and replicas, and their costs, by definition."""

from __future__ import annotations

from itertools import product

import numpy as np

from loadtests.bounds.cost import Floats, Ints


def schedules(steps: int, most: int) -> Ints:
    """Every row of up to `most` replicas, shape (schedules, steps)."""
    return np.array(list(product(range(most + 1), repeat=steps)), dtype=np.int64)


def costs(rows: Ints, step_seconds: float, start_seconds: float, before: int) -> Floats:
    """Replica-seconds of each row: a replica is paid for in each step, and for its start when it is added."""
    total = np.zeros(len(rows))
    last = np.full(len(rows), before)
    for column in rows.T:
        total += step_seconds * column + start_seconds * np.where(column > last, column - last, 0)
        last = column
    return total


def late_on(rows: Ints, late: Floats) -> Floats:
    """Late requests of each row; `late[t, n]` of step t with n replicas."""
    return np.asarray(late[np.arange(rows.shape[1])[None, :], rows].sum(axis=1))

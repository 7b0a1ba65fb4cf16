"""What a row of replicas costs, and the cheapest row above what is required.

A replica is billed while it serves, and for the time that it takes to start; stopping is free. With n replicas in
step t that is: step seconds · Σ n(t) + start seconds · Σ max(n(t) - n(t-1), 0), in replica-seconds.

The cheapest row decomposes into layers: layer j is on where at least j replicas are required, and is kept on through
a gap if that costs no more than a start. Which layers are on is decided one by one, and yet they form a row: layer
j + 1 needs all that has layer j in it, so its gaps contain those of layer j. (The offline form of ski rental; for
servers: Lu, Chen and Andrew, Simple and Effective Dynamic Provisioning for Power-Proportional Data Centers, 2013.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def schedule_cost(replicas: Ints, step_seconds: float, start_seconds: float, before: int = 0) -> float:
    """Replica-seconds of a row of replicas, one value a step; `before` run already when it begins."""
    rises = np.maximum(np.diff(replicas, prepend=before), 0)
    return float(step_seconds * replicas.sum() + start_seconds * rises.sum())


def cheapest_schedule(required: Ints, step_seconds: float, start_seconds: float, before: int = 0) -> Ints:
    """Least costly replicas that are nowhere fewer than required, one value a step.

    `before` run already when it begins, and may be stopped at once. Of rows that cost the same the one with fewer
    starts is taken. Raises ValueError for a negative requirement and for a step that does not last.
    """
    if required.size and required.min() < 0:
        raise ValueError(f"required replicas are not negative, one is {required.min()}")
    if not step_seconds > 0:
        raise ValueError(f"a step must last, it has {step_seconds:g} s")
    kept = np.zeros(len(required) + 1, dtype=np.int64)
    for layer in range(1, int(required.max(initial=0)) + 1):
        needed = np.flatnonzero(required >= layer)
        if layer <= before:
            needed = np.concatenate([[-1], needed])
        gaps = np.diff(needed) - 1
        bridged = (gaps > 0) & (gaps * step_seconds <= start_seconds)
        kept[needed[:-1][bridged] + 1] += 1
        kept[needed[1:][bridged]] -= 1
    return np.asarray(required + np.cumsum(kept[:-1]), dtype=np.int64)

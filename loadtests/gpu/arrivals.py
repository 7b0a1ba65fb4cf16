"""What is offered to a GPU, and to the simulator's pod after it: seeded, so that both meet the same requests. Pure."""

from __future__ import annotations

import numpy as np

SETTLE_SECONDS = 2.0
"""Requests that are due before are served, but their latency does not count."""


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """When requests fall due, in seconds from the beginning: a Poisson process of so many a second."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, int(rate * seconds * 1.5) + 50)
    return [at for at in np.cumsum(gaps).tolist() if at < seconds]


def answer_tokens(mean: float, count: int, seed: int) -> list[int]:
    """Tokens of so many answers, geometrically distributed."""
    drawn: list[int] = np.random.default_rng(seed + 1).geometric(1 / mean, count).tolist()
    return drawn

"""How long pods take from creation to readiness.

Whatever makes a start slower or repeats it wraps another: `failing(crowded(lognormal_start(60.0)))`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from loadtests.simulator.quantiles import Quantiles

Starts = Callable[[np.random.Generator, int], float]
"""Seconds from a pod's creation to its readiness, by how many start at the same time, itself included."""

BACK_OFF_SECONDS = 10.0
BACK_OFF_MOST_SECONDS = 300.0
"""The kubelet's pause before a failed container is started again: doubled each time, up to the second."""


def fixed_start(seconds: float) -> Starts:
    """Every pod takes so long."""
    return lambda random, starting: seconds


def lognormal_start(seconds: float, variation: float = 0.5) -> Starts:
    """Mean `seconds` with this coefficient of variation."""
    spread = float(np.sqrt(np.log1p(variation**2)))
    return lambda random, starting: float(random.lognormal(np.log(seconds) - spread**2 / 2, spread))


def empirical_start(seconds: Quantiles, before_seconds: float = 0.0) -> Starts:
    """As measured, after what always comes before: scheduling, and the pull of the image."""
    return lambda random, starting: before_seconds + float(seconds.draw(random, 1)[0])


def bimodal_start(warm_seconds: float = 60.0, new_seconds: float = 300.0, new_share: float = 0.3) -> Starts:
    """On a node that is there, or else, with this share, on one that has to be started first."""
    return lambda random, starting: new_seconds if random.random() < new_share else warm_seconds


def crowded(starts: Starts, per_other: float = 0.1) -> Starts:
    """By this share slower for every other pod that starts at the same time: they share a registry or a disk."""
    return lambda random, starting: starts(random, starting) * (1 + per_other * (starting - 1))


def failing(starts: Starts, failed_share: float = 0.01) -> Starts:
    """This share of all attempts fails at its end and is made again after the kubelet's pause. The pod exists all the time.

    Raises ValueError where no attempt would ever succeed.
    """
    if not 0 <= failed_share < 1:
        raise ValueError(f"a share of failed starts is at least 0 and below 1, not {failed_share:g}")

    def seconds(random: np.random.Generator, starting: int) -> float:
        taken, pause = starts(random, starting), BACK_OFF_SECONDS
        while random.random() < failed_share:
            taken += pause + starts(random, starting)
            pause = min(2 * pause, BACK_OFF_MOST_SECONDS)
        return taken

    return seconds

"""How much load the demo brings, on whatever machine. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

LOW_RATE = 5.0
ROLLOUT_RATE = 12.0
"""During the rollouts: at 25% some thirty requests of the canary in each window."""
PEAK_WORK = 1.95
"""Work that arrives at the peak, in replicas that would be busy all the time: two cannot hold it, three can."""
PEAK_RATES = (16.0, 60.0)
"""Least and most requests per second at the peak."""


def peak_rate(answer_seconds: Sequence[float]) -> float:
    """Return requests per second that keep PEAK_WORK replicas busy, from the times that answers took on an idle one.

    Machines differ by half in what one CPU does, and the demo is to show the same on each.
    """
    least, most = PEAK_RATES
    return round(min(max(PEAK_WORK / median(answer_seconds), least), most))

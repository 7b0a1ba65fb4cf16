"""Whether requests come faster than they leave: then all replicas work all the time, and what they answer tells the work.

Many in flight do not tell it. Servers that work on many at once always have many, and what waited for fewer replicas is
there for a while. So they must become more, or be given up, while no replica comes or goes: clearly more than chance has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from autoscaler.values import changed

QUIET_PER_REPLICA: Final = 2.0
"""Requests in flight per ready replica up to which hardly any waits."""
CHANCE_DEVIATIONS: Final = 4.0
"""By so many standard deviations of a Poisson count the requests in flight must have become more."""
OUTRUN: Final = 0.02
"""And by this share of what was answered meanwhile."""
COMPARED_SECONDS: Final = 600.0
"""For which requests are compared with those of the same moment."""


@dataclass(frozen=True)
class Crowd:
    """Requests that wait for the same replicas."""

    ready: int
    since: float
    """From when on they are compared: averages over a window rise for so long after any step."""
    in_flight: float
    """Requests then."""
    calm_seconds: float
    """Mean work of a request, as it was known before any waited."""
    outruns_until: float = -math.inf
    """When it has to be seen again that they become more."""
    taught: bool = False
    """Whether it has told of the work before."""


def crowd_after(
    before: Crowd | None,
    now: float,
    ready: int,
    in_flight: float | None,
    given_up: float,
    answered: float,
    work_seconds: float,
    window_seconds: float,
) -> Crowd | None:
    """The crowd that goes on, or begins now; None where hardly a request waits, or nothing tells.

    `in_flight` is averaged over the window; given up and answered are requests per second; `work_seconds` is what is
    known of their work.
    """
    if in_flight is None or ready < 1 or in_flight <= QUIET_PER_REPLICA * ready:
        return None
    if before is None or before.ready != ready:
        calm_seconds = work_seconds if before is None else before.calm_seconds
        return Crowd(ready, now + window_seconds, in_flight, calm_seconds)
    seconds, more = now - before.since, in_flight - before.in_flight
    if seconds <= 0:
        return changed(before, in_flight=in_flight)
    chance = CHANCE_DEVIATIONS * math.sqrt(before.in_flight)
    if more + given_up * seconds >= chance + OUTRUN * answered * seconds:
        return changed(before, since=now, in_flight=in_flight, outruns_until=now + seconds)
    if more <= -chance or seconds >= COMPARED_SECONDS:
        return changed(before, since=now, in_flight=in_flight)
    return before

"""Every request of one service: the gateway chooses a pod, the pod works on one after another.

The time of an answer is known as soon as a pod is chosen, so nothing is simulated but arrivals, in their order. What
scrapes see is brought up to date whenever somebody looks. Compiled where Numba is installed, and the same without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function where Numba is installed, and leave it as it is elsewhere."""
    if find_spec("numba") is None:
        return function
    numba: Any = import_module("numba")
    return numba.njit(cache=True)(function)


Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

QUEUE: Final = 512
"""Requests that a pod holds at most, working or waiting; a further one is refused."""
PENDING: Final = 1024
"""Requests of a service that the gateway holds at most, Envoy's default; a further one is refused."""


class Routing(IntEnum):
    """How the gateway chooses among ready pods."""

    LEAST_REQUEST = 0
    """The one with the fewest requests of all."""
    ROUND_ROBIN = 1
    POOLED = 2
    """No queue at a pod: whoever is free first takes the next request. A bound, no real gateway."""
    TWO_CHOICES = 3
    """The one with fewer requests of two chosen by chance."""


class Count(IntEnum):
    """Counters of the gateway, as Envoy has them."""

    DISPATCHED = 0
    RESPONDED = 1
    TIMED_OUT = 2
    UNROUTED = 3
    OVERFLOWN = 4
    ON_TIME = 5
    """Responses within the objective."""
    OFFERED = 6
    LATE = 7
    """Of the offered: failed, refused, timed out or slower than the objective, as the client will see it."""
    RETRIED = 8
    """Tries after the first, which are among the dispatched or refused."""


@dataclass
class Requests:
    """The request state of one service with `slots` pods."""

    slots: int
    objective_seconds: float
    tail_seconds: float = 1.0
    """Bound of the histogram of work by which the pods tell its tail."""
    timeout_seconds: float = 15.0
    routing: Routing = Routing.LEAST_REQUEST
    seed: int = 0
    counts: Ints = field(init=False)
    answer_seconds: Floats = field(init=False)
    """By replica of the gateway: sum of the response times so far."""
    done: Ints = field(init=False)
    """By pod: requests worked off."""
    worked_seconds: Floats = field(init=False)
    """By pod: time of work of these."""
    short: Ints = field(init=False)
    """By pod: those of them whose work was within the bound."""
    accepts: NDArray[np.bool_] = field(init=False)
    free_at: Floats = field(init=False)
    """By pod: when all that it holds is worked off."""
    slowness: Floats = field(init=False)
    """By pod: how many times longer work takes on it."""

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(Count), dtype=np.int64)
        self.answer_seconds = np.zeros(1)
        self.done = np.zeros(self.slots, dtype=np.int64)
        self.worked_seconds = np.zeros(self.slots)
        self.short = np.zeros(self.slots, dtype=np.int64)
        self.accepts = np.zeros(self.slots, dtype=np.bool_)
        self.free_at = np.zeros(self.slots)
        self.slowness = np.ones(self.slots)
        self._head = np.zeros(self.slots, dtype=np.int64)
        self._tail = np.zeros(self.slots, dtype=np.int64)
        self._held = np.zeros((self.slots, QUEUE, 3))
        self._deadlines = np.zeros(PENDING + 1)
        # Position of the rotation, state of the random numbers, head and tail of the deadlines.
        self._cursor = np.array([0, self.seed * 2 + 1, 0, 0], dtype=np.int64)

    def advance(self, times: Floats, work_seconds: Floats, until: float) -> None:
        """Offer requests that arrive at `times`, ascending and before `until`, and see all that happens up to then."""
        _advance(
            times,
            work_seconds,
            until,
            int(self.routing),
            self.objective_seconds,
            self.tail_seconds,
            self.timeout_seconds,
            np.flatnonzero(self.accepts | (self._head < self._tail)),
            np.flatnonzero(self.accepts),
            self.free_at,
            self.slowness,
            self._head,
            self._tail,
            self._held,
            self._deadlines,
            self._cursor,
            self.counts,
            self.answer_seconds,
            self.done,
            self.worked_seconds,
            self.short,
        )

    @property
    def undecided(self) -> int:
        """Requests offered of which it is not counted yet whether they are late: here that is known beforehand."""
        return 0

    @property
    def counts_by_replica(self) -> Ints:
        """The counters of each replica of the gateway; here it has one."""
        return self.counts[None]

    @property
    def in_flight_by_replica(self) -> Ints:
        """Requests that each replica of the gateway waits for."""
        return np.array([self.in_flight])

    @property
    def in_flight(self) -> int:
        """Requests that the gateway waits for."""
        counts = self.counts
        return int(counts[Count.DISPATCHED] - counts[Count.RESPONDED] - counts[Count.TIMED_OUT])

    def start(self, slot: int, now: float) -> None:
        """A pod becomes ready, with counters at zero."""
        self.accepts[slot] = True
        self.free_at[slot] = now
        self.done[slot] = 0
        self.worked_seconds[slot] = 0.0
        self.short[slot] = 0

    def stop(self, slot: int) -> None:
        """A pod gets no further request; it works off what it holds."""
        self.accepts[slot] = False


@compiled
def _retire(pod, now, objective, bound, timeout, head, tail, held, counts, answers, done, worked, short):  # type: ignore[no-untyped-def]
    while head[pod] < tail[pod]:
        place = head[pod] % held.shape[1]
        end = held[pod, place, 1]
        if end > now:
            return
        seconds = end - held[pod, place, 0]
        if seconds <= timeout:
            counts[1] += 1
            answers[0] += seconds
            if seconds <= objective:
                counts[5] += 1
        done[pod] += 1
        worked[pod] += held[pod, place, 2]
        short[pod] += held[pod, place, 2] <= bound
        head[pod] += 1


@compiled
def choose(routing, ready, slots, free_at, head, tail, cursor):  # type: ignore[no-untyped-def]
    """`ready`: the pods that accept requests, of `slots`, ascending. The rotation goes by their slots."""
    count = ready.shape[0]
    best = -1
    if count == 0:
        return -1
    if routing == 3:
        for _ in range(2):
            cursor[1] = (cursor[1] * 1103515245 + 12345) & 0x7FFFFFFF
            pod = ready[(cursor[1] >> 8) % count]
            if best < 0 or tail[pod] - head[pod] < tail[best] - head[best]:
                best = pod
        return best
    first = np.searchsorted(ready, cursor[0] % slots)
    for step in range(count):
        place = first + step
        if place >= count:
            place -= count
        pod = ready[place]
        if routing == 1:
            cursor[0] = pod + 1
            return pod
        if best < 0:
            best = pod
        elif routing == 2:
            if free_at[pod] < free_at[best]:
                best = pod
        elif tail[pod] - head[pod] < tail[best] - head[best]:
            best = pod
    cursor[0] = cursor[0] + 1
    return best


@compiled
def _advance(  # type: ignore[no-untyped-def]
    times, work, until, routing, objective, bound, timeout, working, ready, free_at, slowness, head, tail, held,
    deadlines, cursor, counts, answers, done, worked, short,
):  # fmt: skip
    for index in range(times.shape[0] + 1):
        last = index == times.shape[0]
        now = until if last else times[index]
        for pod in working:  # no other gets a request here
            if head[pod] < tail[pod]:
                _retire(
                    pod,
                    now,
                    objective,
                    bound,
                    timeout,
                    head,
                    tail,
                    held,
                    counts,
                    answers,
                    done,
                    worked,
                    short,
                )
        while cursor[2] < cursor[3] and deadlines[cursor[2] % deadlines.shape[0]] <= now:
            counts[2] += 1
            cursor[2] += 1
        if last:
            return
        counts[6] += 1
        chosen = choose(routing, ready, held.shape[0], free_at, head, tail, cursor)
        if chosen < 0:
            counts[3] += 1
            counts[7] += 1
            continue
        if tail[chosen] - head[chosen] >= held.shape[1] or counts[0] - counts[1] - counts[2] >= 1024:
            counts[4] += 1
            counts[7] += 1
            continue
        begin = max(now, free_at[chosen])
        end = begin + work[index] * slowness[chosen]
        free_at[chosen] = end
        place = tail[chosen] % held.shape[1]
        held[chosen, place, 0] = now
        held[chosen, place, 1] = end
        held[chosen, place, 2] = end - begin
        tail[chosen] += 1
        counts[0] += 1
        if end - now > timeout:
            deadlines[cursor[3] % deadlines.shape[0]] = now + timeout
            cursor[3] += 1
        if end - now > min(objective, timeout):
            counts[7] += 1

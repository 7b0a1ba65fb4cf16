"""Every request of one service whose pods work on several at once, or whose gateway tries again.

When an answer comes depends on what arrives after the request, so here iterations are followed, where `requests` follows
arrivals alone. Of batches of one, and without retries, both make the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loadtests.simulator.engine import Engine
from loadtests.simulator.gateway import Doors, Gateway, Held, door_of_next, given_up, send
from loadtests.simulator.iterations import Lines, work
from loadtests.simulator.requests import QUEUE, Floats, Ints, Routing, compiled

Sizes = tuple[Floats, Floats, Floats]
"""What requests bring, one value each: size of the work (1 is an engine's item), tokens of the prompt, tokens of the answer."""


@dataclass
class BatchedRequests:
    """The request state of one service with `slots` pods. Raises ValueError for pooled routing: pods have queues here."""

    slots: int
    objective_seconds: float
    tail_seconds: float = 1.0
    """Bound of the histograms by which the pods tell their tail."""
    engine: Engine = field(default_factory=Engine)
    gateway: Gateway = field(default_factory=Gateway)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.gateway.routing is Routing.POOLED:
            raise ValueError("requests cannot be pooled where pods work on several at once")
        types = (float, float, float, float, int, float, int, int, float, float)
        # One type a field, or each mixture would be compiled anew.
        self.engine = Engine(*(of(value) for of, value in zip(types, self.engine, strict=True)))
        self.lines = Lines.of(self.slots, self.engine.largest_batch)
        self._held = Held.of(self.slots * QUEUE)
        self._doors = Doors.of(self.gateway.replicas, self.slots, self.seed)
        self._busy_seen = np.zeros(self.slots)
        self._seen_at = np.zeros(self.slots)

    def advance(self, times: Floats, sizes: Sizes, until: float) -> None:
        """Offer requests that arrive at `times`, ascending and before `until`, and see all that happens up to then."""
        gateway = self.gateway
        _advance(
            times,
            sizes,
            until,
            int(gateway.routing),
            gateway.patience_seconds,
            gateway.retries,
            gateway.retrying,
            self.objective_seconds,
            self.tail_seconds,
            self.engine,
            self._held,
            self.lines,
            self._doors,
        )

    @property
    def undecided(self) -> int:
        """Requests offered of which it is not counted yet whether they are late: all that are not answered."""
        return self.in_flight

    @property
    def counts_by_replica(self) -> Ints:
        """The counters of each replica of the gateway."""
        return self._doors.counts

    @property
    def counts(self) -> Ints:
        """Those of all."""
        return np.asarray(self._doors.counts.sum(axis=0))

    @property
    def answer_seconds(self) -> Floats:
        """By replica of the gateway: sum of the response times so far."""
        return self._doors.answer_seconds

    @property
    def in_flight_by_replica(self) -> Ints:
        """Requests that each replica of the gateway waits for."""
        return self._doors.awaited

    @property
    def in_flight(self) -> int:
        """Requests that the gateway waits for."""
        return int(self._doors.awaited.sum())

    @property
    def accepts(self) -> NDArray[np.bool_]:
        """By pod: whether it gets requests."""
        return self.lines.accepts

    @property
    def waiting(self) -> Ints:
        """By pod: requests that no iteration has taken up."""
        return self.lines.tail - self.lines.head

    @property
    def free_at(self) -> Floats:
        """By pod: when it had worked off all that it held; infinite while it holds any."""
        holds = self.waiting + self.lines.running_count
        return np.where(holds > 0, np.inf, self.lines.freed_at)

    def busy_ratio(self, slots: Ints, now: float) -> Floats:
        """Share of the time since they were last asked in which these pods ran iterations, as a GPU's counter tells it."""
        lines = self.lines
        began = np.where(np.isinf(lines.ends_at), now, lines.began_at)[slots]
        busy = lines.busy_seconds[slots] + np.maximum(now - began, 0.0)
        passed = np.maximum(now - self._seen_at[slots], 1e-9)
        ratio = np.clip((busy - self._busy_seen[slots]) / passed, 0.0, 1.0)
        self._busy_seen[slots], self._seen_at[slots] = busy, now
        return np.asarray(ratio)

    def start(self, slot: int, now: float) -> None:
        """A pod becomes ready, with counters at zero."""
        lines = self.lines
        lines.accepts[slot] = True
        lines.freed_at[slot] = now
        for counter in (lines.done, lines.short_work, lines.short_stays):
            counter[slot] = 0
        for sum_ in (lines.worked_seconds, lines.stayed_seconds, lines.busy_seconds, self._busy_seen):
            sum_[slot] = 0.0
        self._seen_at[slot] = now

    def stop(self, slot: int) -> None:
        """A pod gets no further request; it works off what it holds."""
        self.lines.accepts[slot] = False


@compiled
def _advance(  # type: ignore[no-untyped-def]
    times, sizes, until, routing, patience, retries, retrying, objective, bound, engine, held, lines, doors
):
    pods = lines.accepts.shape[0]
    for index in range(times.shape[0] + 1):
        last = index == times.shape[0]
        now = until if last else times[index]
        oldest = doors.ends[0]
        while oldest >= 0 and held.came_at[oldest] + patience <= now:
            due = held.came_at[oldest] + patience
            for pod in range(pods):
                work(pod, due, engine, objective, bound, retries, held, lines, doors)
            if doors.ends[0] == oldest:
                given_up(oldest, due, routing, retries, retrying, held, lines, doors)
            oldest = doors.ends[0]
        for pod in range(pods):
            work(pod, now, engine, objective, bound, retries, held, lines, doors)
        if last:
            return
        door = door_of_next(doors)
        doors.counts[door, 6] += 1
        item, inputs, outputs = sizes[0][index], int(sizes[1][index]), int(sizes[2][index])
        if not send(now, now, door, retries, item, inputs, outputs, routing, held, lines, doors):
            doors.counts[door, 7] += 1

"""Every request of one service whose pods work on several at once, or whose gateway tries again.

When an answer comes depends on what arrives after the request, so here iterations are followed, where `requests` follows
arrivals alone. Of batches of one, and without retries, both make the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loadtests.simulator.engine import Engine
from loadtests.simulator.gateway import OLDEST, Gateway, State, door_of_next, given_up, send
from loadtests.simulator.iterations import lines_of, work
from loadtests.simulator.requests import Floats, Ints, Routing, compiled

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
        self.lines = lines_of(self.slots)
        self._state = State.of(self.lines, self.gateway.replicas, self.engine.largest_batch, self.seed)
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
            self._state,
        )

    @property
    def undecided(self) -> int:
        """Requests offered of which it is not counted yet whether they are late: all that are not answered."""
        return self.in_flight

    @property
    def counts_by_replica(self) -> Ints:
        """The counters of each replica of the gateway."""
        return self._state.counts

    @property
    def counts(self) -> Ints:
        """Those of all."""
        return np.asarray(self._state.counts.sum(axis=0))

    @property
    def answer_seconds(self) -> Floats:
        """By replica of the gateway: sum of the response times so far."""
        return np.asarray(self._state.doors["answer_seconds"])

    @property
    def in_flight_by_replica(self) -> Ints:
        """Requests that each replica of the gateway waits for."""
        return np.asarray(self._state.doors["awaited"])

    @property
    def in_flight(self) -> int:
        """Requests that the gateway waits for."""
        return int(self._state.doors["awaited"].sum())

    @property
    def accepts(self) -> NDArray[np.bool_]:
        """By pod: whether it gets requests."""
        return self._state.accepts

    @property
    def waiting(self) -> Ints:
        """By pod: requests that no iteration has taken up."""
        return np.asarray(self.lines["tail"] - self.lines["head"])

    @property
    def free_at(self) -> Floats:
        """By pod: when it had worked off all that it held; infinite while it holds any."""
        holds = self.waiting + self.lines["count"]
        return np.where(holds > 0, np.inf, self.lines["freed_at"])

    def busy_ratio(self, slots: Ints, now: float) -> Floats:
        """Share of the time since they were last asked in which these pods ran iterations, as a GPU's counter tells it."""
        lines = self.lines[slots]
        began = np.where(np.isinf(lines["ends_at"]), now, lines["began_at"])
        busy = lines["busy_seconds"] + np.maximum(now - began, 0.0)
        passed = np.maximum(now - self._seen_at[slots], 1e-9)
        ratio = np.clip((busy - self._busy_seen[slots]) / passed, 0.0, 1.0)
        self._busy_seen[slots], self._seen_at[slots] = busy, now
        return np.asarray(ratio)

    def start(self, slot: int, now: float) -> None:
        """A pod becomes ready, with counters at zero."""
        self._state.accepts[slot] = True
        self.lines["freed_at"][slot] = now
        for counter in (
            "done",
            "short_work",
            "short_stays",
            "worked_seconds",
            "stayed_seconds",
            "busy_seconds",
        ):
            self.lines[counter][slot] = 0
        self._busy_seen[slot], self._seen_at[slot] = 0.0, now

    def stop(self, slot: int) -> None:
        """A pod gets no further request; it works off what it holds."""
        self._state.accepts[slot] = False


@compiled
def _advance(  # type: ignore[no-untyped-def]
    times, sizes, until, routing, patience, retries, retrying, objective, bound, engine, state
):
    held, book, counts = state.held, state.book, state.counts
    for index in range(times.shape[0] + 1):
        last = index == times.shape[0]
        now = until if last else times[index]
        oldest = book[OLDEST]
        while oldest >= 0 and held[oldest]["came_at"] + patience <= now:
            due = held[oldest]["came_at"] + patience
            work(due, engine, objective, bound, retries, state)
            if book[OLDEST] == oldest:
                given_up(oldest, due, routing, retries, retrying, state)
            oldest = book[OLDEST]
        work(now, engine, objective, bound, retries, state)
        if last:
            return
        door = door_of_next(state)
        counts[door, 6] += 1
        item, inputs, outputs = sizes[0][index], int(sizes[1][index]), int(sizes[2][index])
        if not send(now, now, door, retries, item, inputs, outputs, routing, state):
            counts[door, 7] += 1

"""One service under a peer or a schedule, without a Prometheus: the same as in a `World`, and many times quicker.

What a peer reads are a few numbers of each scrape, so only these are kept. Pods work on one request after another here,
and tell no more than their time of work.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from loadtests.simulator.govern import Governor, Told, decided, looks
from loadtests.simulator.requests import Count, Floats, Ints, Requests
from loadtests.simulator.service import Service
from loadtests.simulator.store import extrapolated
from loadtests.simulator.world import DEPTH, scrape_phase

ARRIVED = [Count.DISPATCHED, Count.UNROUTED, Count.OVERFLOWN]


@dataclass
class Seen(Told):
    """The last scrapes of one service: satisfies the peers' `Signals`, and answers as `Scraped` does."""

    slots: int
    scrape_seconds: float
    now: float = 0.0
    ready: int = 0

    def __post_init__(self) -> None:
        self._times: deque[float] = deque(maxlen=DEPTH)
        self._arrived: deque[Floats] = deque(maxlen=DEPTH)
        self._active: deque[float] = deque(maxlen=DEPTH)
        self._worked = np.zeros((DEPTH, self.slots))
        """By scrape, the newest last, and pod."""
        self._first = np.full(self.slots, DEPTH)
        """By pod: the first of the scrapes that it has been in; none where it is gone or was never scraped."""

    def scrape(self, now: float, requests: Requests) -> None:
        """Take what a scrape reads now."""
        self._times.append(now)
        self._arrived.append(requests.counts[ARRIVED].astype(np.float64))
        self._active.append(float(requests.in_flight))
        self._worked[:-1] = self._worked[1:]
        self._worked[-1] = requests.worked_seconds
        self._first = np.where(
            requests.accepts, np.maximum(np.minimum(self._first, DEPTH) - 1, 0), self._first
        )

    def forget(self, slots: Ints) -> None:
        """Pods are gone, or others begin in their place."""
        self._first[slots] = DEPTH

    def arrivals_per_second(self, window_seconds: float) -> float:
        """By the gateway's counters, refused requests among them."""
        begin = self._begin(window_seconds)
        if len(self._times) - begin < 2:
            return 0.0
        before = self._arrived[begin]
        return float(self._rates(self._arrived[-1] - before, before, begin, window_seconds).sum())

    def in_flight(self, window_seconds: float) -> float:
        """Mean of the gateway's gauge at the scrapes, as far back as one."""
        begin = self._begin(max(window_seconds, self.scrape_seconds))
        values = [self._active[at] for at in range(begin, len(self._active))]
        return sum(values) / len(values) if values else 0.0

    def queued(self, window_seconds: float) -> float:
        """The gateway's highest excess over one for each pod."""
        begin = self._begin(window_seconds)
        highest = max((self._active[at] for at in range(begin, len(self._active))), default=0.0)
        return max(highest - self.ready, 0.0)

    def _begin(self, seconds: float) -> int:
        """The first scrape of a window."""
        edge = self.now - seconds
        return next((at for at, time in enumerate(self._times) if time > edge), len(self._times))

    def _busy(self, window_seconds: float) -> Floats:
        seconds = max(window_seconds, 2 * self.scrape_seconds + 1)
        newest, missing = DEPTH - 1, DEPTH - len(self._times)
        first = np.maximum(self._first, self._begin(seconds) + missing)
        pods = np.flatnonzero(first < newest)
        first = first[pods]
        before = self._worked[first, pods]
        found = self._rates(self._worked[newest, pods] - before, before, first - missing, seconds)
        return np.minimum(found, 1.0)

    def _rates(self, increase: Floats, before: Floats, first: Ints | int, seconds: float) -> Floats:
        """Of counters that were `before` at the scrape `first`, at least one before the last."""
        times = np.array(self._times)
        spans = times[-1] - times[first], times[first] - (self.now - seconds), self.now - times[-1]
        return extrapolated(increase, before, np.asarray(len(times) - first), spans, seconds)


@dataclass
class Alone:
    """A service and who sets its replicas."""

    service: Service
    governor: Governor
    scrape_seconds: float = 15.0
    now: float = 0.0
    scalings: int = 0
    _seen: Seen = field(init=False)

    def __post_init__(self) -> None:
        self._seen = Seen(self.service.slots, self.scrape_seconds)
        self._phase = scrape_phase(self.service, self.scrape_seconds)

    def run(self, seconds: float) -> None:
        """Let so much time pass; all scrapes and decisions are at whole seconds, a scrape before a decision."""
        end, period = self.now + seconds, self.governor.period_seconds
        scrape, decision = self._next_scrape(), (self.now // period + 1) * period
        while (at := min(scrape, decision)) <= end:
            self.now = at
            if at == scrape:
                self._scrape()
                scrape += self.scrape_seconds
            if at == decision:
                self._decide()
                decision += period
        self.now = end

    def _next_scrape(self) -> float:
        if not looks(self.governor):
            return np.inf
        rounds = (self.now - self._phase) // self.scrape_seconds + 1
        return self._phase + rounds * self.scrape_seconds

    def _scrape(self) -> None:
        assert isinstance(self.service.requests, Requests)
        self.service.advance(self.now)
        self._seen.scrape(self.now, self.service.requests)

    def _decide(self) -> None:
        service = self.service
        self._seen.now, self._seen.ready = self.now, service.pods.ready
        wanted = decided(self.governor, self._seen, service, self.now)
        if wanted == service.pods.wanted:
            return
        self._seen.forget(np.concatenate(service.scale(wanted, self.now)))
        self.scalings += 1

"""One service under a peer or a schedule, without a Prometheus: the same as in a `World`, and many times quicker.

What a peer reads are a few numbers of each scrape, so only these are kept. Pods work on one request after another here,
and tell no more than their time of work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from autoscaler.peers.signals import PodLoad, Replicas
from loadtests.simulator.govern import Governor, Scheduled
from loadtests.simulator.requests import Count, Floats, Ints, Requests
from loadtests.simulator.service import Service
from loadtests.simulator.store import WINDOW_START_SHARE
from loadtests.simulator.world import DEPTH, scrape_phase

ARRIVED = [Count.DISPATCHED, Count.UNROUTED, Count.OVERFLOWN]


@dataclass
class Seen:
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

    def busy_ratio(self, window_seconds: float) -> float:
        """Mean of the pods' busy shares, as far back as two scrapes."""
        busy = self._busy(window_seconds)
        return float(busy.mean()) if len(busy) else 0.0

    def latency_seconds(self, quantile: float, window_seconds: float) -> float | None:
        """Not told: the simulated gateway has no buckets but the objective's."""
        raise NotImplementedError("policies that read quantiles of latency are not simulated")

    def per_pod(self, window_seconds: float) -> Sequence[PodLoad]:
        """The busy share stands for the cache, and what waits is spread evenly."""
        busy = self._busy(window_seconds)
        waiting = self.queued(window_seconds) / max(len(busy), 1)
        return [PodLoad(float(share), waiting) for share in busy]

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
        """As `store.rates` has it, of counters that were `before` at the scrape `first`, at least one before the last."""
        times = np.array(self._times)
        sampled = times[-1] - times[first]
        lead, after = times[first] - (self.now - seconds), self.now - times[-1]
        interval = sampled / (len(times) - 1 - first)
        start = np.where(lead >= interval * WINDOW_START_SHARE, interval / 2, lead)
        some = increase > 0
        to_zero = sampled * before / np.where(some, increase, 1.0)
        start = np.where(some, np.minimum(start, to_zero), start)
        end = np.where(after >= interval * WINDOW_START_SHARE, interval / 2, after)
        return np.asarray(increase * (sampled + start + end) / sampled / seconds)


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
        self._looks = not isinstance(self.governor, Scheduled)

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
        if not self._looks:
            return np.inf
        rounds = (self.now - self._phase) // self.scrape_seconds + 1
        return self._phase + rounds * self.scrape_seconds

    def _scrape(self) -> None:
        assert isinstance(self.service.requests, Requests)
        self.service.advance(self.now)
        self._seen.scrape(self.now, self.service.requests)

    def _decide(self) -> None:
        service, pods = self.service, self.service.pods
        self._seen.now, self._seen.ready = self.now, pods.ready
        replicas = Replicas(pods.wanted, pods.ready, max(pods.wanted - pods.ready, 0))
        wanted = min(max(self.governor.replicas(self._seen, replicas, self.now), 1), service.max_replicas)
        if wanted == pods.wanted:
            return
        service.advance(self.now)
        before = pods.there()
        pods.scale(wanted, self.now)
        self._seen.forget(np.flatnonzero((pods.there() & ~before) | pods.draining))
        self.scalings += 1

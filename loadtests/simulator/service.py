"""One service under load: what arrives, its pods, and what a scrape of them reads."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from loadtests.simulator.batched import BatchedRequests, Sizes
from loadtests.simulator.engine import Engine, Tokens
from loadtests.simulator.gateway import Gateway
from loadtests.simulator.pods import Pods
from loadtests.simulator.requests import Floats, Ints, Requests
from loadtests.simulator.scrapes import (
    Received,
    SeriesLabels,
    Values,
    gateway_labels,
    gateway_values,
    pod_labels,
    pod_values,
)
from loadtests.simulator.starts import Starts

NO_SIZES: Sizes = (np.zeros(0), np.zeros(0), np.zeros(0))


@dataclass(frozen=True)
class Load:
    """Requests per second in steps, and the work of each."""

    rates: Floats
    """Requests per second, by step."""
    step_seconds: float
    work_seconds: float
    """Mean work of a request."""
    variability: float = 0.25
    """Squared coefficient of variation of the work: log-normal."""
    tokens: Tokens | None = None
    """What requests to a language model bring; their work is then a factor on the cost of having them run, usually 1."""
    chunk_seconds: float = 3600.0
    """Of arrivals drawn at a time: whole steps."""

    def sizes(self, random: np.random.Generator, count: int) -> Sizes:
        """What so many requests bring."""
        spread = float(np.sqrt(np.log1p(self.variability)))
        work = random.lognormal(np.log(self.work_seconds) - spread**2 / 2, spread, count)
        if self.tokens is None:
            return work, np.zeros(count), np.ones(count)
        return work, *self.tokens.draw(random, count)

    def rate(self, now: float) -> float:
        """Requests per second at a time; after the last step that of the last."""
        return float(self.rates[min(int(now / self.step_seconds), len(self.rates) - 1)])


@dataclass(frozen=True)
class Arrivals:
    """Requests that were drawn beforehand, to be offered to several services one after the other."""

    times: Floats
    sizes: Sizes
    until: float
    """No request after this one's time was drawn."""

    def since(self, begin: float) -> Arrivals:
        """Those from a time on."""
        place = int(np.searchsorted(self.times, begin))
        return Arrivals(self.times[place:], _split(self.sizes, place)[1], self.until)


class Stream:
    """Draws what arrives, chunk by chunk: Poisson within each step of the load."""

    def __init__(self, load: Load, random: np.random.Generator) -> None:
        self._load, self._random, self._until = load, random, 0.0

    def following(self) -> Arrivals:
        """The next chunk."""
        begin, random, load = self._until, self._random, self._load
        self._until = end = begin + load.chunk_seconds
        edges = np.arange(begin, end, load.step_seconds)
        counts = [random.poisson(load.rate(edge) * min(load.step_seconds, end - edge)) for edge in edges]
        times = np.concatenate(
            [
                np.sort(random.uniform(edge, min(edge + load.step_seconds, end), count))
                for edge, count in zip(edges, counts, strict=True)
            ]
        )
        return Arrivals(times, load.sizes(random, len(times)), end)


def drawn(load: Load, seed: int, begin: float, end: float) -> Arrivals:
    """What arrives from `begin` to `end` at a service with this seed."""
    stream, found = Stream(load, _randoms(seed)[0]), Arrivals(np.zeros(0), NO_SIZES, 0.0)
    while found.until < end:
        more = stream.following()
        if more.until > begin:
            found = Arrivals(
                np.concatenate([found.times, more.times]), _joined(found.sizes, more.sizes), more.until
            )
    return found.since(begin)


def received(
    slots: int, objective_seconds: float, gateway: Gateway, engine: Engine | None = None, seed: int = 0
) -> Received:
    """The request state of a service: the quick one where pods work on one after another and nothing is tried again."""
    if engine is None and gateway.retries == 0 and gateway.replicas == 1:
        return Requests(
            slots, objective_seconds, objective_seconds, gateway.timeout_seconds, gateway.routing, seed
        )
    return BatchedRequests(slots, objective_seconds, objective_seconds, engine or Engine(), gateway, seed)


@dataclass
class Service:
    """A service with one Deployment, behind a gateway."""

    name: str
    load: Load
    objective_seconds: float
    starts: Starts
    slots: int
    gateway: Gateway = field(default_factory=Gateway)
    engine: Engine | None = None
    """How its pods work; without one on one request after another."""
    profile: str = "mlserver"
    """Of its metrics."""
    initial_replicas: int = 1
    min_replicas: int = 1
    max_replicas: int = 100
    percent: float = 99.0
    seed: int = 0
    requests: Received = field(init=False)
    pods: Pods = field(init=False)
    now: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.requests = received(self.slots, self.objective_seconds, self.gateway, self.engine, self.seed)
        arriving, starts = _randoms(self.seed)
        self._stream = Stream(self.load, arriving)
        self.pods = Pods(self.requests, self.starts, starts)
        self.pods.scale(self.initial_replicas, 0.0)
        self.pods.ready_at[self.pods.ready_at < np.inf] = 0.0
        self.pods.become_ready(0.0)
        self._drawn = Arrivals(np.zeros(0), NO_SIZES, 0.0)

    def advance(self, until: float) -> None:
        """Let all happen up to a time."""
        while (next_ready := self.pods.next_ready_at) <= until:
            self._offer(next_ready)
            self.pods.become_ready(next_ready)
        self._offer(until)
        self.now = until
        self.pods.end_drained(until)

    def scale(self, wanted: int, now: float) -> tuple[Ints, Ints]:
        """Set the replicas; the slots in which pods begin, and those whose pods get no further request."""
        self.advance(now)
        before = self.pods.there()
        self.pods.scale(wanted, now)
        return np.flatnonzero(self.pods.there() & ~before), np.flatnonzero(self.pods.draining)

    def gateway_values(self) -> Values:
        """What a scrape of the gateway's replicas reads now, by metric."""
        return gateway_values(self.requests, self.gateway.retries > 0)

    def gateway_labels(self) -> list[SeriesLabels]:
        """The labels of the series of each replica of the gateway."""
        return [
            gateway_labels(self.name, self.objective_seconds, replica, self.gateway_values())
            for replica in range(self.gateway.replicas)
        ]

    def pod_values(self, slots: Ints) -> Values:
        """What scrapes of these pods read now, by metric; a pod's series follow one another."""
        return pod_values(self.profile, self.requests, slots, self.now)

    def pod_labels(self, slot: int) -> SeriesLabels:
        """The labels of a pod's series."""
        pod = f"{self.name}-5d8c9-{slot:05d}"
        return pod_labels(self.profile, self.requests, pod, self.objective_seconds)

    def _offer(self, until: float) -> None:
        while self._drawn.until < until:
            more = self._stream.following()
            times = np.concatenate([self._drawn.times, more.times])
            self._drawn = Arrivals(times, _joined(self._drawn.sizes, more.sizes), more.until)
        times, sizes = self._drawn.times, self._drawn.sizes
        place = int(np.searchsorted(times, until))
        now, later = _split(sizes, place)
        offer(self.requests, times[:place], now, until)
        self._drawn = Arrivals(times[place:], later, self._drawn.until)

    def expect(self, arrivals: Arrivals) -> None:
        """Let these arrive in place of what would be drawn; they have to last to the end."""
        self._drawn = arrivals


def offer(requests: Received, times: Floats, sizes: Sizes, until: float) -> None:
    """Let requests arrive, and all happen up to a time; of pods that work on one after another only the work counts."""
    if isinstance(requests, Requests):
        requests.advance(times, sizes[0], until)
    else:
        requests.advance(times, sizes, until)


def _randoms(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """Of the arrivals and of the starts."""
    arriving, starting = np.random.SeedSequence(seed).spawn(2)
    return np.random.default_rng(arriving), np.random.default_rng(starting)


def _split(sizes: Sizes, place: int) -> tuple[Sizes, Sizes]:
    work, inputs, outputs = sizes
    return (work[:place], inputs[:place], outputs[:place]), (work[place:], inputs[place:], outputs[place:])


def _joined(before: Sizes, after: Sizes) -> Sizes:
    work, inputs, outputs = (np.concatenate(pair) for pair in zip(before, after, strict=True))
    return work, inputs, outputs

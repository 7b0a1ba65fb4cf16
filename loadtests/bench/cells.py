"""The cells of the matrix: which trace, how much work, what objective, which starts, which routing."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import gcd
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

from loadtests.bench.carried import ROUTINGS, curve_of
from loadtests.bounds.cost import Floats, Ints
from loadtests.bounds.curve import ALLOWED, Curve
from loadtests.bounds.oracle import Schedule, Smallest, clairvoyant, known_rate
from loadtests.simulator.gateway import Gateway
from loadtests.simulator.service import Load, Service
from loadtests.simulator.starts import fixed_start
from loadtests.traces.load import load
from loadtests.traces.synthetic import GENERATORS
from loadtests.traces.trace import Trace

MATRIX = Path(__file__).parents[1] / "matrix.toml"
HEADLINE = MATRIX.with_name("headline.toml")
PERCENT = 99.0
STEP_SECONDS = 15.0
"""Of the oracle's schedule: as often as anybody else decides."""
MOST_RECORDED = 8
"""Recorded traces beside the embedded ones."""


class Simulated(Protocol):
    """One kind of service under one load, as far as a run is concerned."""

    @property
    def name(self) -> str:
        """Its place among all, readable."""
        ...

    @property
    def work_seconds(self) -> float:
        """Time of a pod that a request takes, in the mean, at the most efficient feasible batch."""
        ...

    @property
    def concurrency(self) -> int:
        """That batch."""
        ...

    @property
    def alone(self) -> bool:
        """Whether its pods work on one request after another, so that peers can be run without a Prometheus."""
        ...

    def load(self, seed: int, days: int) -> Load:
        """Its load for so many days from the trace's first."""
        ...

    def schedule(self, load: Load, allowed: float = ALLOWED) -> Schedule:
        """What its known-rate oracle does that allows this late fraction wherever the rate is constant."""
        ...

    def hindsight(self, counts: Ints, window_steps: int, headroom: float) -> Schedule:
        """What somebody does who knows the requests that do come: `counts` in each step."""
        ...

    def service(self, name: str, seed: int, load: Load, schedule: Schedule, step: int = 0) -> Service:
        """The service, with as many replicas as the schedule has in a step."""
        ...


AnyCell = TypeVar("AnyCell", bound=Simulated, covariant=True)


@dataclass(frozen=True)
class Cell:
    """A cell of the headline's matrix: pods work on one request after another."""

    trace: str
    mean_work: float
    work_seconds: float
    objective: float
    """In mean times of work."""
    start_seconds: float
    variation: float
    routing: str
    directory: str = ""
    """Of the recorded trace; empty for one of the embedded."""

    @property
    def concurrency(self) -> int:
        """Requests that a pod works on at a time."""
        return 1

    @property
    def alone(self) -> bool:
        """One after another."""
        return True

    @property
    def name(self) -> str:
        """Its place in the matrix, readable."""
        return (
            f"{self.trace}/a={self.mean_work:g}/slo={self.objective:g}/start={self.start_seconds:g}"
            f"/cv={self.variation:g}/{self.routing}"
        )

    @property
    def objective_seconds(self) -> float:
        """Slower answers are late."""
        return self.objective * self.work_seconds

    def load(self, seed: int, days: int) -> Load:
        """Its load for so many days from the trace's first."""
        rate = self.mean_work / self.work_seconds
        if self.directory:
            rates, step_seconds = recorded_rates(self.directory, self.trace, rate, days)
        else:
            rates, step_seconds = rates_of(self.trace, seed, rate, days)
        return Load(rates, step_seconds, self.work_seconds, self.variation**2)

    def schedule(self, load: Load, allowed: float = ALLOWED) -> Schedule:
        """What its known-rate oracle does that allows this late fraction, beyond what work alone makes late, at constant rates."""
        return known_rate_schedule(load, self.start_seconds, self._curve(allowed).smallest)

    def hindsight(self, counts: Ints, window_steps: int, headroom: float) -> Schedule:
        """What somebody does who knows the requests that do come: `counts` in each step."""
        smallest = self._curve(ALLOWED).smallest
        return clairvoyant(counts, window_steps, headroom, STEP_SECONDS, self.start_seconds, smallest)

    def _curve(self, allowed: float) -> Curve:
        return curve_of(self.work_seconds, self.objective, self.variation, self.routing, allowed)

    def service(self, name: str, seed: int, load: Load, schedule: Schedule, step: int = 0) -> Service:
        """The service, with as many replicas as the schedule has in a step."""
        largest, slots = room_for(schedule)
        return Service(
            name,
            load,
            self.objective_seconds,
            fixed_start(self.start_seconds),
            slots=slots,
            gateway=Gateway(ROUTINGS[self.routing]),
            initial_replicas=int(schedule.asked[step]),
            max_replicas=largest,
            percent=PERCENT,
            seed=seed,
        )


@dataclass(frozen=True)
class Matrix(Generic[AnyCell]):
    """All cells, and how they are run."""

    cells: tuple[AnyCell, ...]
    seeds: int
    history_days: int

    def subset(self, count: int) -> tuple[AnyCell, ...]:
        """So many cells, evenly over the matrix, every trace and amount of work about as often."""
        if count >= len(self.cells):
            return self.cells
        # Steps of the golden section are never near one another; without a common factor they visit every cell.
        golden = round(len(self.cells) * (5**0.5 - 1) / 2)
        step = next(s for s in range(golden, 2 * len(self.cells)) if gcd(s, len(self.cells)) == 1)
        return tuple(self.cells[number * step % len(self.cells)] for number in range(count))


def read_matrix(
    path: Path = MATRIX, largest_work: float = float("inf"), recorded: Sequence[tuple[str, str]] = ()
) -> Matrix[Cell]:
    """The matrix of a file, without the cells of more work, and with these traces more, each of a directory.

    Raises KeyError for an entry that is missing.
    """
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    traces = [*((name, "") for name in found["traces"]), *recorded]
    cells = tuple(
        Cell(trace, work, found["work_seconds"], service["objective"], service["start_seconds"], variation, routing, directory)
        for (trace, directory), work, service, variation, routing in product(
            traces, found["mean_work"], found["service"], found["variation"], found["routing"]
        )
        if work <= largest_work
    )  # fmt: skip
    return Matrix(cells, found["seeds"], found["history_days"])


def known_rate_schedule(load: Load, start_seconds: float, smallest: Smallest) -> Schedule:
    """The schedule of who knows the rates and the time to start."""
    per_step = STEP_SECONDS / load.step_seconds
    edges = np.arange(int(len(load.rates) / per_step) + 1) * per_step
    begins, ends = np.floor(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int)
    highest = np.array([load.rates[a:b].max() for a, b in zip(begins, ends, strict=True)])
    return known_rate(highest, STEP_SECONDS, start_seconds, smallest)


def rates_of(trace: str, seed: int, mean_rate: float, days: int) -> tuple[Floats, float]:
    """Requests per second of so many days from the trace's first, and the seconds of each step."""
    found = GENERATORS[trace](seed).scaled_to(mean_rate)
    return np.asarray(found.rates[: int(days * 86400 / found.seconds_per_step)]), found.seconds_per_step


def recorded_rates(directory: str, trace: str, mean_rate: float, days: int) -> tuple[Floats, float]:
    """The last so many whole days of a recorded trace, scaled to this mean, and the seconds of each step."""
    whole = _traces(directory)[trace].days()[-days:]
    rates = np.concatenate([day.rates for day in whole])
    return rates * (mean_rate / rates.mean()), whole[0].seconds_per_step


def fitting(directory: Path, days: int, most: int = MOST_RECORDED) -> tuple[list[tuple[str, str]], list[str]]:
    """Traces of a directory with so many whole days, each with its directory, and why others are left out.

    Raises TraceError for what cannot be read.
    """
    found: list[tuple[str, str]] = []
    left_out: list[str] = []
    for name, trace in _traces(str(directory)).items():
        try:
            whole = trace.days()
        except ValueError as error:
            left_out.append(str(error))
            continue
        if len(whole) < days:
            left_out.append(f"{name} has {len(whole)} whole days; {days} are run")
        elif not all(day.rates.any() for day in whole[-days:]):
            left_out.append(f"{name} has a day without a request")
        elif len(found) == most:
            left_out.append(f"{name}: there are {most} already")
        else:
            found.append((name, str(directory)))
    return found, left_out


@lru_cache
def _traces(directory: str) -> dict[str, Trace]:
    return {trace.name: trace for trace in load(Path(directory))}


def room_for(schedule: Schedule) -> tuple[int, int]:
    """(maxReplicas, slots) of a service: three times the most that its oracle asks for, and those that drain."""
    largest = 3 * int(schedule.asked.max()) + 5
    return largest, 2 * largest + 5


def pairs(cells: Sequence[Simulated], seeds: int, first_seed: int = 0) -> list[tuple[Simulated, int]]:
    """Every cell with every seed, one seed after the other."""
    return [(cell, seed) for seed in range(first_seed, first_seed + seeds) for cell in cells]

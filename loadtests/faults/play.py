"""Plays a scenario beside the same run without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from loadtests.faults.measure import Figures, Moment, figures
from loadtests.faults.scenario import BEGIN, END, Scenario, Surge
from loadtests.faults.scenarios import SCENARIOS
from loadtests.faults.world import FaultyWorld, one_service
from loadtests.simulator.requests import Count

TICK_SECONDS = 5.0


@dataclass(frozen=True)
class Outcome:
    """One seed of a scenario."""

    run: Figures
    without: Figures
    told: frozenset[str]
    """Conditions that there were only with it."""
    broken: tuple[str, ...]
    """What must hold and did not."""


def play(scenario: Scenario, seed: int, begin: float = BEGIN, until: float = END) -> Outcome:
    """Run a scenario with one seed."""
    played, end = scenario.play(seed), begin + scenario.lasts

    def faulty(now: float) -> None:
        if now == begin:
            played.world.told.clear()
            played.begin()
        if now == end:
            played.end()
        if begin <= now < end:
            played.each_second()

    run = _moments(played.world, until, faulty)
    quiet, told_without = without(scenario.load, scenario.retries, seed, begin, until)
    seen, expected = figures(run, quiet, begin, end), figures(quiet, quiet, begin, end)
    told = frozenset(played.world.told) - told_without
    broken = tuple(must.sentence for must in scenario.musts if not must.test(seen, expected, told))
    return Outcome(seen, expected, told, broken)


Job = tuple[int, int]
"""Number of a scenario, and a seed."""


def run_job(job: Job) -> tuple[Job, Outcome]:
    """Play one seed of one scenario; here, so that another process finds it."""
    number, seed = job
    return job, play(SCENARIOS[number], seed)


@lru_cache
def without(
    load: Surge, retries: int, seed: int, begin: float, until: float
) -> tuple[list[Moment], frozenset[str]]:
    """The same service and requests, in which nothing happens, and what is told of it; many scenarios share one."""
    world = one_service(seed, load, retries=retries)
    run = _moments(world, until, lambda now: world.told.clear() if now == begin else None)
    return run, frozenset(world.told)


def _moments(world: FaultyWorld, until: float, each_second: Callable[[float], None]) -> list[Moment]:
    found = []
    while world.now < until:
        world.run(1.0, TICK_SECONDS)
        each_second(world.now)
        if world.now % TICK_SECONDS == 0:
            found.append(_moment(world))
    return found


def _moment(world: FaultyWorld) -> Moment:
    pods = [service.pods for service in world.services]
    counts = np.sum([service.requests.counts for service in world.services], axis=0)
    return Moment(
        world.now,
        sum(one.wanted for one in pods),
        int(counts[Count.OFFERED]),
        int(counts[Count.LATE]),
    )

"""What a row of the table is, and the three ways to make one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtests.faults.monitoring import Accrued
from loadtests.faults.musts import Must
from loadtests.faults.rollout import Rollout
from loadtests.faults.world import RATE, STABLE, FaultyWorld, one_service

BEGIN = 1200.0
"""Seconds before the fault."""
END = 4200.0
"""Seconds that a run takes."""


@dataclass(frozen=True)
class Surge:
    """The usual load up to a time, and within the ramp so many times as much."""

    at: float = 0.0
    factor: float = 1.0
    ramp_seconds: float = 300.0

    def __call__(self, now: float) -> float:
        """Requests per second."""
        return RATE * (1 + (self.factor - 1) * min(max((now - self.at) / self.ramp_seconds, 0.0), 1.0))


CONSTANT = Surge()


@dataclass
class Played:
    """A world, and what is done to it: at the fault's begin and end, and every second from its begin on."""

    world: FaultyWorld
    begin: Callable[[], None]
    end: Callable[[], None] = lambda: None
    each_second: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Scenario:
    """A row."""

    name: str
    sentence: str
    play: Callable[[int], Played]
    """By a seed, the world in which it happens."""
    load: Surge
    lasts: float
    musts: Sequence[Must]
    retries: int = 0
    """Of the gateway."""


def signals(
    name: str,
    sentence: str,
    begin: Callable[[FaultyWorld], None],
    end: Callable[[FaultyWorld], None],
    *musts: Must,
    of: Surge = CONSTANT,
    lasts: float = 600.0,
    each_second: Callable[[FaultyWorld], None] = lambda _: None,
    retries: int = 0,
) -> Scenario:
    def play(seed: int) -> Played:
        world = one_service(seed, of, retries=retries)
        return Played(world, lambda: begin(world), lambda: end(world), lambda: each_second(world))

    return Scenario(name, sentence, play, of, lasts, musts, retries)


def rollout(
    name: str,
    sentence: str,
    steps: Sequence[int],
    *musts: Must,
    work: float = 1.0,
    starts: bool = True,
    of: Surge = CONSTANT,
    abort: bool = False,
    lasts: float = 1200.0,
) -> Scenario:
    def play(seed: int) -> Played:
        led = Rollout(seed, of, steps, work, starts)
        end = led.abort if abort else lambda: None
        return Played(led.world, led.begin, end, led.each_second)

    return Scenario(name, sentence, play, of, lasts, musts)


def counted(
    name: str,
    sentence: str,
    share: float,
    installed: Callable[[FaultyWorld], Accrued],
    *musts: Must,
    lasts: float,
    errors: bool = False,
) -> Scenario:
    """A row in which counters tell something else than is so, and go on from there."""

    def play(seed: int) -> Played:
        world = one_service(seed, CONSTANT)
        part = installed(world)

        def begin() -> None:
            world.bring_up_to_date(STABLE)
            part.share = share
            world.errors.share = share if errors else 0.0

        def end() -> None:
            part.share = world.errors.share = 0.0

        return Played(world, begin, end)

    return Scenario(name, sentence, play, CONSTANT, lasts, musts)

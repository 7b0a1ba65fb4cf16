"""After a restart: what two days of history teach makes the next day's decisions what they would have been."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from autoscaler.capacity import Demand, smallest_replicas
from autoscaler.case import to_prepare_for
from autoscaler.demand import project
from autoscaler.history.reader import Reader
from autoscaler.history.rebuild import CHUNK_POINTS, CHUNK_STEPS, HISTORY_SECONDS, SEEN
from autoscaler.learn import ServiceTime, StartTime
from autoscaler.signals.queries import Windows
from autoscaler.state import LoopState, TargetState
from autoscaler.targets import ApiObjects, Target, targets_of
from serving_io.errors import SignalUnavailable
from serving_io.prometheus import RangeAnswer, Series
from tests.autoscaler.world import EPOCH, Revision, World

DAY = 86400.0
TICK = 45.0
WORK = 0.1
MIDNIGHT = EPOCH - EPOCH % DAY
Rate = Callable[[float], float]


def office(at: float) -> float:
    """Little at night; at nine everybody begins at once, until five; something at every full hour."""
    base = 2.0 if not 9 <= at % DAY / 3600 < 17 else 20.0
    return base + (15.0 if at % 3600 < 120 else 0.0)


def bursts(at: float) -> float:
    """Some times a day, for five minutes, at no time of the clock."""
    return 25.0 if at % 14_477 < 300 else 2.0


def the_target() -> tuple[ApiObjects, Target]:
    """One service, at its start."""
    world = World(Revision("digits"))
    objects = world.objects()
    return objects, targets_of(objects)[0][0]


def fresh(now: float) -> TargetState:
    """What a restart leaves: what the status remembers."""
    service = replace(ServiceTime.prior(WORK), observed=100.0, evidence=1e6)
    return TargetState(first_seen=now, service=service, start=StartTime((60.0,)), served_since=-1e12)


def lived(
    state: TargetState, target: Target, rate: Rate, begin: float, seconds: float
) -> tuple[TargetState, list[float]]:
    """Live so long; and what is prepared for at each tick."""
    windows, prepared = Windows(60, 180), []
    for number in range(1, int(seconds / TICK) + 1):
        now = begin + number * TICK
        fast = (rate(now - 15) + rate(now - 45)) / 2
        base = sum(rate(now - 15 - 30 * back) for back in range(6)) / 6
        state = replace(state, own_fast=fast, own_base=base)
        state, _ = project(target, {target.uid: state}, {target.uid: SEEN}, windows, TICK, now)
        _, most = to_prepare_for(state.expected_band.value or 0.0, state.seasonal, state.stand_by)
        prepared.append(most)
    return state, prepared


def replicas(rates: list[float]) -> np.ndarray[Any, Any]:
    """What they take."""
    count = len(rates)
    demand = Demand(np.full(count, WORK), np.full(count, 0.25), np.full(count, 0.5), np.full(count, 0.01))
    return smallest_replicas(np.array(rates), demand)


@dataclass
class Kept:
    """A Prometheus that has kept a rate for some time before `until`."""

    rate: Rate
    since: float
    deployments: tuple[str, ...] = ("digits",)
    beside: float = 0.0
    """Requests per second that reach the pods past the gateway."""
    asked: list[tuple[float, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def query_range(self, promql: str, start: float, end: float, step_seconds: float) -> RangeAnswer:
        """Means of minutes, as the counters have them."""
        if self.failures:
            raise SignalUnavailable(promql, self.failures.pop(0), "as the test wants it")
        self.asked.append((start, end))
        times = [t for t in np.arange(start, end + 1, step_seconds).tolist() if t >= self.since]
        points = tuple(
            (t, (self.rate(t - 15) + self.rate(t - 45)) / 2 / len(self.deployments)) for t in times
        )
        at_pods = tuple((t, rate + self.beside / len(self.deployments)) for t, rate in points)
        told = {"gateway": points, **({"mlserver": at_pods} if self.beside else {})}
        return RangeAnswer(
            tuple(
                Series({"namespace": "demo", "deployment": name, "profile": profile}, of_profile)
                for name in self.deployments
                for profile, of_profile in told.items()
                if of_profile
            )
        )


def restarted(kept: Kept, now: float) -> tuple[LoopState, Reader, float]:
    """A loop that begins now and reads on, a chunk a tick; when it was done."""
    objects, target = the_target()
    state, _ = lived(fresh(now), target, kept.rate, now - TICK, TICK)
    loop, reader = LoopState({target.uid: state}), Reader(kept)

    async def read() -> float:
        nonlocal loop
        at = now
        while not reader.done:
            at += 5.0
            loop = await reader.read(objects, loop, at)
        return at

    done = asyncio.run(read())
    return loop, reader, done


@pytest.mark.parametrize(("rate", "alike"), [(office, 0.98), (bursts, 0.98)])
def test_the_next_day_is_decided_as_without_the_restart(rate: Rate, alike: float) -> None:
    """At so many of its ticks with the same replicas, and on the whole at the same cost within a twentieth; without
    the history it would be otherwise.
    """
    objects, target = the_target()
    restart = MIDNIGHT + HISTORY_SECONDS
    through, _ = lived(fresh(MIDNIGHT), target, rate, MIDNIGHT, HISTORY_SECONDS)
    state, _ = lived(fresh(restart), target, rate, restart - TICK, TICK)
    loop, reader = LoopState({target.uid: state}), Reader(Kept(rate, since=0.0))

    async def read() -> None:
        nonlocal loop
        while not reader.done:
            loop = await reader.read(objects, loop, restart)

    asyncio.run(read())
    _, undisturbed = lived(through, target, rate, restart, DAY)
    _, rebuilt = lived(loop.targets[target.uid], target, rate, restart, DAY)
    _, forgotten = lived(state, target, rate, restart, DAY)
    wanted, found, without = replicas(undisturbed), replicas(rebuilt), replicas(forgotten)
    assert np.mean(found == wanted) >= alike
    assert found.sum() == pytest.approx(wanted.sum(), rel=0.05)
    assert np.mean(without == wanted) < alike - 0.04


def test_history_is_read_in_bounded_chunks() -> None:
    """Two days once, each stretch after the other, a query a tick."""
    kept = Kept(lambda at: 3.0, since=0.0)
    loop, _, done = restarted(kept, MIDNIGHT)
    assert kept.asked[0][0] >= MIDNIGHT - HISTORY_SECONDS
    assert all(
        later[0] == earlier[1] + 60 for earlier, later in zip(kept.asked, kept.asked[1:], strict=False)
    )
    assert max(end - begin for begin, end in kept.asked) <= 60 * min(CHUNK_STEPS, CHUNK_POINTS)
    assert len(kept.asked) <= HISTORY_SECONDS / 60 / CHUNK_STEPS + 2
    assert done - kept.asked[-1][1] < 70
    (state,) = loop.targets.values()
    assert state.came.seconds > DAY


@pytest.mark.parametrize(
    ("failures", "waits"),
    [
        (["AnswerTooLarge", "AnswerTooLarge"], 0.0),
        (["Timeout"], 0.0),
        (["Unreachable"], 60.0),
        (["PartialAnswer"], 60.0),
    ],
)
def test_what_fails_is_tried_again(failures: list[str], waits: float) -> None:
    """In smaller pieces, or a minute later."""
    kept = Kept(lambda at: 3.0, since=MIDNIGHT - 7200, failures=failures)
    loop, reader, done = restarted(kept, MIDNIGHT)
    assert reader.done
    assert done - MIDNIGHT >= waits
    (state,) = loop.targets.values()
    assert state.came.seconds > 3600


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (Kept(office, since=2e12), "Prometheus has no history of 1 targets"),
        (Kept(office, since=0.0, failures=["QueryRefused"]), "history is not read (QueryRefused"),
    ],
)
def test_without_history_it_says_so_and_goes_on(
    kept: Kept, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, with what follows from it."""
    caplog.set_level(logging.INFO)
    loop, reader, _ = restarted(kept, MIDNIGHT)
    assert reader.done
    assert caplog.text.count(said) == 1
    assert "learned anew within two days" in caplog.text
    (state,) = loop.targets.values()
    assert state.came.seconds <= TICK


def test_a_service_has_the_history_of_all_its_revisions() -> None:
    """Also of those that are gone; not that of a namesake's."""
    objects, _ = the_target()
    since = MIDNIGHT - 7200
    kept = Kept(lambda at: 8.0, since, deployments=("digits-0a1b2c3d", "digits-99999999"))
    loop, _, _ = restarted(kept, MIDNIGHT)
    (state,) = loop.targets.values()
    assert state.came.requests / state.came.seconds == pytest.approx(8.0, rel=0.01)
    kept = Kept(lambda at: 8.0, since, deployments=("digits-0a1b2c3d", "other-99999999"))
    loop, _, _ = restarted(kept, MIDNIGHT)
    (state,) = loop.targets.values()
    assert state.came.requests / state.came.seconds == pytest.approx(4.0, rel=0.01)
    assert objects.autoscalers[0]["metadata"]["labels"]["serving-operator.dev/service"] == "digits"


@pytest.mark.parametrize(
    ("passed", "beside", "came", "why"),
    [
        (0.0, 0.18, 0.18, "few requests that may take half a minute each"),
        (10.0, 5.0, 15.0, "some callers know the Service"),
        (10.0, 1.0, 10.0, "a tenth may be requests of before"),
    ],
)
def test_what_passed_the_gateway_by_is_in_the_history(
    passed: float, beside: float, came: float, why: str
) -> None:
    """As an observation has it."""
    kept = Kept(lambda at: passed, MIDNIGHT - 7200, beside=beside)
    loop, _, _ = restarted(kept, MIDNIGHT)
    (state,) = loop.targets.values()
    assert state.came.requests / state.came.seconds == pytest.approx(came, rel=0.02), why


@pytest.mark.parametrize(
    ("deployments", "came", "why"),
    [
        (("route/digits",), 8.0, "all revisions' requests are counted together"),
        (("route/digits", "digits-0a1b2c3d"), 4.0, "a revision's own are there"),
        (("route/other",), 0.0, "another service's"),
    ],
)
def test_the_history_of_a_route_is_that_of_its_service(
    deployments: tuple[str, ...], came: float, why: str
) -> None:
    """Where the gateway counts no backend by itself."""
    kept = Kept(lambda at: 8.0, MIDNIGHT - 7200, deployments=deployments)
    loop, _, _ = restarted(kept, MIDNIGHT)
    (state,) = loop.targets.values()
    seconds = state.came.seconds if came else math.inf
    assert state.came.requests / seconds == pytest.approx(came, rel=0.01), why


def test_nothing_is_read_for_new_targets() -> None:
    """Of whose work the status remembers nothing."""
    objects, target = the_target()
    kept, state = Kept(office, since=0.0), LoopState({target.uid: TargetState(first_seen=MIDNIGHT)})
    reader = Reader(kept)
    assert asyncio.run(reader.read(objects, LoopState(), MIDNIGHT)) == LoopState()
    assert not reader.done
    assert asyncio.run(reader.read(objects, state, MIDNIGHT)) == state
    assert reader.done
    assert kept.asked == []

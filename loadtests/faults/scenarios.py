"""The table: what happens, and what must hold. One row a fault or change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autoscaler.peers import PEERS
from loadtests.faults.measure import Figures
from loadtests.faults.monitoring import UNREACHABLE, Accrued
from loadtests.faults.rollout import Rollout
from loadtests.faults.world import (
    GATEWAYS,
    MAX_REPLICAS,
    OBJECTIVE_SECONDS,
    PODS,
    RATE,
    STABLE,
    WORK_SECONDS,
    FaultyWorld,
    one_service,
)
from loadtests.simulator.govern import Peer
from loadtests.simulator.requests import Ints
from loadtests.simulator.scrapes import Values

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
class Must:
    """What must hold of a run. `test` gets its figures, those without the fault, and the conditions that were told."""

    sentence: str
    test: Callable[[Figures, Figures, frozenset[str]], bool]


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


NEVER_FEWER = Must("never fewer replicas while blind", lambda run, _, __: run.lowest >= run.before)


def no_thrash(more: int) -> Must:
    """Replicas do not go to and fro; what comes and goes takes some turns."""
    return Must(
        f"no thrash: at most {more} turns more than without",
        lambda run, without, _: run.turns <= without.turns + more,
    )


NO_THRASH = no_thrash(2)


def back_within(seconds: float) -> Must:
    """Replicas are what they would be without the fault."""
    return Must(
        f"back to the replicas of a run without it within {seconds:.0f} s",
        lambda run, _, __: run.settled_after is not None and run.settled_after <= seconds,
    )


def late_until(seconds: float) -> Must:
    """No late minutes long after it."""
    return Must(
        f"no minute with 5% late later than {seconds:.0f} s after it",
        lambda run, _, __: run.late_until <= seconds,
    )


def late_at_most(share: float) -> Must:
    """Of all requests from its beginning on."""
    return Must(f"at most {share:.0%} late", lambda run, _, __: run.late <= share)


def at_most(factor: float) -> Must:
    """Replicas do not explode."""
    return Must(
        f"at most {factor:g} times the replicas of a run without it",
        lambda run, _, __: run.excess <= factor,
    )


def says(condition: str) -> Must:
    """A condition is told."""
    return Must(f"says {condition}", lambda _, __, told: condition in told)


def _signals(
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


def _rollout(
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
        rollout = Rollout(seed, of, steps, work, starts)
        end = rollout.abort if abort else lambda: None
        return Played(rollout.world, rollout.begin, end, rollout.each_second)

    return Scenario(name, sentence, play, of, lasts, musts)


def _unreachable(world: FaultyWorld) -> None:
    world.monitor.failure = UNREACHABLE


def _reachable(world: FaultyWorld) -> None:
    world.monitor.failure = None


def _not_finite(world: FaultyWorld) -> None:
    world.monitor.not_finite = True


def _finite(world: FaultyWorld) -> None:
    world.monitor.not_finite = False


def _unscraped(world: FaultyWorld) -> None:
    world.monitor.scraped = lambda kind, rows: np.zeros(len(rows), dtype=np.bool_)


def _half_scraped(world: FaultyWorld) -> None:
    world.monitor.scraped = lambda kind, rows: (rows % 2 == 0) | (kind != PODS)


def _scraped(world: FaultyWorld) -> None:
    world.monitor.scraped = None


def _asleep(world: FaultyWorld) -> None:
    world.asleep = True


def _awake(world: FaultyWorld) -> None:
    world.asleep = False
    world.forget()


def _slow_network(seconds: float = 3.0) -> Callable[[FaultyWorld], Accrued]:
    """Between gateway and pods a part of the answers gets lost for a while: the gateway sees them late, no pod is busy for it."""
    bucket, answers = "envoy_cluster_upstream_rq_time_bucket", "envoy_cluster_upstream_rq_time_count"
    total, active = "envoy_cluster_upstream_rq_time_sum", "envoy_cluster_upstream_rq_active"

    def installed(world: FaultyWorld) -> Accrued:
        late = Accrued(1)

        def altered(kind: int, rows: Ints, values: Values) -> Values:
            if kind != GATEWAYS:
                return values
            delayed = late.of(rows, values[answers])
            on_time = values[bucket].copy()
            on_time[0] = max(on_time[0] - delayed[0], 0.0)
            return values | {
                bucket: on_time,
                total: values[total] + 1000 * seconds * delayed,
                active: values[active] + RATE * late.share * seconds,
            }

        world.monitor.altered = altered
        return late

    return installed


def _failing(world: FaultyWorld) -> Accrued:
    """Pods count a part of what they answer as failed."""
    done, failed = "model_infer_request_success_total", "model_infer_request_failure_total"
    wrong = Accrued(2 * MAX_REPLICAS)

    def altered(kind: int, rows: Ints, values: Values) -> Values:
        if kind != PODS:
            return values
        part = wrong.of(rows, values[done])
        return values | {done: values[done] - part, failed: values[failed] + part}

    world.monitor.altered = altered
    return wrong


def _counted(
    name: str,
    sentence: str,
    share: float,
    installed: Callable[[FaultyWorld], Accrued],
    *musts: Must,
    lasts: float,
) -> Scenario:
    """A row in which counters tell something else than is so, and go on from there."""

    def play(seed: int) -> Played:
        world = one_service(seed, CONSTANT)
        part = installed(world)

        def begin() -> None:
            world.bring_up_to_date(STABLE)
            part.share = share
            world.errors.share = share if installed is _failing else 0.0

        def end() -> None:
            part.share = world.errors.share = 0.0

        return Played(world, begin, end)

    return Scenario(name, sentence, play, CONSTANT, lasts, musts)


def _slow_downstream(world: FaultyWorld, per_second: float = 12.0) -> None:
    """What all pods call answers no more than so many a second, however many ask."""
    world.slow(max(1.0, world.services[STABLE].pods.ready / (per_second * WORK_SECONDS)))


def _with_rival(world: FaultyWorld) -> None:
    """A HorizontalPodAutoscaler at 60% of what the pods are busy."""
    world.rival = Peer(
        PEERS["hpa-utilization"](0.6, 300.0, 1, MAX_REPLICAS, WORK_SECONDS), world.scrape_seconds
    )


def _rival_decides(world: FaultyWorld) -> None:
    if world.rival is not None and world.now % world.rival.period_seconds == 0:
        world.govern(STABLE, world.rival)


def _alone(world: FaultyWorld) -> None:
    world.rival = None


def _percent(percent: int) -> Callable[[FaultyWorld], None]:
    objective = {"thresholdMilliseconds": round(1000 * OBJECTIVE_SECONDS), "percent": percent}
    return lambda world: world.edit(STABLE, objective=objective)


def _nothing(_: FaultyWorld) -> None:
    pass


SCENARIOS: tuple[Scenario, ...] = (
    _signals(
        "outage",
        "Prometheus cannot be reached for 10 minutes",
        _unreachable,
        _reachable,
        NEVER_FEWER,
        NO_THRASH,
        back_within(300),
        late_until(0),
    ),
    _signals(
        "outage-surge",
        "Prometheus cannot be reached while the load grows two and a half times",
        _unreachable,
        _reachable,
        NEVER_FEWER,
        NO_THRASH,
        back_within(900),
        late_until(420),
        of=Surge(BEGIN + 60, 2.5),
    ),
    _signals(
        "outage-ebb",
        "Prometheus cannot be reached while the load falls to a third",
        _unreachable,
        _reachable,
        NEVER_FEWER,
        NO_THRASH,
        back_within(1200),
        late_until(0),
        of=Surge(BEGIN + 60, 1 / 3),
    ),
    _signals(
        "not-a-number",
        "every value is NaN for 10 minutes",
        _not_finite,
        _finite,
        NEVER_FEWER,
        NO_THRASH,
        back_within(300),
        late_until(0),
    ),
    _signals(
        "stale",
        "nothing is scraped for 10 minutes",
        _unscraped,
        _scraped,
        NEVER_FEWER,
        NO_THRASH,
        back_within(300),
        late_until(0),
    ),
    _signals(
        "partial",
        "half of the pods are not scraped for 10 minutes",
        _half_scraped,
        _scraped,
        NEVER_FEWER,
        NO_THRASH,
        at_most(1.5),
        back_within(600),
        late_until(0),
    ),
    _signals(
        "counter-reset",
        "the gateway starts to count anew",
        lambda world: world.monitor.restart(GATEWAYS),
        lambda world: None,
        NO_THRASH,
        back_within(300),
        late_until(0),
        lasts=60.0,
    ),
    _signals(
        "two-prometheus",
        "two Prometheus replicas, each missing a tenth of its scrapes, for 20 minutes",
        lambda world: world.monitor.in_two(0.1),
        lambda world: world.monitor.in_one(),
        NO_THRASH,
        at_most(1.5),
        back_within(600),
        late_until(0),
        lasts=1200.0,
    ),
    _signals(
        "restart-surge",
        "the autoscaler is away for 30 s and forgets everything while the load grows",
        _asleep,
        _awake,
        NO_THRASH,
        back_within(600),
        late_until(300),
        of=Surge(BEGIN - 100, 2.5),
        lasts=30.0,
    ),
    _rollout(
        "crash-loop",
        "a canary at 10% whose pods never start",
        (10,),
        Must(
            "the canary has at most its reserve",
            lambda run, without, _: run.highest <= without.highest + 3,
        ),
        NO_THRASH,
        late_until(0),
        starts=False,
    ),
    *(
        _rollout(
            f"slower-{factor}-at-{steps[-1]}",
            f"a revision that works {factor} times as long, at {steps[-1]}%",
            steps,
            NO_THRASH,
            *musts,
            work=float(factor),
            lasts=1500.0,
        )
        for factor, musts in (
            (2, (late_until(0), late_at_most(0.03))),
            (4, (says("ObjectiveInfeasible=True/WorkTooLong"),)),
        )
        for steps in ((10,), (10, 50), (10, 50, 100))
    ),
    _rollout(
        "surge-step",
        "the load grows two and a half times while half of it goes to a canary",
        (10, 50),
        NO_THRASH,
        late_until(0),
        of=Surge(BEGIN + 400, 2.5),
    ),
    _rollout(
        "rollback-peak",
        "at two and a half times the load, a canary at half of it is aborted",
        (50,),
        no_thrash(4),
        late_until(60),
        back_within(1200),
        of=Surge(BEGIN - 900, 2.5),
        abort=True,
        lasts=600.0,
    ),
    _counted(
        "slow-network",
        "half of the answers take 3 s longer on their way",
        0.5,
        _slow_network(),
        at_most(1.75),
        NO_THRASH,
        says("NotCapacityBound=True/MoreDidNotHelp"),
        back_within(1200),
        lasts=1500.0,
    ),
    _signals(
        "slow-downstream",
        "what the pods call answers 12 a second, however many ask",
        _nothing,
        lambda world: world.slow(1.0),
        at_most(1.75),
        NO_THRASH,
        back_within(1200),
        each_second=_slow_downstream,
        lasts=1200.0,
    ),
    _signals(
        "retry-storm",
        "pods six times as slow for 2 minutes behind a gateway that tries again",
        lambda world: world.slow(6.0),
        lambda world: world.slow(1.0),
        no_thrash(3),
        late_until(180),
        back_within(1800),
        lasts=120.0,
        retries=1,
    ),
    _counted(
        "fast-errors",
        "half of the requests fail within a fiftieth of the time",
        0.5,
        _failing,
        Must(
            "replicas stay for what the requests would take", lambda run, _, __: run.lowest >= run.before - 1
        ),
        NO_THRASH,
        late_until(0),
        back_within(600),
        lasts=600.0,
    ),
    _signals(
        "node-loss",
        "half of the pods are gone",
        lambda world: world.lose(0.5),
        _nothing,
        at_most(2),
        late_until(180),
        back_within(900),
        lasts=0.0,
    ),
    _signals(
        "slow-pod",
        "one pod at half speed for 20 minutes",
        lambda world: world.slow(2.0, slice(0, 1)),
        lambda world: world.slow(1.0),
        at_most(1.5),
        NO_THRASH,
        back_within(1200),
        lasts=1200.0,
    ),
    _signals(
        "edited",
        "the objective is edited to 90% and back",
        _percent(90),
        _percent(99),
        NO_THRASH,
        late_until(120),
        back_within(600),
        lasts=1200.0,
    ),
    _signals(
        "second-scaler",
        "a HorizontalPodAutoscaler of the same Deployment for 20 minutes",
        _with_rival,
        _alone,
        says("Conflict=True/SecondScaler"),
        back_within(900),
        each_second=_rival_decides,
        lasts=1200.0,
    ),
)
"""In the order of the report."""

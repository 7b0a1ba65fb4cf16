"""The table: what happens, and what must hold. One row a fault or change."""

from __future__ import annotations

from loadtests.faults import acts
from loadtests.faults.blindness import BLINDNESS
from loadtests.faults.musts import (
    NO_THRASH,
    Must,
    at_most,
    back_within,
    late_at_most,
    late_until,
    no_thrash,
    says,
)
from loadtests.faults.scenario import BEGIN, Scenario, Surge, counted, rollout, signals

SCENARIOS: tuple[Scenario, ...] = (
    *BLINDNESS,
    rollout(
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
        rollout(
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
    rollout(
        "surge-step",
        "the load grows two and a half times while half of it goes to a canary",
        (10, 50),
        NO_THRASH,
        late_until(0),
        of=Surge(BEGIN + 400, 2.5),
    ),
    rollout(
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
    counted(
        "slow-network",
        "half of the answers take 3 s longer on their way",
        0.5,
        acts.slow_network(),
        at_most(1.75),
        NO_THRASH,
        says("NotCapacityBound=True/MoreDidNotHelp"),
        back_within(1200),
        lasts=1500.0,
    ),
    signals(
        "slow-downstream",
        "what the pods call answers 12 a second, however many ask",
        acts.nothing,
        lambda world: world.slow(1.0),
        at_most(1.75),
        NO_THRASH,
        back_within(1200),
        each_second=acts.slow_downstream,
        lasts=1200.0,
    ),
    signals(
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
    counted(
        "fast-errors",
        "half of the requests fail within a fiftieth of the time",
        0.5,
        acts.failing,
        Must(
            "replicas stay for what the requests would take", lambda run, _, __: run.lowest >= run.before - 1
        ),
        NO_THRASH,
        late_until(0),
        back_within(600),
        lasts=600.0,
        errors=True,
    ),
    signals(
        "node-loss",
        "half of the pods are gone",
        lambda world: world.lose(0.5),
        acts.nothing,
        at_most(2),
        late_until(180),
        back_within(900),
        lasts=0.0,
    ),
    signals(
        "slow-pod",
        "one pod at half speed for 20 minutes",
        lambda world: world.slow(2.0, slice(0, 1)),
        lambda world: world.slow(1.0),
        at_most(1.5),
        NO_THRASH,
        back_within(1200),
        lasts=1200.0,
    ),
    signals(
        "edited",
        "the objective is edited to 90% and back",
        acts.percent(90),
        acts.percent(99),
        NO_THRASH,
        late_until(120),
        back_within(600),
        lasts=1200.0,
    ),
    signals(
        "second-scaler",
        "a HorizontalPodAutoscaler of the same Deployment for 20 minutes",
        acts.with_rival,
        acts.alone,
        says("Conflict=True/SecondScaler"),
        back_within(900),
        each_second=acts.rival_decides,
        lasts=1200.0,
    ),
)
"""In the order of the report."""

"""Runs policies on cells: the history, then the scored day, and what it cost and held."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import numpy as np

from autoscaler.peers import PEERS
from loadtests.bench.ablations import without
from loadtests.bench.cells import MATRIX, STEP_SECONDS, Simulated
from loadtests.bounds.oracle import Schedule
from loadtests.simulator.alone import Alone
from loadtests.simulator.govern import Governor, Peer, Scheduled
from loadtests.simulator.requests import Count
from loadtests.simulator.service import Arrivals, Load, Service, drawn
from loadtests.simulator.world import World

HOUR, DAY = 3600.0, 86400.0
REMEMBERED_SECONDS = {"wva-v2": DAY}
"""Of the history what a peer may still know of on the scored day, without any an hour; wva-v2 keeps what it saw under saturation."""
OURS, ORACLE, CLAIRVOYANT, STATIC = "ours", "oracle", "clairvoyant", "static"
HINDSIGHT = "keda-hindsight"
"""KEDA on the rate with a threshold that was chosen for one cell, knowing its day."""
NO_KNOB = "none"
SIMULATED_PEERS = tuple(name for name in PEERS if name not in ("keda-latency", "dynamo-load", "faro"))
"""All but those that read quantiles of latency, of which the simulated gateway tells none."""
IN_FLIGHT = ("hpa-concurrency", "kpa", "ray-serve", "aibrix-kpa", "aibrix-apa")
"""Whose targets are requests in flight for each replica: here for each that a replica's most efficient batch holds."""
CODE = (
    "autoscaler", "loadtests/bounds", "loadtests/simulator", "loadtests/traces",
    *(f"loadtests/bench/{name}.py" for name in ("ablations", "cells", "models", "run")),
)  # fmt: skip
"""What rows depend on: folders and files."""
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Setting:
    """A policy with its knobs. Ours has none; the oracle's target is the late fraction that it allows at constant rates, the
    clairvoyant's its headroom, and its hold the window over which it averages the requests that do come."""

    policy: str
    target: float = 0.0
    hold_seconds: float = 0.0
    min_replicas: int = 1
    without: str = ""
    """Of ours: the mechanism that it lacks, of `ablations`."""

    @property
    def knob(self) -> str:
        """The whole setting, readable."""
        if self.policy == OURS:
            return f"without={self.without}" if self.without else NO_KNOB
        if self.policy == ORACLE:
            return f"allowed={self.target:g}"
        if self.policy == CLAIRVOYANT:
            return f"headroom={self.target:g},window={self.hold_seconds:g}"
        return f"target={self.target:g},hold={self.hold_seconds:g},min={self.min_replicas}"

    def governor(
        self,
        cell: Simulated,
        load: Load,
        schedule: Schedule,
        max_replicas: int,
        arrivals: Arrivals | None = None,
    ) -> Governor | None:
        """Who governs a service of the cell; nobody but the production autoscaler for ours. The clairvoyant needs the arrivals."""
        if self.policy == OURS:
            return None
        if self.policy == ORACLE:
            return Scheduled(cell.schedule(load, self.target).asked, STEP_SECONDS)
        if self.policy == CLAIRVOYANT:
            assert arrivals is not None
            counts = np.bincount((arrivals.times // STEP_SECONDS).astype(int))
            found = cell.hindsight(counts, round(self.hold_seconds / STEP_SECONDS), self.target)
            return Scheduled(found.asked, STEP_SECONDS)
        if self.policy == STATIC:
            scored = schedule.needed[-round(DAY / STEP_SECONDS) :]
            target = float(max(1, round(self.target * scored.max())))
        else:
            target = self.target * (cell.concurrency if self.policy in IN_FLIGHT else 1)
        policy = PEERS["keda-rate" if self.policy == HINDSIGHT else self.policy](
            target, self.hold_seconds, self.min_replicas, max_replicas, cell.work_seconds
        )
        return Peer(policy, scrape_seconds=15.0)


@dataclass(frozen=True)
class Row:
    """One run of one cell with one seed: a line of `runs.csv`."""

    cell: str
    seed: int
    policy: str
    knob: str
    late: float
    """Fraction of the requests offered in the scored day."""
    cost: float
    """Replica-seconds in it, from a pod's creation to its exit."""
    work: float
    """Service seconds of the requests offered in it."""
    bound: float | None
    """The known-rate oracle's cost; None where the cell is infeasible, and while that is not known."""
    configuration: str
    worst_hour: float
    hours_above: float
    """Share of its hours with more than 1% late."""
    scalings: int


Pair = tuple[Simulated, int]
"""A cell, and its seed."""


@dataclass(frozen=True)
class Job:
    """Some of the runs, which share what they can."""

    settings: Sequence[Setting]
    pairs: Sequence[Pair]
    history_days: int
    configuration: str

    def run(self) -> list[Row]:
        """All settings on all pairs: ours, and what needs a Prometheus, side by side."""
        if all(cell.alone for cell, _ in self.pairs) and all(one.policy != OURS for one in self.settings):
            return [row for cell, seed in self.pairs for row in self._alone(cell, seed)]
        rows = []
        for setting in self.settings:
            with without(setting.without):
                rows += self._together(setting)
        return rows

    def _together(self, setting: Setting) -> list[Row]:
        """Side by side in one simulated world, with its Prometheus."""
        services, governors = [], {}
        for number, (cell, seed) in enumerate(self.pairs):
            load = cell.load(seed, self.history_days + 1)
            schedule = cell.schedule(load)
            service = cell.service(f"s{number}", seed_of(cell, seed), load, schedule)
            services.append(service)
            if (governor := setting.governor(cell, load, schedule, service.max_replicas)) is not None:
                governors[number] = governor
        world = World(services, governors)
        world.run(self.history_days * DAY, 15.0)
        before = dict(world.decisions)
        hours = [[_seen(service, world.now) for service in services]]
        for _ in range(24):
            world.run(HOUR, 15.0)
            hours.append([_seen(service, world.now) for service in services])
        return [
            self._row(
                setting,
                pair,
                [hour[number] for hour in hours],
                services[number].requests.undecided,
                world.decisions[f"s{number}"] - before.get(f"s{number}", 0),
            )
            for number, pair in enumerate(self.pairs)
        ]

    def _alone(self, cell: Simulated, seed: int) -> list[Row]:
        """One after another on the same requests. Of the history only its end, as far as they remember."""
        load = cell.load(seed, self.history_days + 1)
        schedule = cell.schedule(load)
        begin = self.history_days * DAY
        sinces = [max(begin - REMEMBERED_SECONDS.get(one.policy, HOUR), 0.0) for one in self.settings]
        whole = drawn(load, seed_of(cell, seed), min(sinces), begin + DAY)
        rows = []
        for setting, since in zip(self.settings, sinces, strict=True):
            arrivals = whole.since(since)
            service = cell.service(
                "s",
                seed_of(cell, seed),
                load,
                schedule,
                min(int(since / STEP_SECONDS), len(schedule.asked) - 1),
            )
            governor = setting.governor(cell, load, schedule, service.max_replicas, arrivals)
            assert governor is not None
            service.expect(arrivals)
            alone = Alone(service, governor, now=since)
            alone.run(begin - since)
            before, hours = alone.scalings, [_seen(service, alone.now)]
            for _ in range(24):
                alone.run(HOUR)
                hours.append(_seen(service, alone.now))
            rows.append(self._row(setting, (cell, seed), hours, 0, alone.scalings - before))
        return rows

    def _row(
        self,
        setting: Setting,
        pair: Pair,
        hours: Sequence[tuple[int, int, float]],
        undecided: int,
        scalings: int,
    ) -> Row:
        cell, seed = pair
        offered = [b[0] - a[0] for a, b in pairwise(hours)]
        late = [b[1] - a[1] for a, b in pairwise(hours)]
        late[-1] += undecided
        of_hour = [bad / max(all_, 1) for bad, all_ in zip(late, offered, strict=True)]
        return Row(
            cell=cell.name,
            seed=seed,
            policy=setting.policy,
            knob=setting.knob,
            late=sum(late) / max(sum(offered), 1),
            cost=hours[-1][2] - hours[0][2],
            work=sum(offered) * cell.work_seconds,
            bound=None,
            worst_hour=max(of_hour),
            hours_above=sum(share > 0.01 for share in of_hour) / len(of_hour),
            scalings=scalings,
            configuration=self.configuration,
        )


def seed_of(cell: Simulated, seed: int) -> int:
    """Of its arrivals and the phase of its scrapes: others in every cell, for all policies the same."""
    return crc32(f"{cell.name} {seed}".encode())


def run_job(job: Job) -> list[Row]:
    """Run one job, in whichever process."""
    return job.run()


def configuration(matrix: Path = MATRIX, traces: Path | None = None) -> str:
    """A hash of policy, simulator, bounds, the cells' file and recorded traces: rows of another one are not compared."""
    digest = hashlib.sha256()
    for place in CODE:
        found = REPOSITORY / place
        for path in sorted(found.rglob("*.py")) if found.is_dir() else [found]:
            digest.update(path.read_bytes())
    recorded = sorted(path for path in traces.rglob("*") if path.is_file()) if traces else []
    for path in (matrix, *recorded):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _seen(service: Service, now: float) -> tuple[int, int, float]:
    """Offered, late and replica-seconds so far."""
    service.advance(now)
    counts = service.requests.counts
    return int(counts[Count.OFFERED]), int(counts[Count.LATE]), service.pods.cost_seconds(now)

"""Runs policies on cells: the history, then the scored day, and what it cost and held."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from autoscaler.peers import PEERS
from loadtests.bench.cells import MATRIX, STEP_SECONDS, Simulated
from loadtests.bounds.oracle import Schedule
from loadtests.simulator.govern import Governor, Peer, Scheduled
from loadtests.simulator.requests import Count
from loadtests.simulator.world import World

HOUR = 3600.0
OURS, ORACLE = "ours", "oracle"
NO_KNOB = "none"
SIMULATED_PEERS = tuple(name for name in PEERS if name not in ("keda-latency", "dynamo-load", "faro"))
"""All but those that read quantiles of latency, of which the simulated gateway tells none."""
IN_FLIGHT = ("hpa-concurrency", "kpa", "ray-serve", "aibrix-kpa", "aibrix-apa")
"""Whose targets are requests in flight for each replica: here for each that a replica's most efficient batch holds."""
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Setting:
    """A policy with its knobs; ours and the oracle have none."""

    policy: str
    target: float = 0.0
    hold_seconds: float = 0.0

    @property
    def knob(self) -> str:
        """The whole setting, readable."""
        if self.policy in (OURS, ORACLE):
            return NO_KNOB
        return f"target={self.target:g},hold={self.hold_seconds:g},min=1"

    def governor(self, cell: Simulated, schedule: Schedule, max_replicas: int) -> Governor | None:
        """Who governs a service of the cell; nobody but the production autoscaler for ours."""
        if self.policy == OURS:
            return None
        if self.policy == ORACLE:
            return Scheduled(schedule.asked, STEP_SECONDS)
        target = self.target * (cell.concurrency if self.policy in IN_FLIGHT else 1)
        policy = PEERS[self.policy](target, self.hold_seconds, 1, max_replicas, cell.work_seconds)
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
    worst_hour: float
    hours_above: float
    """Share of its hours with more than 1% late."""
    scalings: int
    configuration: str


def run(
    setting: Setting, pairs: Sequence[tuple[Simulated, int]], history_days: int, configuration: str
) -> list[Row]:
    """Run one setting on cells with seeds, side by side in one simulated world."""
    services, governors = [], {}
    for number, (cell, seed) in enumerate(pairs):
        load = cell.load(seed, history_days + 1)
        schedule = cell.schedule(load)
        service = cell.service(f"s{number}", seed, load, schedule)
        services.append(service)
        if (governor := setting.governor(cell, schedule, service.max_replicas)) is not None:
            governors[number] = governor
    world = World(services, governors)
    world.run(history_days * 24 * HOUR, 15.0)
    hours = [_seen(world)]
    before = dict(world.decisions)
    for _ in range(24):
        world.run(HOUR, 15.0)
        hours.append(_seen(world))
    rows = []
    for number, (cell, seed) in enumerate(pairs):
        counts = [hour[number] for hour in hours]
        offered = [b[0] - a[0] for a, b in pairwise(counts)]
        late = [b[1] - a[1] for a, b in pairwise(counts)]
        late[-1] += world.services[number].requests.undecided
        of_hour = [bad / max(all_, 1) for bad, all_ in zip(late, offered, strict=True)]
        rows.append(
            Row(
                cell=cell.name,
                seed=seed,
                policy=setting.policy,
                knob=setting.knob,
                late=sum(late) / max(sum(offered), 1),
                cost=counts[-1][2] - counts[0][2],
                work=sum(offered) * cell.work_seconds,
                worst_hour=max(of_hour),
                hours_above=sum(share > 0.01 for share in of_hour) / len(of_hour),
                scalings=world.decisions[f"s{number}"] - before.get(f"s{number}", 0),
                configuration=configuration,
            )
        )
    return rows


Job = tuple[Setting, Sequence[tuple[Simulated, int]], int, str]
"""The arguments of `run`, to be sent to another process."""


def run_job(job: Job) -> list[Row]:
    """Run one job."""
    return run(*job)


def configuration(matrix: Path = MATRIX) -> str:
    """A hash of the policy, the simulator and the cells' file: rows of another one are not compared."""
    digest = hashlib.sha256()
    for folder in ("autoscaler", "loadtests/simulator", "loadtests/bench", "loadtests/traces"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    digest.update(matrix.read_bytes())
    return digest.hexdigest()[:12]


def fields(row: Row) -> dict[str, str]:
    """A row as text; numbers so that they read back as they are."""
    return {
        name: repr(value) if isinstance(value, float) else str(value) for name, value in asdict(row).items()
    }


def row_of(text: Mapping[str, str]) -> Row:
    """A row read back."""
    numbers = {name: float(text[name]) for name in ("late", "cost", "work", "worst_hour", "hours_above")}
    return Row(
        cell=text["cell"],
        seed=int(text["seed"]),
        policy=text["policy"],
        knob=text["knob"],
        scalings=int(text["scalings"]),
        configuration=text["configuration"],
        **numbers,
    )


def _seen(world: World) -> list[tuple[int, int, float]]:
    """Of each service: offered, late and replica-seconds so far."""
    found = []
    for number, service in enumerate(world.services):
        world.bring_up_to_date(number)
        counts = service.requests.counts
        found.append(
            (int(counts[Count.OFFERED]), int(counts[Count.LATE]), service.pods.cost_seconds(world.now))
        )
    return found

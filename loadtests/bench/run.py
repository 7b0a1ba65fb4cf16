"""Runs policies on cells: the history, then the scored day, and what it cost and held."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoscaler.peers import PEERS
from loadtests.bench.cells import MATRIX, STEP_SECONDS, Simulated
from loadtests.bounds.oracle import Schedule
from loadtests.simulator.govern import Governor, Peer, Scheduled
from loadtests.simulator.service import Arrivals, Load

HOUR, DAY = 3600.0, 86400.0
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
    *(f"loadtests/bench/{name}.py" for name in ("ablations", "carried", "cells", "job", "models", "run")),
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

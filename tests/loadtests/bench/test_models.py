"""The cells of other service models, and that a run scores them as it does the headline's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from loadtests.bench.cells import STEP_SECONDS, pairs
from loadtests.bench.job import Job
from loadtests.bench.models import KINDS, MODELS, ModelCell, gateway_of, lead_seconds, read_models
from loadtests.bench.run import ORACLE, Setting, configuration
from loadtests.bounds.oracle import Schedule
from loadtests.simulator.batched import BatchedRequests
from loadtests.simulator.engine import Engine
from loadtests.simulator.gateway import Gateway
from loadtests.simulator.govern import Peer
from loadtests.simulator.requests import Requests
from loadtests.simulator.service import Load, Service
from loadtests.simulator.starts import fixed_start


def test_every_cell_has_a_name_of_its_own() -> None:
    """And a model, starts and a gateway that are known; large ones can be left out."""
    matrix = read_models()
    assert len({cell.name for cell in matrix.cells}) == len(matrix.cells) >= 24
    assert {cell.model for cell in matrix.cells} == set(KINDS)
    assert all(cell.mean_work <= 1.5 for cell in read_models(largest_work=1.5).cells)
    assert matrix.subset(10_000) == matrix.cells


def test_a_name_that_is_not_known_is_refused(tmp_path: Path) -> None:
    """With those that are."""
    file = tmp_path / "models.toml"
    file.write_text(MODELS.read_text().replace('"crowded"', '"slow"'))
    with pytest.raises(KeyError, match="slow: known are fixed, "):
        read_models(file)
    assert configuration(file) != configuration(MODELS)


@pytest.mark.parametrize(
    ("model", "concurrency", "work_seconds"),
    [("encoder", 16, 0.00134), ("llm", 47, 0.439), ("long-jobs", 1, 120.0), ("cpu-limit-10ms", 1, 0.4)],
)
def test_work_is_that_of_the_most_efficient_feasible_batch(
    model: str, concurrency: int, work_seconds: float
) -> None:
    """By which rates are scaled, and which peers are told."""
    cell = ModelCell(model, "diurnal", 1.5, "fixed", "least-request")
    assert cell.concurrency == concurrency
    assert cell.work_seconds == pytest.approx(work_seconds, rel=0.01)
    load = cell.load(seed=0, days=3)
    assert load.rates.mean() * cell.work_seconds == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("model", "gateway", "kind"),
    [
        ("encoder", "least-request", BatchedRequests),
        ("llm", "two-gateways", BatchedRequests),
        ("long-jobs", "least-request", Requests),
        ("long-jobs", "retry", BatchedRequests),
    ],
)
def test_a_cell_is_simulated_by_the_loop_that_it_needs(model: str, gateway: str, kind: type) -> None:
    """Long jobs one after another by the quick one; each with the patience of its model."""
    cell = ModelCell(model, "diurnal", 0.5, "bimodal", gateway)
    asked = np.array([2, 3])
    service = cell.service("s", 1, cell.load(1, 1), Schedule(asked, asked, asked))
    assert type(service.requests) is kind
    assert (service.pods.ready, service.max_replicas, service.profile) == (2, 14, KINDS[model].profile)
    assert service.gateway.timeout_seconds == KINDS[model].timeout_seconds
    assert gateway_of(model, gateway).replicas == (2 if gateway == "two-gateways" else 1)


def test_an_oracle_asks_as_early_as_nearly_all_pods_need() -> None:
    """A new node's time where one in three waits for one."""
    assert lead_seconds("fixed") == 60.0
    assert lead_seconds("bimodal") == 300.0
    assert 100 < lead_seconds("lognormal") < 130


def test_targets_in_flight_are_of_the_batch() -> None:
    """Seventy percent of what a replica's most efficient batch holds; other targets are as they are."""
    cell = ModelCell("encoder", "diurnal", 0.5, "fixed", "least-request")
    schedule, load = Schedule(np.ones(1, int), np.ones(1, int), np.ones(1, int)), cell.load(1, 1)
    for policy, target in (("hpa-concurrency", 0.7 * 16), ("hpa-utilization", 0.7)):
        governor = Setting(policy, 0.7, 60.0).governor(cell, load, schedule, 9)
        assert isinstance(governor, Peer)
        assert governor.policy.target == pytest.approx(target)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Patient:
    """A service that gathers requests for three hours before it works on them."""

    name: str = "patient"
    work_seconds: float = 2.0
    concurrency: int = 2
    alone: bool = False

    def load(self, seed: int, days: int) -> Load:
        """A request in three minutes."""
        return Load(np.full(1440 * days, 1 / 180), 60.0, 1.0, 0.0)

    def schedule(self, load: Load, allowed: float = 0.006) -> Schedule:
        """One replica, always."""
        asked = np.ones(int(86400 / STEP_SECONDS), dtype=int)
        return Schedule(asked, asked, asked)

    def service(self, name: str, seed: int, load: Load, schedule: Schedule, step: int = 0) -> Service:
        """About sixty come before the oldest has waited for long enough; an hour later they would be late."""
        engine = Engine(0.0, 2.0, largest_batch=100, delay_seconds=3 * 3600.0)
        gateway = Gateway(timeout_seconds=86400.0)
        return Service(
            name, load, 4 * 3600.0, fixed_start(60.0), 4, gateway, engine, "triton", max_replicas=2, seed=seed
        )


def test_what_is_not_answered_by_the_end_is_late() -> None:
    """All before that are on time: late is only what came since the last batch began."""
    (found,) = Job([Setting(ORACLE)], pairs([Patient()], 1), 0, "c").run()
    unanswered = found.late * found.work / 2.0
    assert found.cost == pytest.approx(86400)
    assert found.work == pytest.approx(2.0 * 480, rel=0.2)
    assert 1 <= unanswered <= 90
    assert unanswered == pytest.approx(round(unanswered))

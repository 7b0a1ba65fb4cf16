"""Ours without one of its mechanisms: each is taken away for as long as it is asked, and its rows are kept apart."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoscaler import capacity
from autoscaler.capacity import Demand
from loadtests.bench.ablations import ABLATIONS, without
from loadtests.bench.report import markdown
from loadtests.bench.rows import append, known, write
from loadtests.bench.score import summary
from loadtests.bench.settings import settings
from tests.autoscaler.world import Revision, World
from tests.loadtests.bench.test_score import ROWS, row


def held(name: str) -> Any:
    """What is where the mechanism is."""
    module, _, path = ABLATIONS[name].target.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = found.__dict__[part] if isinstance(found, type) else getattr(found, part)
    return found


@pytest.mark.parametrize("name", ABLATIONS)
def test_a_mechanism_is_away_only_meanwhile(name: str) -> None:
    """The autoscaler decides without it, and has it again afterwards."""
    before = held(name)
    with without(name):
        assert held(name) is not before
        world = World(Revision("digits"), rate=lambda at: 5.0 if at < 120 else 25.0)
        world.run(300)
        assert world.revisions["digits"].replicas >= 2
    assert held(name) is before


def test_the_model_forgets_what_it_answered_with_other_constants() -> None:
    """Its answers are kept by what is asked: with the whole budget fewer replicas do."""
    rates = np.linspace(1.0, 40.0, 40)
    demand = Demand(*(np.full(40, value) for value in (0.5, 0.25, 2.5, 0.01)))
    usual = capacity.smallest_replicas(rates, demand).sum()
    with without("budget-share"):
        assert capacity.smallest_replicas(rates, demand).sum() < usual
    assert capacity.smallest_replicas(rates, demand).sum() == usual


def test_rows_without_a_mechanism_are_kept_apart(tmp_path: Path) -> None:
    """In a file of their own, known like all others, told beside ours and not ranked."""
    extra = [row("ours", "easy", 0.012, 18.0, seed, "without=clock") for seed in (0, 1)]
    write(tmp_path / "runs.csv", ROWS)
    append(tmp_path / "runs.csv", extra)
    assert "without=clock" not in (tmp_path / "runs.csv").read_text()
    assert (tmp_path / "extra.csv").read_text().count("without=clock") == 2
    assert len(known(tmp_path, "c")) == len(ROWS) + 2
    told = markdown(ROWS, summary(ROWS), extra)
    assert "| 0 of 1 | 1 | 1.200 | 1.20% | 0.50% |" in told


def test_they_are_run_only_where_they_are_asked_for() -> None:
    """Beside ours and whoever knows more, in place of peers."""
    assert {one.without for one in settings([], ablate=True) if one.policy == "ours"} == {"", *ABLATIONS}
    assert {one.without for one in settings([])} == {""}

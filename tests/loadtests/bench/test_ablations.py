"""Ours without one of its mechanisms: each is taken away for as long as it is asked, and its rows are kept apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoscaler import capacity, cases, decide, demand
from autoscaler.capacity import Demand
from autoscaler.contention import Contention
from autoscaler.forecast import RateHistory
from autoscaler.learn import ServiceTime, StartTime
from autoscaler.seasons import Season
from loadtests.bench.ablations import ABLATIONS, without
from loadtests.bench.report import markdown
from loadtests.bench.rows import append, files_in, known, write
from loadtests.bench.score import summary
from loadtests.bench.settings import settings
from loadtests.replaced import replaced
from tests.autoscaler.world import Revision, World
from tests.loadtests.bench.test_score import ROWS, row


def held(name: str) -> list[Any]:
    """What is where the mechanism is."""
    found: list[Any] = []
    for target in ABLATIONS[name].changes:
        with replaced(target, lambda old: found.append(old) or old):  # type: ignore[func-returns-value]
            pass
    return found


@pytest.mark.parametrize("name", ABLATIONS)
def test_a_mechanism_is_away_only_meanwhile(name: str) -> None:
    """The autoscaler decides without it, and has it again afterwards."""
    before = held(name)
    with without(name):
        assert all(now is not was for now, was in zip(held(name), before, strict=True))
        world = World(Revision("digits"), rate=lambda at: 5.0 if at < 120 else 25.0)
        world.run(300)
        assert world.revisions["digits"].replicas >= 2
    assert all(now is was for now, was in zip(held(name), before, strict=True))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("clock", "no season is believed, whatever came"),
        ("stand-by", "what came by surprise is not prepared for"),
        ("trend", "the level is all that is expected"),
        ("surge", "the slow window is all that is seen"),
        ("hold", "a higher need is let go of at once"),
        ("steps-down", "all go in one tick"),
        ("variability", "the prior is all that is known of the work"),
        ("contention", "nothing speaks against more"),
    ],
)
def test_what_is_taken_away_is_away(name: str, what: str) -> None:
    """Each asked where it would show."""
    history = RateHistory(((0.0, 1.0), (30.0, 20.0)))
    season = Season(3600.0, 10.0, foretold=10.0, came=10.0)
    service = ServiceTime(mean_seconds=1.0, bound_seconds=2.0, beyond=0.3, tail_evidence=10_000.0)
    contention = Contention(found_at=1.0, found_demand=1.0, enough=3)

    def answers() -> dict[str, Any]:
        seen = demand.forecast(30.0, 2.0, history, 30.0, 20.0, 60.0)
        return {
            "clock": season.believed,
            "stand-by": cases.to_prepare_for(1.0, 2.0, 3.0)[1] == 3.0,
            "trend": seen.expected > seen.level,
            "surge": seen.level > 2.0,
            "hold": StartTime().hold_seconds(None) > 0,
            "steps-down": decide.STEP_DOWN_FRACTION < 1 and decide.STEP_DOWN_PERIOD_SECONDS[1] > 0,
            "variability": service.variability != capacity.PRIOR_VARIABILITY,
            "contention": contention.most(1.0) is not None,
        }

    assert answers()[name]
    with without(name):
        assert not answers()[name], what


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
    assert len(known(files_in(tmp_path), "c")) == len(ROWS) + 2
    told = markdown(ROWS, summary(ROWS), extra)
    assert "| 0 of 1 | 1 | 1.200 | 1.20% | 0.50% |" in told


def test_they_are_run_only_where_they_are_asked_for() -> None:
    """Beside ours and whoever knows more, in place of peers."""
    assert {one.without for one in settings([], ablate=True) if one.policy == "ours"} == {"", *ABLATIONS}
    assert {one.without for one in settings([])} == {""}

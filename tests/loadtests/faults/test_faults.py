"""The table of faults: rows, their play and their report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.faults.live import LIVE
from loadtests.faults.measure import Figures
from loadtests.faults.musts import NEVER_FEWER, Must, back_within
from loadtests.faults.play import Outcome, play
from loadtests.faults.report import markdown, summary
from loadtests.faults.rollout import Rollout
from loadtests.faults.scenario import CONSTANT
from loadtests.faults.scenarios import SCENARIOS
from loadtests.faults.world import CANARY, STABLE

ROOT = Path(__file__).parents[3]
ROW = SCENARIOS[0]
CALM = Figures(7, 7, 7, 7, 1.0, 0, 0.0, 0.0, 0.0)


def test_rows_have_names_of_their_own_and_something_that_must_hold() -> None:
    """A row that nothing is asked of shows nothing."""
    assert len({row.name for row in SCENARIOS}) == len(SCENARIOS)
    assert all(row.musts for row in SCENARIOS)


def test_what_is_said_to_run_on_the_local_cluster_does() -> None:
    """Each marked row is one, and its test is there."""
    assert set(LIVE) <= {row.name for row in SCENARIOS}
    for test in set(LIVE.values()):
        file, function = test.split("::")
        assert f"\ndef {function}(" in (ROOT / file).read_text(), test


def test_an_outage_is_played() -> None:
    """Blind, the production autoscaler removes nothing, and says why."""
    outcome = play(replace(ROW, lasts=120.0, musts=(NEVER_FEWER, back_within(0))), 1, begin=120, until=300)
    assert outcome.broken == (back_within(0).sentence,), "which takes five minutes to be known"
    assert "SignalsAvailable=False/PrometheusUnreachable" in outcome.told
    assert outcome.run.lowest >= outcome.run.before > 3


def test_a_rollout_waits_for_its_reserve() -> None:
    """No traffic before the canary's pods are ready, then as much as the step says."""
    rollout = Rollout(1, CONSTANT, (50,))
    world = rollout.world
    world.run(120, 5)
    rollout.begin()
    for _ in range(200):
        world.run(1, 5)
        if rollout.weight == 0:
            assert world.services[CANARY].requests.counts.sum() == 0
        rollout.each_second()
    assert rollout.weight == 50
    assert rollout.waited_seconds >= 60, "a start takes so long"
    assert world.services[CANARY].pods.ready >= 4
    assert world.services[STABLE].pods.wanted >= 7, "stable keeps all"
    rollout.abort()
    assert world.services[CANARY].pods.wanted == 0
    assert len(world.objects().autoscalers) == 1


def test_the_report_tells_the_worst_of_all_seeds() -> None:
    """And names what does not hold."""
    bad = replace(CALM, lowest=5, highest=12, late=0.2, late_until=90.0, settled_after=None)
    row = replace(ROW, musts=(Must("nothing is late", lambda run, _, __: run.late == 0),))
    found = summary(
        [row, SCENARIOS[1]],
        {row.name: [Outcome(CALM, CALM, frozenset(), ()), Outcome(bad, CALM, frozenset({"Limited=True/Max"}), ("nothing is late",))]},
    )  # fmt: skip
    assert (found["scenarios"], found["scenarios_held"], found["seeds"]) == (1, 0, 2), (
        "what was not played is left out"
    )
    text = markdown(found)
    assert "| 5 (7) | 12 (7) | 7 (7) | 0 (0) | 20.0% (0.0%) | 90 s | never | Max | **no** |" in text
    assert f"**{row.name}** does not hold: nothing is late." in text


@pytest.mark.parametrize("part", ["whole", "row", "with"])
def test_every_key_of_the_summary_is_documented(part: str) -> None:
    """The README of the load tests names each."""
    found = summary([ROW], {ROW.name: [Outcome(CALM, CALM, frozenset(), ())]})
    keys = {"whole": found, "row": found["rows"][0], "with": found["rows"][0]["with"]}[part]
    told = (ROOT / "loadtests/README.md").read_text()
    section = told.split("## `.venv/bin/python -m loadtests.faults`")[1].split("\n## ")[0]
    for key in keys:
        assert f"`{key}`" in section, key

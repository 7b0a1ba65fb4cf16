"""The campaign in small, and that it can see: what runs with the unit tests."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.campaign import classes, model, mutants, work
from tests.campaign.plan import Fault, Plan
from tests.campaign.report import KEYS, report, summary
from tests.campaign.rig import Outcome, known_reference, quiet, run
from tests.campaign.scenarios import SCENARIOS
from tests.campaign.shrink import shrunk

SHORT = (
    "create",
    "label-promote",
    "abort",
    "v3-during-v2",
    "rollback-warm",
    "rollback-cold",
    "no-gateway-api",
    "budget-promote",
    "budget-abort",
    "route-deleted-in-an-abort",
    "automatic-three-steps",
    "turns-bad-unseen",
)


@pytest.fixture(autouse=True)
def _silent() -> object:
    with quiet():
        yield


@pytest.mark.thorough
@pytest.mark.parametrize("name", SHORT)
def test_crashes_at_sampled_writes_change_nothing(name: str) -> None:
    """Killed before or after a write, the operator ends where it would have ended, and breaks nothing on the way."""
    for plan in random.Random(1).sample(list(classes.crashes(name)), 2):
        assert run(plan).problems == (), plan.text()


@pytest.mark.parametrize("drawn", ["late", "deposed", "pairs", "faulted", "stale", "unobserved"])
def test_sampled_faults_of_each_class_change_nothing(drawn: str) -> None:
    """One plan of each class, as the campaign runs thousands."""
    plan = random.Random(2).choice(list(getattr(classes, drawn)("label-promote")))
    outcome = run(plan)
    assert outcome.problems == (), plan.text()


def test_a_rollout_costs_few_writes() -> None:
    """Three judged steps and a promotion take 50 writes, of which a third tells numbers of pods as they come and go."""
    assert known_reference("automatic-three-steps").writes - known_reference("create").writes <= 50


def test_a_sequence_of_mutations_comes_home() -> None:
    """Ten operations, valid and invalid, and then the first spec again: the state is the first one again."""
    assert run(classes.sequences(3)).problems == ()


def test_interleavings_are_drawn_and_counted() -> None:
    """A chunk of the model draws as many plans as it says."""
    played: list[Plan] = []

    def play(plan: Plan) -> Outcome:
        played.append(plan)
        return Outcome(plan, (), 0, 0, 0.0)

    ran = model.chunk(1, 5, play)
    assert (ran.runs, len(played), ran.failed) == (5, 5, [])
    assert len({plan.text() for plan in played}) == 5


def test_a_run_reproduces_from_its_plan() -> None:
    """The same plan, read from JSON, makes the same writes in the same virtual time."""
    plan = Plan("abort", 1, (Fault("ack-lost", "patch", "httproutes", "digits", nth=1),))
    again = Plan.parse(plan.text())
    assert again == plan
    first = run(plan)
    assert first == run(again)
    assert first.reached == 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "scenario", "said"),
    [
        ("capacity-gate-dropped", "create", "S"),
        ("unbound-label", "stale-label", "S5"),
        ("service-deleted-early", "label-promote", "S3"),
        ("template-rendered-anew", "template-change", "S7"),
        ("finalizer-added", "create", "S10"),
        ("never-deletes", "abort-while-preparing", "L"),
        ("kept-warm-not-kept", "rollback-warm", "K1"),
        ("rollback-without-capacity", "rollback-cold", "S1"),
        ("rollback-forgets-rejection", "rollback-warm", "L1"),
        ("switched-unasked", "no-gateway-api", "S2"),
        ("switch-forgotten", "no-gateway-api", "S4"),
        ("switch-at-once", "no-gateway-api", "S5"),
        ("abort-ignores-what-stable-carries", "budget-abort", "B2"),
        ("stable-shrinks-before-its-traffic", "budget-promote", "B3"),
        ("canary-gives-no-way", "budget-abort", "L"),
        ("budget-of-one-more", "budget-abort", "B1"),
        ("status-first", "automatic-abort", "O4"),
        ("verdict-not-recorded", "automatic-three-steps", "J1"),
        ("bad-after-one-window", "automatic-abort", "J2"),
        ("missing-metrics-not-waited-for", "metrics-outage", "J3"),
        ("former-step-counted", "restart-while-judging", "J4"),
        ("only-the-latest-window-is-read", "restart-while-judging", "J5"),
        ("turned-bad-not-heard", "turns-bad", "J6"),
        ("turned-bad-not-heard", "turns-bad-while-promoting", "J6"),
        ("minimum-of-requests-ignored", "automatic-three-steps", "J7"),
    ],
)
def test_wrong_operators_are_seen(name: str, scenario: str, said: str) -> None:
    """Each of these operators is wrong in one way, and a plain scenario is enough to tell."""
    known_reference(scenario)
    with mutants.applied(name):
        problems = run(Plan(scenario)).problems
    assert any(problem.startswith(said) for problem in problems), problems


@pytest.mark.thorough
def test_a_past_that_comes_back_would_be_seen() -> None:
    """An operator that believes old events takes the past for the present when its watches go back in time."""
    known_reference("abort")
    plans = [
        Plan("abort", faults=(fault, classes.REWOUND)) for fault in classes.crashed("abort", "httproutes")
    ]
    assert [run(plan).problems for plan in plans] == [()] * len(plans)
    with mutants.applied("old-events-believed"):
        assert any(problem.startswith("S3") for plan in plans for problem in run(plan).problems)


@pytest.mark.parametrize("name", ["lease-not-checked", "two-leaders"])
def test_a_leader_that_does_not_notice_would_be_seen(name: str) -> None:
    """It stood still for longer than its Lease, and writes on beside its successor."""
    plan = next(classes.deposed("label-promote"))
    assert run(plan).problems == ()
    with mutants.applied(name):
        assert any(problem.startswith("X2") for problem in run(plan).problems)


def test_what_did_not_happen_counts_for_nothing() -> None:
    """A fault of a request that never comes, and something undone of which there is nothing, are told as missed."""
    never = Plan("create", faults=(Fault("500", "create", "httproutes", nth=99),))
    nothing = Plan("create", acts=(("label", 9.0),))
    for plan in (never, nothing):
        outcome = run(plan)
        assert (outcome.problems, outcome.reached, plan.happenings) == ((), 0, 1)
    mixed = Plan("create", faults=tuple(Fault("reorder", "watch", kind) for kind in ("pods", "services")))
    assert mixed.happenings == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("automatic-abort", "WorseThanStable"),
        ("turns-bad", "WorseThanStable"),
        ("turns-bad-unseen", "WorseThanStable"),
        ("turns-bad-while-promoting", "WorseThanStable"),
        ("too-few-requests", "Inconclusive"),
    ],
)
def test_a_version_is_rejected_for_what_was_found(name: str, reason: str) -> None:
    """The reason is the comparison with stable, at whatever moment the version turns bad; or that there was too little."""
    rejected = known_reference(name).end.objects["InferenceService digits"]["status"]["rejected"]
    assert [entry["reason"] for entry in rejected] == [reason]


def test_a_failure_shrinks_to_what_matters() -> None:
    """Of three faults and four acts stays what the failure needs."""
    faults = tuple(Fault("500", "create", name, nth=2) for name in ("a", "b", "c"))
    plan = Plan("create", 0, faults, tuple(("wait", n) for n in range(4)))

    def again(tried: Plan) -> Outcome:
        fails = any(f.resource == "b" for f in tried.faults) and ("wait", 2) in tried.acts
        return Outcome(tried, ("S3: x",) if fails else (), 0, 0, 0.0)

    smallest = shrunk(again(plan), again).plan
    assert [fault.resource for fault in smallest.faults] == ["b"]
    assert smallest.faults[0].nth == 1
    assert smallest.acts == (("wait", 2),)


def test_the_summary_has_every_key_that_is_documented() -> None:
    """The file of numbers holds the documented keys and no others, and the docs name each."""
    lines = [
        {"class": "crashes", "item": "x", "on": "real", "runs": 1, "lag": 7.5},
        {
            "class": "crashes",
            "item": "y",
            "on": "fake",
            "runs": 1,
            "fails_on_fake": True,
            "converged": False,
            "broken": 2,
            "problems": ["L2"],
            "plan": "y",
        },
        {"class": "crashes", "item": "z", "on": "fake", "runs": 1, "missed": True},
        {"class": "mutants", "item": "no-owner", "on": "fake", "killed": None},
        {"class": "mutants", "item": "blind", "on": "fake", "killed": "x: S1"},
    ]
    told = {"code": "c", "commit": "d", "kubernetes": None}
    numbers = summary(lines, 5, 100, (None, "it has not run"), told)
    assert set(numbers) == set(KEYS)
    assert (numbers["missed"], numbers["slowest_seconds"], numbers["complete"]) == (1, 7.5, True)
    assert (numbers["points"], numbers["points_converged"], numbers["invariant_violations"]) == (2, 1, 2)
    assert (numbers["requests_reference"], numbers["runs_real_api"]) == (100, 1)
    assert numbers["mutation_tool_killed_ratio"] is None
    assert numbers["mutation_tool_unknown"] == "it has not run"
    assert summary(lines, 5, 100, (0.9, None), told)["mutation_tool_killed_ratio"] == 0.9
    assert "survived: no-owner" in report(lines, numbers)
    assert "* blind: x: S1" in report(lines, numbers)
    documented = Path("docs/testing.md").read_text()
    assert [key for key in KEYS if f"`{key}`" not in documented] == []


def test_a_campaign_goes_on_where_it_ended(tmp_path: Path) -> None:
    """What is noted is not run again, unless the code has changed; half a line is no line."""
    notes = work.Notes(tmp_path)
    line = {"class": "crashes", "item": "x", "on": "fake", "runs": 1}
    notes.add(line)
    with notes.path.open("a") as file:
        file.write('{"class": "cra')
    again = work.Notes(tmp_path)
    assert again.lines == [line]
    assert again.has(work.Item("crashes", "x"))
    assert not again.has(work.Item("crashes", "y"))
    notes.path.write_text(json.dumps({"code": "other"}) + "\n" + json.dumps(line))
    assert work.Notes(tmp_path).lines == []


def test_what_ran_on_the_fake_runs_on_the_real_api_server_too(tmp_path: Path) -> None:
    """Not the other way round; and it counts once, for the real one."""
    notes = work.Notes(tmp_path)
    notes.add({"class": "crashes", "item": "x", "on": "fake", "runs": 1})
    assert not notes.has(work.Item("crashes", "x", work.REAL))
    notes.add({"class": "crashes", "item": "x", "on": "real", "runs": 1})
    assert notes.has(work.Item("crashes", "x"))
    assert [line["on"] for line in work.Notes(tmp_path).lines] == ["real"]


def test_all_crashes_and_a_share_of_each_other_class_are_for_the_real_api_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The share is drawn the same every time, whatever the limit, and mutants are tried on the fake alone."""
    monkeypatch.setattr(work, "SCENARIOS", list(SCENARIOS)[:2])  # crashes are counted by playing each
    drawn = list(work.items(("sequences", "model", "mutants"), real_percent=5))
    real = {item for item in drawn if item.on == work.REAL}
    assert {item.name: sum(item.name == one.name for one in real) for item in real} == {
        "sequences": classes.SEQUENCES * 5 // 100,
        "model": -(-classes.MODEL_RUNS // classes.MODEL_CHUNK * 5 // 100),
    }
    few = [item for item in work.items(("sequences",), 100, 5) if item.on == work.REAL]
    assert set(few) <= real
    assert all(item.on == work.REAL for item in work.items(("crashes",), 10, 5))


def test_the_plan_of_the_campaign_is_large_enough() -> None:
    """Sizes that the specification asks for."""
    assert len(SCENARIOS) >= 24
    assert len(mutants.MUTANTS) >= 30
    assert classes.PAIRS >= 500
    assert classes.STALE >= 1000
    assert classes.UNOBSERVED >= 300
    assert classes.SEQUENCES >= 1000
    assert classes.MODEL_RUNS >= 5000

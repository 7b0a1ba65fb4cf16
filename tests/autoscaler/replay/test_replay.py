"""The replay is honest: recorded decisions come out again, and its model comes near what the simulator really did."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from autoscaler.replay.compare import OURS, RECORDED, Comparison
from autoscaler.replay.counterfactual import Instead, answers_with
from autoscaler.replay.faithful import decided, differences, replayed
from autoscaler.replay.model import Deployment, Load, Recent
from autoscaler.replay.recording.decode import RecordingError
from autoscaler.replay.recording.moment import Moment
from autoscaler.replay.report.outcome import Outcome, figures, outcomes
from autoscaler.replay.settings import peers
from autoscaler.replay.survey import compare, survey
from autoscaler.signals.queries import Windows
from autoscaler.signals.views import Failure
from autoscaler.targets import ApiObjects
from tests.autoscaler.replay.runs import START_SECONDS, merged, simulated


def test_a_recorded_run_replays_to_identical_decisions() -> None:
    """One by one: replicas and reason of every tick."""
    run = simulated()
    recorded = [moment.decided for moment in run.moments()]
    assert [decided(result) for _, result in replayed(run.moments())] == recorded
    assert len({said for of_moment in recorded for said in of_moment.values()}) > 5


def test_a_decision_that_replays_as_another_one_is_told() -> None:
    """With what was recorded, what came out, and when."""
    moments = run = simulated().moments()
    moments[50] = replace(run[50], decided={"0": (77, "Demand"), "gone": (1, "Steady")})
    found = survey(moments)
    compare(found, moments)
    assert (found.compared, found.differing) == (81, 2)
    first, second = found.differences
    assert (first.at, first.uid, first.recorded) == (moments[50].at, "0", (77, "Demand"))
    assert (second.uid, second.replayed) == ("gone", None)


def test_what_was_not_recorded_is_no_zero() -> None:
    """A question without an answer fails, so that the tick is blind and does not scale down."""
    moments = simulated().moments()
    cut = [replace(moment, answers={}, asked={}, decided={}) for moment in moments]
    for _, result in replayed(cut):
        (report,) = result.reports
        assert report.observation.blind
    assert isinstance(moments[1].answers["now"], Failure) is False
    assert differences(cut[0], result) == []


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """The simulated run, replayed with all policies."""
    run = simulated()
    found = survey(run.moments())
    comparison = Comparison(found.start_seconds, peers(80, None, ["static=3"], 300.0))
    (scored,) = outcomes(comparison.stretches(run.moments()), found.begin, found.end, found.begin).values()
    assert comparison.skipped_seconds == 0
    return scored


def test_start_times_are_measured_from_the_recording() -> None:
    """To the tick."""
    found = survey(simulated().moments())
    assert found.start_seconds("0") == pytest.approx(START_SECONDS, abs=15)
    assert found.start_seconds("unknown") == 60.0


def test_what_happened_is_counted(outcome: Outcome) -> None:
    """Cost to a tick's worth of replicas, requests and late ones to a few percent of what the simulator knows."""
    run, happened = simulated(), outcome.accounts[RECORDED]
    assert happened.replica_seconds == pytest.approx(run.cost_seconds, rel=0.05)
    assert happened.requests == pytest.approx(run.requests, rel=0.05)
    assert happened.scalings == pytest.approx(run.scalings, abs=1)
    assert outcome.counted_late_ratio == pytest.approx(run.late_ratio, abs=0.01)


def test_the_model_comes_near_the_count(outcome: Outcome) -> None:
    """On the replicas that there were, where both are known."""
    modelled, counted = outcome.accounts[RECORDED].late_ratio, outcome.counted_late_ratio
    assert modelled is not None
    assert counted is not None
    assert counted / 2 < modelled < 2 * counted


def test_our_own_policy_replays_near_what_it_really_did(outcome: Outcome) -> None:
    """The model's replicas are fed back to the tick: cost and lateness stay those of the recorded run."""
    ours, happened = outcome.accounts[OURS], outcome.accounts[RECORDED]
    assert ours.replica_seconds == pytest.approx(happened.replica_seconds, rel=0.1)
    assert ours.late_ratio == pytest.approx(happened.late_ratio, abs=0.02)
    assert outcome.scalings
    for scaling in outcome.scalings:
        assert f"{scaling.before} → {scaling.after}" in scaling.sentence


def test_the_models_numbers_take_the_place_of_a_routes() -> None:
    """Where the gateway counts no backend by itself the tick is told of other replicas what it would be told otherwise."""
    moments = simulated().moments()[:60]
    own, whole = (told_of_others(of_run) for of_run in (moments, merged(moments)))
    assert len(own) == 9
    assert whole == pytest.approx(own)


def told_of_others(moments: list[Moment]) -> dict[tuple[str, str, str], float]:
    """What the gateway would have told of the target at the last moment with a ninth replica, by question, signal and bound."""
    *_, (moment, result) = replayed(moments)
    (report,) = result.reports
    load = Load(report.arrivals, 0.1, 0.25, 0.5)
    deployment, span = Deployment(9, 9, now=moment.at - 15).advanced(moment.at, load)
    instead = Instead(report.target, report.observation, deployment, Recent().with_span(span, 600.0))
    answers = answers_with(moment.answers, {report.target.key: instead}, Windows(60, 180))
    return {
        (name, sample.labels["signal"], sample.labels.get("le", "")): sample.value
        for name, answer in answers.items()
        if not isinstance(answer, Failure)
        for sample in answer.samples
        if (sample.labels.get("deployment"), sample.labels["profile"]) == ("digits", "gateway")
    }


def test_peers_have_the_users_settings(outcome: Outcome) -> None:
    """A static one stays; HPA at a lower target has more replicas than at a higher one."""
    assert outcome.accounts["static at 3"].steps[-1][1] == 3
    assert outcome.accounts["static at 3"].scalings <= 1
    run = simulated()
    comparison = Comparison(lambda _: 45.0, peers(40, 5.0, [], 300.0))
    (other,) = outcomes(comparison.stretches(run.moments()), 0.0, 2e9, 0.0).values()
    assert list(other.accounts) == [RECORDED, OURS, "hpa at 40%", "keda at 5/s"]
    assert other.accounts["hpa at 40%"].replica_seconds > 1.3 * outcome.accounts["hpa at 80%"].replica_seconds
    assert (
        other.accounts["keda at 5/s"].replica_seconds > 1.2 * outcome.accounts["keda at 80%"].replica_seconds
    )


def test_figures_are_relative_to_what_happened(outcome: Outcome) -> None:
    """And every policy is in them."""
    found = figures(outcome)
    assert found["policies"][RECORDED]["cost_over_recorded"] == 1.0
    assert list(found["policies"]) == list(outcome.accounts)
    assert found["objective"] == {"thresholdMilliseconds": 500, "percent": 99}


def test_a_gap_in_the_recording_is_left_out() -> None:
    """Nothing is made up about it."""
    moments = [moment for moment in simulated().moments() if not 600 < moment.at % 100_000 % 3600 < 1000]
    gaps = [b.at - a.at for a, b in pairwise(moments) if b.at - a.at > 300]
    assert len(gaps) == 1
    comparison = Comparison(lambda _: 45.0, {})
    (scored,) = outcomes(comparison.stretches(moments), moments[0].at, moments[-1].at, 0.0).values()
    assert comparison.skipped_seconds == gaps[0]
    assert scored.seconds <= moments[-1].at - moments[0].at - gaps[0]


@pytest.mark.parametrize(
    ("moments", "message"),
    [
        ([Moment(1.0, ApiObjects([], []), {}, {})], "fewer than two ticks"),
        ([Moment(at, ApiObjects([], []), {}, {}) for at in (1.0, 2.0)], "no InferenceAutoscaler"),
    ],
)
def test_a_recording_of_no_use_is_told(moments: list[Moment], message: str) -> None:
    """Before any work."""
    with pytest.raises(RecordingError, match=message):
        survey(moments)

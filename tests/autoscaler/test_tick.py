"""The whole policy in virtual time, against services under load."""

import itertools
import math
import random
from typing import Any

import pytest

from autoscaler.state import LoopState
from autoscaler.targets import timestamp_of
from autoscaler.tick import ask
from autoscaler.writes import Scale, WriteStatus
from tests.autoscaler.world import EPOCH, Answer, Revision, Sample, World

DEMO = {"maxReplicas": 6, "scaleDownHoldSeconds": 20}


def conditions(revision: Revision) -> dict[str, tuple[str, str]]:
    """Status and reason of a revision's conditions."""
    return {c["type"]: (c["status"], c["reason"]) for c in revision.status.get("conditions", ())}


def surge(at: float) -> float:
    """Quiet, ten times that for four minutes, quiet."""
    return 30.0 if 120 <= at < 360 else 3.0


def test_replicas_follow_the_load_up_and_down() -> None:
    """A surge is met within a start time, held while it lasts, and its replicas go afterwards."""
    service = Revision("digits", service_seconds=0.067, spec=DEMO)
    world = World(service, rate=surge, seed=7)
    world.run(240)
    assert service.ready >= 3
    late_before, arrived_before = world.late, world.arrived
    world.run(110)
    assert (world.late - late_before) / (world.arrived - arrived_before) < 0.01
    world.run(300)
    assert service.replicas == 1
    assert conditions(service)["SignalsAvailable"] == ("True", "Fresh")
    assert service.status["learned"]["serviceTimeMilliseconds"] == pytest.approx(67, abs=2)
    assert service.status["learned"]["startTimeSeconds"] == pytest.approx(20, abs=6)


@pytest.mark.parametrize("rate", [0.0, 0.2, 20.0, 100.0])
def test_steady_state_writes_nothing(rate: float) -> None:
    """Under constant load, after it has settled, there is no write at all."""
    world = World(Revision("digits", service_seconds=0.05), rate=lambda _: rate)
    world.run(1000)
    before = len(world.writes)
    world.run(480)
    assert world.writes[before:] == []


def test_noise_around_a_constant_load_rarely_moves_anything() -> None:
    """Half an hour of Poisson arrivals at one rate changes the replicas at most once after settling."""
    world = World(Revision("digits", service_seconds=0.05), rate=lambda _: 40.0, seed=11)
    world.run(900)
    world.run(1800)
    assert len(world.scaled(EPOCH + 900)) <= 1


@pytest.mark.parametrize(
    ("outage", "reason"),
    [
        ("Unreachable", "PrometheusUnreachable"),
        ("NotFinite", "NotFinite"),
        ("Empty", "NoSeries"),
        ("Stale", "Stale"),
    ],
)
def test_an_outage_of_prometheus_never_scales_down(outage: str, reason: str) -> None:
    """Ninety seconds without data under load: no replica goes, the condition says why, and it recovers."""
    service = Revision("digits", service_seconds=0.1, spec={"scaleDownHoldSeconds": 20})
    world = World(service, rate=lambda _: 30.0)
    world.run(300)
    replicas = service.replicas
    assert replicas >= 3
    world.outage, world.frozen_at = outage, world.now
    begun = world.now
    world.run(90)
    assert world.scaled(begun) == []
    assert conditions(service)["SignalsAvailable"] == ("False", reason)
    world.outage = None
    world.run(120)
    assert conditions(service)["SignalsAvailable"] == ("True", "Fresh")
    assert service.replicas == replicas


@pytest.mark.parametrize(
    ("scrape_seconds", "unreached_seconds"), [(5.0, 0), (15.0, 0), (15.0, 35), (15.0, 55)]
)
def test_a_restart_of_prometheus_is_not_taken_for_growth(
    scrape_seconds: float, unreached_seconds: int
) -> None:
    """It neither answers nor scrapes for ten minutes; the rates of its first samples are over all of their window."""
    service = Revision("digits", service_seconds=0.1, spec={"scaleDownHoldSeconds": 20})
    world = World(service, rate=lambda _: 60.0, scrape_seconds=scrape_seconds, seed=5)
    world.run(900)
    replicas, begun = service.replicas, world.now
    world.outage = "Unreachable"
    world.run(600)
    world.resume()
    if unreached_seconds:
        world.outage = "Unreachable"
        world.run(unreached_seconds)
        world.outage = None
    for _ in range(60):
        world.run(5)
        assert service.replicas in (replicas, replicas + 1)
    assert len(world.scaled(begun)) <= 2
    assert conditions(service)["SignalsAvailable"] == ("True", "Fresh")


def test_load_that_ends_during_an_outage_is_believed_after_a_hold() -> None:
    """Recovery is no reason to scale down at once; one complete hold later it happens on its own."""
    load = {"rate": 30.0}
    service = Revision("digits", service_seconds=0.1, spec={"scaleDownHoldSeconds": 60})
    world = World(service, rate=lambda _: load["rate"])
    world.run(300)
    replicas = service.replicas
    world.outage, load["rate"] = "Unreachable", 0.0
    world.run(300)
    world.outage = None
    world.run(50)
    assert service.replicas == replicas
    world.run(300)
    assert service.replicas == 1


def test_after_a_restart_only_up_for_one_hold() -> None:
    """State lost in mid-load: nothing is removed for a hold, and what status remembers is used at once."""
    service = Revision("digits", service_seconds=0.1, spec={"scaleDownHoldSeconds": 60})
    world = World(service, rate=lambda at: 30.0 if at < 300 else 3.0)
    world.run(320)
    replicas = service.replicas
    world.state = type(world.state)()
    restarted = world.now
    world.run(55)
    assert service.replicas == replicas
    world.run(300)
    assert service.replicas < replicas
    assert world.state.targets["ia-digits"].service.learned
    assert world.scaled(restarted)


def test_a_restart_in_a_surge_does_not_mistake_the_age_of_a_deployment_for_a_start() -> None:
    """Pods that are not ready yet were asked for when status says so, not when their Deployment was made."""
    service = Revision("digits", service_seconds=0.1)
    world = World(service, rate=lambda at: 5.0 if at < 600 else 40.0)
    while service.replicas == service.ready or world.now < EPOCH + 600:
        world.run(5)
    world.state = type(world.state)()
    world.run(60)
    assert service.ready == service.replicas
    assert world.state.targets["ia-digits"].start.measured
    assert world.state.targets["ia-digits"].start.seconds <= 40


@pytest.mark.parametrize("ready", [2, 0])
def test_who_comes_to_a_deployment_that_has_served_does_not_take_its_age_for_a_start(ready: int) -> None:
    """A pod of it is not ready when its InferenceAutoscaler is made, or all are not: that took nobody 25 minutes."""
    service = Revision("digits", replicas=3, ready=ready, created=EPOCH - 1500)
    service.pending = [EPOCH + 20] * (3 - ready)
    world = World(service, rate=lambda _: 20.0)
    made = world.autoscaler

    def later(revision: Revision) -> dict[str, Any]:
        manifest = made(revision)
        manifest["metadata"]["creationTimestamp"] = timestamp_of(EPOCH)
        return manifest

    world.autoscaler = later  # type: ignore[method-assign]
    world.run(120)
    assert service.ready == service.replicas
    assert service.status["learned"].get("startTimeSeconds", 20) == 20, "of a replica more, if any"


@pytest.mark.parametrize("gateway", [True, False])
@pytest.mark.parametrize("first_seconds", [15.0, 30.0, 60.0])
def test_scrapes_once_a_minute_are_learned(first_seconds: float, gateway: bool) -> None:
    """From the start, and when they become so rare: each alone in its minute they are no gaps, and what they tell is fresh."""
    service = Revision("digits", replicas=2, ready=2)
    world = World(service, rate=lambda _: 15.0, scrape_seconds=first_seconds, gateway=gateway)
    world.run(300)
    world.scrape_seconds = 60.0
    world.run(300)
    assert world.state.scrape_seconds == 60.0
    told = len(world.writes)
    world.run(600)
    assert service.status["learned"]["serviceTimeMilliseconds"] == 100
    turns = [w for _, w in world.writes[told:] if isinstance(w, WriteStatus) and w.events]
    assert turns == [], "the signals do not come and go"


@pytest.mark.parametrize(("minutes", "ready", "measured"), [(1, 4, True), (20, 4, False), (1, 5, False)])
def test_a_restart_takes_no_old_rise_for_a_start(minutes: int, ready: int, measured: bool) -> None:
    """A pod is missing: of the rise it may be that is recent and never was complete; else a node took it."""
    service = Revision("digits", replicas=5, ready=4, created=EPOCH - 86400, ours=True)
    service.pending = [EPOCH + 30]
    service.status = {
        "desiredReplicas": 5,
        "learned": {"startTimeSeconds": 60},
        "lastDecision": {"time": timestamp_of(EPOCH - 60 * minutes), "previousReplicas": 4},
        "reserve": {"readyReplicas": ready},
    }
    world = World(service, rate=lambda _: 15.0)
    world.run(35)
    assert (len(world.state.targets["ia-digits"].start.samples_seconds) == 2) == measured


@pytest.mark.parametrize("restarted", [False, True])
def test_a_new_deployments_first_start_is_measured_from_its_creation(restarted: bool) -> None:
    """It was made together with its InferenceAutoscaler, and its pods take 20 seconds, whoever forgets meanwhile."""
    service = Revision("digits", replicas=2, ready=0, pending=[EPOCH + 20] * 2)
    world = World(service, rate=lambda _: 5.0)
    world.run(10)
    if restarted:
        assert "lastDecision" in service.status
        world.state = LoopState()
    world.run(50)
    assert service.status["learned"]["startTimeSeconds"] == 20


def test_a_restart_while_no_pod_is_ready_does_not_count_the_gateways_requests_twice() -> None:
    """A node was drained: what the gateway counts fills its windows, whoever is there to answer."""
    service = Revision("digits", replicas=4, ready=4, created=EPOCH - 86400, ours=True)
    world = World(service, rate=lambda _: 20.0, patience_seconds=15.0)
    world.run(300)
    replicas = service.replicas
    service.broken, service.ready = True, 0
    world.run(60)
    world.state = LoopState(scrape_seconds=5.0, bounds=world.state.bounds, bounds_read_at=world.now)
    world.run(60)
    assert world.state.targets["ia-digits"].expected_band.value == pytest.approx(20.0)
    assert service.replicas == replicas


def test_pods_that_never_start_do_not_call_for_more() -> None:
    """Bounded belief: lateness for want of pods that do not come up raises nothing beyond the need."""
    service = Revision("digits", service_seconds=0.1, spec={"maxReplicas": 50})
    world = World(service, rate=lambda at: 4.0 if at < 200 else 30.0)
    world.run(200)
    service.broken = True
    world.run(900)
    assert service.ready < service.replicas <= 10


def share(of: list[str], weight: int, reserve: int) -> dict[str, Any]:
    return {"of": of, "weightPercent": weight, "reservePercent": reserve}


def set_share(world: World, **shares: tuple[int, int]) -> None:
    """What the operator writes: weight and reserve per revision."""
    for name, (weight, reserve) in shares.items():
        revision = world.revisions[name]
        revision.share = share(list(shares), weight, reserve)
        revision.generation += 1


def test_a_canary_gets_capacity_first_and_then_its_own_numbers() -> None:
    """Through a rollout need is answered at every step: by the rule, then by the model; stable stays whole."""
    stable = Revision("a", service_seconds=0.1, replicas=4, ready=4, share=share(["a"], 100, 100))
    world = World(stable, rate=lambda _: 24.0)
    world.run(400)
    assert stable.replicas == 4
    canary = Revision("b", service_seconds=0.1, created=world.now)
    world.revisions["b"] = canary
    set_share(world, a=(100, 100), b=(0, 10))
    stable.spec = {"scaleDown": "Frozen"}
    world.run(60)
    assert canary.status["reserve"]["replicas"] == 2
    assert canary.status["reserve"]["observedGeneration"] == canary.generation
    assert canary.ready == 2
    set_share(world, a=(90, 100), b=(10, 10))
    world.run(120)
    assert canary.status["learned"]["serviceTimeMilliseconds"] == pytest.approx(100, abs=10)
    assert stable.status["reserve"]["replicas"] == 4
    assert stable.replicas == 4
    assert stable.status["reserve"]["carriesPercent"] == 100
    set_share(world, a=(90, 100), b=(10, 100))
    world.run(60)
    answered = canary.status["reserve"]
    assert answered["reservePercent"] == 100
    assert answered["readyReplicas"] >= answered["replicas"]
    assert answered["replicas"] in (4, 5)  # a little evidence is believed with a margin
    assert answered["carriesPercent"] == 100
    set_share(world, a=(0, 100), b=(100, 100))
    world.run(60)
    del world.revisions["a"]
    set_share(world, b=(100, 100))
    begun = world.now
    world.run(300)
    assert canary.replicas in (4, 5)
    assert world.scaled(begun) in ([], [4])
    assert set(world.state.targets) == {"ia-b"}


def test_the_answered_need_stands_while_a_rollout_waits_for_it() -> None:
    """Under Poisson noise the canary's need is answered once, and not taken back by one."""
    stable = Revision("a", service_seconds=0.1, replicas=4, ready=4)
    world = World(stable, rate=lambda _: 24.0, seed=3)
    world.run(400)
    canary = Revision("b", service_seconds=0.1, created=world.now)
    world.revisions["b"] = canary
    set_share(world, a=(90, 100), b=(10, 50))
    world.run(120)
    answers = []
    for _ in range(60):
        world.run(5)
        answers.append(canary.status["reserve"]["replicas"])
    assert len(list(itertools.groupby(answers))) <= 2


def test_a_failing_canary_is_not_taken_for_a_fast_one() -> None:
    """Errors teach nothing about the work: the need stays what the rule says."""
    stable = Revision("a", service_seconds=0.1, replicas=4, ready=4)
    world = World(stable, rate=lambda _: 24.0)
    world.run(400)
    canary = Revision("b", service_seconds=0.002, failing=True, created=world.now)
    world.revisions["b"] = canary
    set_share(world, a=(80, 100), b=(20, 20))
    world.run(200)
    assert "serviceTimeMilliseconds" not in canary.status.get("learned", {})
    assert canary.status["reserve"]["replicas"] == 2


def test_advise_only_says_what_it_would_do() -> None:
    """In mode Advise status has the number, and the Deployment is never written."""
    service = Revision("digits", service_seconds=0.1, spec={"mode": "Advise"})
    world = World(service, rate=lambda _: 9.0)
    world.run(200)
    assert not [write for _, write in world.writes if isinstance(write, Scale)]
    assert service.replicas == 1
    assert service.status["desiredReplicas"] >= 2
    assert conditions(service)["ScalingActive"] == ("False", "Advise")


def test_taking_over_changes_no_number() -> None:
    """The first write in mode Auto states the number that is there, and only takes the field."""
    service = Revision("digits", replicas=5, ready=5)
    world = World(service)
    world.run(10)
    first = world.writes[0][1]
    assert isinstance(first, Scale)
    assert (first.replicas, first.hand_over) == (5, True)
    assert len([w for _, w in world.writes if isinstance(w, Scale)]) == 1


def test_a_second_scaler_silences_ours() -> None:
    """An HPA on the same Deployment: Conflict, and no write but status; it resolves without a person."""
    service = Revision("digits", service_seconds=0.1)
    world = World(service, rate=lambda _: 9.0)
    world.horizontal_pod_autoscalers = [
        {
            "metadata": {"name": "theirs", "namespace": "demo"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "digits"}},
        }
    ]
    world.run(100)
    assert not [write for _, write in world.writes if isinstance(write, Scale)]
    assert conditions(service)["Conflict"] == ("True", "SecondScaler")
    assert conditions(service)["ScalingActive"] == ("False", "Conflict")
    world.horizontal_pod_autoscalers = []
    world.run(100)
    assert "Conflict" not in conditions(service)
    assert service.replicas >= 2


def test_the_gateways_arrivals_are_believed_where_completions_saturate() -> None:
    """One replica completes ten a second, forty arrive: the number asked for is that of forty."""
    service = Revision("digits", service_seconds=0.1, spec={"maxReplicas": 30})
    world = World(service, rate=lambda at: 4.0 if at < 100 else 40.0)
    world.run(300)
    assert 5 <= service.replicas <= 12


def test_without_a_gateway_saturation_still_scales() -> None:
    """Pods that work all the time are taken to be asked for more, step by step."""
    service = Revision("digits", service_seconds=0.1, spec={"maxReplicas": 30})
    world = World(service, rate=lambda at: 4.0 if at < 100 else 40.0, gateway=False)
    world.run(600)
    assert 5 <= service.ready <= 12
    assert conditions(service)["ObjectiveNotMeasurable"] == ("True", "WaitsNotSeen")


def test_a_service_without_any_request_is_not_called_unmeasurable() -> None:
    """A gateway reports a backend from its first request on: that it has not is nothing that a person could mend."""
    service = Revision("digits", service_seconds=0.1)
    world = World(service, rate=lambda _: 0.0, gateway=False)
    world.run(300)
    assert "ObjectiveNotMeasurable" not in conditions(service)


def test_the_gateway_profile_needs_nothing_of_the_pods() -> None:
    """Work is found behind times that include waiting."""
    service = Revision("digits", service_seconds=0.1, spec={"signals": {"profile": "gateway"}})
    world = World(service, rate=lambda _: 24.0)
    world.run(600)
    assert service.replicas == 4
    assert service.status["learned"]["serviceTimeMilliseconds"] == pytest.approx(100, abs=15)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("profile", "patience_seconds", "minutes"),
    [("gateway", None, 10), ("gateway", 60.0, 10), ("gateway", 15.0, 12), ("sglang", None, 10)],
)
def test_work_that_grows_fourfold_is_learned_under_overload(
    profile: str, patience_seconds: float | None, minutes: int
) -> None:
    """Requests wait all the time then, and twice what the old work justifies does not suffice."""
    service = Revision(
        "digits",
        service_seconds=0.5,
        replicas=10,
        ready=10,
        spec={
            "signals": {"profile": profile},
            "maxReplicas": 100,
            "objective": {"thresholdMilliseconds": 2500, "percent": 99},
        },
    )
    world = World(service, rate=lambda _: 17.0, patience_seconds=patience_seconds)
    world.run(600)
    assert service.replicas <= 12
    service.service_seconds = 2.0
    world.run(60 * minutes)
    learned = world.state.targets["ia-digits"].service.mean_seconds
    assert learned is not None
    assert 1.8 < learned < 2.2
    assert 40 <= service.replicas <= 94, "47 are needed, and twice as many while the queue drains"
    world.run(900)
    assert 40 <= service.replicas <= 52


def test_a_pod_that_never_becomes_ready_keeps_nobody_from_learning() -> None:
    """Replicas that have been missing for three usual starts are missing for another reason: the others' work is what it is."""
    spec = {"signals": {"profile": "gateway"}, "objective": {"thresholdMilliseconds": 2500, "percent": 99}}
    service = Revision("digits", service_seconds=0.2, replicas=4, ready=4, spec=spec | {"minReplicas": 4})
    world = World(service, rate=lambda _: 8.0)
    world.run(600)
    service.broken, service.service_seconds = True, 0.3
    service.spec["minReplicas"] = 5
    world.run(600)
    assert service.replicas > service.ready == 4
    assert world.state.targets["ia-digits"].service.mean_seconds == pytest.approx(0.3, abs=0.03)


WAITED_FOR: dict[str, Any] = {
    "signals": {"profile": "gateway"},
    "maxReplicas": 200,
    "objective": {"thresholdMilliseconds": 2500, "percent": 99},
}


def test_replicas_that_wait_for_what_they_call_are_not_multiplied_for_ever() -> None:
    """Together they answer 12 a second, however many they are: that is told by the second time that they become more."""
    service = Revision("digits", service_seconds=0.5, replicas=10, ready=10, spec=WAITED_FOR)
    world = World(service, rate=lambda _: 17.0)
    world.run(600)
    for _ in range(240):
        service.service_seconds = service.ready / 12
        world.run(5)
    assert service.replicas <= 6 * 12
    assert conditions(service)["NotCapacityBound"] == ("True", "MoreDidNotHelp")
    told = next(c["message"] for c in service.status["conditions"] if c["type"] == "NotCapacityBound")
    assert told.startswith(
        "requests are late and the last replicas that were added have only made each of them slower: look"
    )


def test_where_nothing_is_answered_replicas_are_bounded() -> None:
    """They may work on what nobody waits for any more, or on nothing: four times as many at most."""
    service = Revision("digits", service_seconds=0.5, replicas=10, ready=10, spec=WAITED_FOR)
    world = World(service, rate=lambda _: 17.0, patience_seconds=15)
    world.run(600)
    assert service.replicas <= 12
    service.service_seconds = 1e6
    world.run(1200)
    assert 22 < service.replicas <= 4 * 12


def test_an_objective_between_buckets_is_said_not_guessed() -> None:
    """400 ms with buckets at 300 and 500: the condition names both, and sizing goes on."""
    objective = {"thresholdMilliseconds": 400, "percent": 99}
    service = Revision("digits", service_seconds=0.1, spec={"objective": objective})
    world = World(service, rate=lambda _: 24.0)
    world.run(400)
    message = next(
        c["message"] for c in service.status["conditions"] if c["type"] == "ObjectiveNotMeasurable"
    )
    assert "300 ms and 500 ms" in message
    assert service.replicas >= 4


def test_a_bucket_that_only_others_have_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two gateways, and only one has the bucket: nothing is late behind the other, and its service is told so."""
    here, there = Revision("digits", service_seconds=0.1), Revision("other", service_seconds=0.1)
    world = World(here, there, rate=lambda _: 24.0)
    told = world.answers

    def answers() -> dict[str, Any]:
        found = dict(told())
        answer = found["late"]
        assert isinstance(answer, Answer)
        answer.samples = [
            sample
            for sample in answer.samples
            if (sample.labels["deployment"], sample.labels["profile"], sample.labels.get("le"))
            != ("digits", "gateway", "500")
        ]
        return found

    monkeypatch.setattr(world, "answers", answers)
    world.run(400)
    assert conditions(here)["ObjectiveNotMeasurable"] == ("True", "NoBucket")
    (message,) = (c["message"] for c in here.status["conditions"] if c["type"] == "ObjectiveNotMeasurable")
    assert "no bucket at 500 ms" in message
    assert "ObjectiveNotMeasurable" not in conditions(there)
    assert here.replicas == there.replicas


def test_an_impossible_objective_is_not_chased() -> None:
    """Work of 400 ms within 300 ms: infeasible, and the replicas stay what short waits take."""
    objective = {"thresholdMilliseconds": 300, "percent": 99}
    service = Revision("digits", service_seconds=0.4, spec={"objective": objective, "maxReplicas": 50})
    world = World(service, rate=lambda _: 10.0)
    world.run(900)
    assert conditions(service)["ObjectiveInfeasible"] == ("True", "WorkTooLong")
    assert service.replicas <= 15


def test_busy_accelerators_are_a_lower_bound_where_asked_for() -> None:
    """Three replicas at 90% against a target of 60% become five at 54%."""
    service = Revision(
        "digits",
        service_seconds=0.1,
        replicas=3,
        ready=3,
        gpu=2.7,
        spec={"gpu": {"targetUtilizationPercent": 60}, "scaleDownHoldSeconds": 20},
    )
    world = World(service, rate=lambda _: 20.0)
    world.run(400)
    assert service.replicas == 5


def test_accelerators_that_are_seen_no_more_keep_their_lower_bound() -> None:
    """No replica goes, whatever the hold; the condition says why; demand still raises; and all is as before once they are seen."""
    load = {"rate": 20.0}
    spec = {"gpu": {"targetUtilizationPercent": 60}, "scaleDownHoldSeconds": 20}
    service = Revision("digits", service_seconds=0.1, replicas=4, ready=4, gpu=4.8, spec=spec)
    world = World(service, rate=lambda _: load["rate"])
    world.run(400)
    assert service.replicas == 8
    assert conditions(service)["SignalsAvailable"] == ("True", "Fresh")
    service.gpu = None
    world.run(600)
    assert service.replicas == 8
    assert conditions(service)["SignalsAvailable"] == ("False", "NoGpuSeries")
    load["rate"] = 100.0
    world.run(120)
    assert service.replicas > 8
    load["rate"], service.gpu = 20.0, 4.8
    world.run(600)
    assert service.replicas == 8
    assert conditions(service)["SignalsAvailable"] == ("True", "Fresh")
    service.gpu, service.spec = None, {"scaleDownHoldSeconds": 20}
    world.run(600)
    assert service.replicas < 8, "the bound is taken back"


def test_accelerators_that_were_never_seen_are_missed_where_they_are_to_bound() -> None:
    """What is asked for is not ignored: nothing goes. Where it is not asked for, nobody misses them."""
    for gpu, replicas, told in (
        ({"targetUtilizationPercent": 60}, 6, ("False", "NoGpuSeries")),
        (None, 1, ("True", "Fresh")),
    ):
        spec = {"scaleDownHoldSeconds": 20} | ({} if gpu is None else {"gpu": gpu})
        service = Revision("digits", service_seconds=0.1, replicas=6, ready=6, spec=spec)
        world = World(service, rate=lambda _: 2.0)
        world.run(10)
        assert conditions(service)["SignalsAvailable"][1] != "NoGpuSeries", "new pods are not known yet"
        world.run(600)
        assert (service.replicas, conditions(service)["SignalsAvailable"]) == (replicas, told)


def test_conditions_keep_their_time_until_they_change() -> None:
    """lastTransitionTime moves with the status of a condition only."""
    service = Revision("digits", service_seconds=0.1)
    world = World(service, rate=lambda at: 5.0 if at < 300 else 25.0)
    world.run(100)
    first = {c["type"]: c["lastTransitionTime"] for c in service.status["conditions"]}
    world.run(600)
    assert len({w.replicas for _, w in world.writes if isinstance(w, Scale)}) > 1
    last = {c["type"]: c["lastTransitionTime"] for c in service.status["conditions"]}
    assert first["ScalingActive"] == last["ScalingActive"]


def test_transitions_are_told_once() -> None:
    """An outage is one event at its start and one at its end."""
    service = Revision("digits", service_seconds=0.1)
    world = World(service, rate=lambda _: 5.0)
    world.run(100)
    world.outage = "Unreachable"
    world.run(60)
    world.outage = None
    world.run(60)
    events = [
        e
        for _, w in world.writes
        if isinstance(w, WriteStatus)
        for e in w.events
        if "SignalsAvailable" in e.note
    ]
    assert [(e.type, e.reason) for e in events][-2:] == [
        ("Warning", "PrometheusUnreachable"),
        ("Normal", "Fresh"),
    ]
    assert len(events) <= 3


@pytest.mark.parametrize("bound", ["oops", "", "NaN"])
def test_a_bound_that_is_no_number_is_passed_over(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pod's odd label, in the list of the bounds and in a histogram, keeps nobody from being scaled."""
    service = Revision("digits", service_seconds=0.1)
    world = World(service, rate=lambda _: 30.0)
    told = world.answers

    def answers() -> dict[str, Any]:
        found = dict(told())
        odd = {"namespace": "demo", "deployment": "odd", "profile": "mlserver", "le": bound}
        for question, signal in (("bounds", "bound"), ("late", "within")):
            answer = found[question]
            assert isinstance(answer, Answer)
            answer.samples.append(Sample(odd | {"signal": signal}, 1.0))
        return found

    monkeypatch.setattr(world, "answers", answers)
    world.run(300)
    assert service.replicas >= 3
    assert ask(world.objects(), world.state, world.now)


def test_what_was_learned_outlives_a_deployment_that_is_replaced() -> None:
    """For a tick there is none; status keeps what a restart begins with, and the next one is not as if nothing had ever been."""
    service = Revision("digits", service_seconds=0.1)
    world = World(service, rate=lambda at: 5.0 if at < 60 else 40.0)
    world.run(200)
    learned = service.status["learned"]
    assert learned["serviceTimeMilliseconds"] == 100
    deployment, world.deployment = (
        world.deployment,
        lambda _: {"metadata": {"name": "other", "namespace": "demo", "uid": "x"}},
    )  # type: ignore[method-assign,assignment]
    world.run(5)
    assert service.status["learned"] == learned
    world.deployment = deployment  # type: ignore[method-assign]
    world.run(5)
    assert world.state.targets["ia-digits"].service.learned
    assert service.status["learned"]["startTimeSeconds"] == learned["startTimeSeconds"]


def test_a_missing_deployment_is_named() -> None:
    """A target that does not exist is a condition, not an error."""
    world = World(Revision("digits"))
    objects = world.objects()
    result = __import__("autoscaler.tick", fromlist=["tick"]).tick(
        world.answers(), type(objects)(objects.autoscalers, []), world.state, world.now
    )
    (write,) = result.writes
    assert write.status["conditions"][0]["reason"] == "TargetMissing"


RISE = ((38.0, 5.0), (47.0, 11.0), (56.0, 19.0), (65.0, 27.0), (74.0, 36.0), (math.inf, 45.0))
"""Requests per second until so many seconds: one replica holds the second step, and not the third."""


@pytest.mark.parametrize("scrape_seconds", [5.0, 15.0, 30.0])
def test_a_new_service_is_seen_at_once(scrape_seconds: float) -> None:
    """Rates are over windows of minutes that a new service has not lived yet: they are told over its life."""
    service = Revision("digits", service_seconds=0.06, ready=0, pending=[EPOCH + 20])

    def rate(now: float) -> float:
        return 0.0 if now < 20 else next(height for until, height in RISE if now < until)

    world = World(service, rate=rate, scrape_seconds=scrape_seconds, start_seconds=10)
    world.run(200)
    assert world.late <= 0.03 * world.arrived
    assert max(world.scaled()) <= 8, "45 requests per second take 4 or 5"


def every_hour(at: float) -> float:
    """Ten times the usual for a minute, half an hour past."""
    return 30.0 if 1800 <= at % 3600 < 1860 else 3.0


def test_what_comes_by_the_clock_is_met_by_the_clock() -> None:
    """The first times its requests are late; when it has come back, replicas are ready before it begins."""
    service = Revision("digits", service_seconds=0.067, spec=DEMO)
    world = World(service, rate=every_hour, seed=3)
    world.run(3600 + 1790)
    late, arrived = world.late, world.arrived
    world.run(100)
    unforeseen = (world.late - late) / (world.arrived - arrived)
    world.run(2 * 3600 - 110)
    assert service.ready >= 3
    assert "by the clock" in service.status["lastDecision"]["message"]
    late, arrived = world.late, world.arrived
    world.run(110)

    assert unforeseen > 0.1
    assert (world.late - late) / (world.arrived - arrived) < 0.02
    world.run(600)
    assert service.replicas == 1


def test_what_keeps_coming_by_surprise_is_stood_by_for() -> None:
    """Where many requests come faster than pods start, replicas stay long after; one surge a day keeps none."""
    chance = random.Random(4)
    begins = sorted(chance.uniform(0, 2 * 3600) for _ in range(12))

    def bursts(at: float) -> float:
        return 30.0 if any(begin <= at < begin + 60 for begin in begins) else 3.0

    service = Revision("digits", service_seconds=0.067, spec=DEMO)
    world = World(service, rate=bursts, seed=5)
    world.run(2 * 3600 + 900)

    assert begins[-1] < 2 * 3600 - 60
    assert service.replicas >= 3

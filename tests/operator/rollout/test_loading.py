"""A model that loads for long has its own limit, and within that no deadline of the rollout ends it."""

from datetime import timedelta

import pytest

from serving_api.service import InferenceService
from serving_operator.rollout.loading import loads_until
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import moment_of
from serving_operator.world import Manifest
from tests.operator.rollout.simulation import SETTINGS, Simulation, inference_service, settled

LOAD_SECONDS = 400
PROGRESS_DEADLINE_SECONDS = 120


def loading(seconds: int | None = LOAD_SECONDS) -> Manifest:
    """Return a service whose model may load for so long."""
    made = inference_service("loading")
    if seconds is not None:
        made["spec"]["predictor"]["modelLoadSeconds"] = seconds
    return made


def canary(takes: float, seconds: int | None = LOAD_SECONDS) -> Simulation:
    """Return a cluster that has begun a canary whose model takes so long to load."""
    cluster = settled()
    cluster.load_seconds = takes
    cluster.apply(loading(seconds))
    return cluster


def test_it_may_load_for_longer_than_the_progress_deadline() -> None:
    """Nobody rejects it meanwhile, nothing is booked as lost, and it goes on as any canary when it is ready."""
    cluster = canary(300)
    cluster.run(290)
    assert cluster.status["canary"]["verdict"] == "Preparing"
    assert "heldSeconds" not in cluster.status["canary"]
    cluster.run(60)
    assert cluster.status["canary"]["verdict"] == "WaitingForPromotion"


def test_without_the_field_it_may_load_for_as_long_as_its_startup_probe_lets_it() -> None:
    """What the runtime, or the container itself, says of a first start is as good as what the predictor says."""
    made = loading(None)
    probe = {"tcpSocket": {"port": "http"}, "periodSeconds": 5, "failureThreshold": 80}
    made["spec"]["predictor"]["container"]["startupProbe"] = probe
    cluster = settled()
    cluster.load_seconds = 300
    cluster.apply(made)
    cluster.run(350)
    assert cluster.status["canary"]["verdict"] == "WaitingForPromotion"


def test_one_that_has_just_become_ready_is_not_rejected() -> None:
    """Its Deployment counts it when it has been ready for a while, and says so a moment later."""
    cluster = canary(300)
    cluster.min_ready_seconds = SETTINGS.min_ready_seconds + 2
    cluster.run(350)
    assert cluster.status["canary"]["verdict"] == "WaitingForPromotion"


@pytest.mark.parametrize(
    ("seconds", "ends", "reason"),
    [
        (LOAD_SECONDS, LOAD_SECONDS, "LoadDeadlineExceeded"),
        (60, PROGRESS_DEADLINE_SECONDS, "LoadDeadlineExceeded"),
        (None, PROGRESS_DEADLINE_SECONDS, "NeverReady"),
    ],
)
def test_one_that_loads_for_too_long_is_rejected(seconds: int | None, ends: int, reason: str) -> None:
    """At the later end of both times, with the cause; a container that was restarted gets no more of it."""
    cluster = canary(10_000, seconds)
    cluster.round()
    began = moment_of(cluster.status["canary"]["startedAt"])
    while not cluster.status.get("rejected"):
        cluster.round()
        assert cluster.now < began + timedelta(seconds=ends + 30), cluster.status
    assert cluster.now >= began + timedelta(seconds=ends)
    rejected = cluster.status["rejected"][-1]
    assert rejected["reason"] == reason
    assert "rollout.progressDeadlineSeconds" in rejected["message"]
    assert "predictor.modelLoadSeconds" in rejected["message"]


def test_a_first_revision_says_why_it_stalls() -> None:
    """There is nothing to go back to, so that it waits on; the remedy is the field."""
    cluster = Simulation(loading(60))
    cluster.load_seconds = 10_000
    cluster.run(150)
    stalled = cluster.condition("Stalled")
    assert stalled is not None
    assert stalled["reason"] == "LoadDeadlineExceeded"
    assert "raise predictor.modelLoadSeconds" in stalled["message"]


def test_only_what_has_not_been_ready_loads() -> None:
    """Ready pods, restarted ones and those that have not started have no load time left to wait for."""
    cluster = canary(10_000)
    cluster.run(5)
    revision = cluster.status["canary"]["revision"]
    observed = Observed(cluster.world(), SETTINGS, cluster.now, InferenceService.parse(cluster.service))
    started = moment_of(
        cluster.pods[f"digits-{revision}-pod0"]["status"]["conditions"][0]["lastTransitionTime"]
    )
    assert loads_until(observed, revision) == started + timedelta(seconds=LOAD_SECONDS)
    assert loads_until(observed, cluster.status["stable"]["revision"]) is None
    cluster.pods[f"digits-{revision}-pod0"]["status"]["containerStatuses"][0]["restartCount"] = 1
    observed = Observed(cluster.world(), SETTINGS, cluster.now, InferenceService.parse(cluster.service))
    assert loads_until(observed, revision) is None

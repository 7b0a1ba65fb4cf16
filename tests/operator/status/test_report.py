"""Status beside its conditions: address, replicas, selector, events, and what a quota leaves."""

from decimal import Decimal
from typing import Any

import pytest

from serving_operator.rollout.observed import Observed
from serving_operator.status.address import url
from serving_operator.status.quota import demand
from tests.operator.rollout.simulation import (
    SETTINGS,
    Simulation,
    at_step,
    inference_service,
    revision,
    settled,
)

A, B = revision("a"), revision("b")


@pytest.mark.parametrize(
    ("listeners", "parent", "expected"),
    [
        (None, {}, None),
        ([{"name": "tls", "port": 443, "protocol": "HTTPS"}], {"sectionName": "http"}, None),
        ([{"name": "http", "port": 80, "protocol": "HTTP"}], {}, "http://digits.test"),
        ([{"name": "http", "port": 18080, "protocol": "HTTP"}], {}, "http://digits.test:18080"),
        ([{"name": "tls", "port": 443, "protocol": "HTTPS"}], {}, "https://digits.test"),
        (
            [
                {"name": "http", "port": 80, "protocol": "HTTP"},
                {"name": "tls", "port": 8443, "protocol": "HTTPS"},
            ],
            {"sectionName": "tls"},
            "https://digits.test:8443",
        ),
    ],
)
def test_the_url_follows_the_listener(
    listeners: list[dict[str, Any]] | None, parent: dict[str, str], expected: str | None
) -> None:
    """Scheme and port come from the Gateway's listener; where it is not seen, nothing is claimed."""
    service = inference_service("a")
    service["spec"]["route"]["parentRefs"][0] |= parent
    cluster = Simulation(service)
    world = cluster.world()
    gateways = {("gateway", "local"): {"spec": {"listeners": listeners}}} if listeners else {}
    from dataclasses import replace

    from serving_api.service import InferenceService

    observed = Observed(
        replace(world, gateways=gateways), SETTINGS, cluster.now, InferenceService.parse(service)
    )
    assert url(observed) == expected


def test_without_its_gateway_in_sight_a_service_has_no_url() -> None:
    """An operator of some namespaces sees no Gateway of another one, whose listener may be https."""
    assert "url" not in settled().status


def test_without_the_gateway_api_the_url_is_the_stable_service() -> None:
    """Requests are answered inside the cluster only."""
    cluster = Simulation(routes_served=False)
    cluster.run(20)
    assert cluster.status["url"] == "http://digits.demo.svc"


def test_replicas_and_selector_cover_all_live_revisions() -> None:
    """During a rollout both revisions are counted and selected, afterwards one."""
    cluster = at_step()
    assert cluster.status["replicas"] == 4
    both = ",".join(sorted((A, B)))
    assert cluster.status["selector"].endswith(f"in ({both})")
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    assert cluster.status["replicas"] == 3
    assert cluster.status["selector"].endswith(f"in ({B})")


def test_events_tell_the_story_once() -> None:
    """Each transition of a rollout is one event, in order; a settled service has none."""
    cluster = at_step()
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    cluster.apply(inference_service("c"))
    cluster.run(30)
    cluster.label("Abort", cluster.status["canary"]["id"])
    cluster.run(60)
    told = [note.reason for note in cluster.events if note.action == "Rollout"]
    assert told == [
        "AttemptStarted",
        "Committed",
        "AttemptStarted",
        "WeightReached",
        "CommandAccepted",
        "WeightReached",
        "Committed",
        "AttemptStarted",
        "WeightReached",
        "CommandAccepted",
        "Aborting",
        "Rejected",
    ]
    count = len(cluster.events)
    cluster.run(60)
    assert len(cluster.events) == count


def test_events_warn_of_what_is_stalled_or_ignored() -> None:
    """Stalled and CommandIgnored are warnings with their messages."""
    cluster = settled()
    cluster.label("Promote", f"{B}-7")
    cluster.apply(inference_service("unpullable"))
    cluster.run(200)
    warnings = {note.reason for note in cluster.events if note.type == "Warning"}
    assert {"StalledImagePullFailed", "CommandIgnoredUnknownAttempt", "Rejected"} <= warnings


def test_what_a_pod_takes_of_a_quota() -> None:
    """Limits count as requests where no request is stated; each pod counts as one."""
    container = {"resources": {"limits": {"cpu": "2", "nvidia.com/gpu": "1"}, "requests": {"memory": "1Gi"}}}
    taken = demand({"spec": {"containers": [container]}})
    assert taken["pods"] == 1
    assert taken["requests.cpu"] == taken["cpu"] == taken["limits.cpu"] == 2
    assert taken["requests.nvidia.com/gpu"] == 1
    assert taken["requests.memory"] == Decimal(1024) ** 3


def test_a_spec_that_cannot_be_read_names_the_field() -> None:
    """Stalled says which field; children, revisions and commands are left as they are."""
    cluster = at_step()
    cluster.service["spec"]["predictor"]["minReplicas"] = 0
    count = len(cluster.writes)
    cluster.run(5)
    stalled = cluster.condition("Stalled")
    assert stalled is not None
    assert "spec.predictor.minReplicas" in stalled["message"]
    assert len(cluster.writes) == count
    assert cluster.status["canary"]["id"] == f"{B}-2"


def test_a_runtime_that_has_moved_on_is_said_and_changes_no_pod() -> None:
    """An operator with a newer runtime writes no child; UpToDate stays True and says what to do."""
    service = inference_service("a")
    service["spec"]["predictor"] = {
        "model": {"modelFormat": {"name": "sklearn"}, "storageUri": "pvc://models/m"},
        "maxReplicas": 8,
    }
    cluster = Simulation(service)
    cluster.run(30)
    for found in cluster.of_kind("ControllerRevision").values():
        found["data"]["runtime"] |= {"version": "1.0.0", "image": "old/mlserver:1.0.0"}
    count = len(cluster.writes)
    cluster.run(10)
    assert len(cluster.writes) == count
    up_to_date = cluster.condition("UpToDate")
    assert up_to_date is not None
    assert (up_to_date["status"], up_to_date["reason"]) == ("True", "RuntimeOutdated")
    assert "old/mlserver:1.0.0" in up_to_date["message"]

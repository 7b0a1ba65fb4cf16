"""What is left of a former revision goes when nobody can send it a request any more, and not before."""

import copy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from serving_api.service import InferenceService
from serving_operator.children.route import weights
from serving_operator.rollout.first_seen import is_unused
from serving_operator.rollout.observed import Observed
from serving_operator.world import ObjectId
from tests.operator.rollout.simulation import (
    KEY,
    SETTINGS,
    Simulation,
    at_step,
    inference_service,
    revision,
)

A, B = revision("a"), revision("b")
OLD = ObjectId("Deployment", f"{KEY.name}-{A}")


def committed() -> tuple[Simulation, datetime]:
    """Return a cluster at the moment of the commit, with the old revision still whole."""
    cluster = at_step()
    cluster.label("Promote", f"{B}-2")
    while (cluster.status.get("stable") or {}).get("revision") != B:
        cluster.round()
    return cluster, cluster.now


def test_the_longest_request_may_end() -> None:
    """The old pods stay for the request timeout and the propagation delay after the last switch."""
    cluster, at = committed()
    timeout = cluster.service["spec"]["predictor"]["timeout"]
    while OLD in cluster.objects:
        cluster.round()
    assert cluster.now - at >= timedelta(seconds=timeout + SETTINGS.propagation_delay_seconds)


def test_a_gateway_that_stamps_no_generation_holds_up_nothing() -> None:
    """After the commit time alone says when the old revision is unused: whoever looks only when asked to removes it in time."""
    cluster, at = committed()
    while True:
        cluster.autoscaler()
        cluster.kubelet()
        cluster.unstamped_gateway()
        if cluster.reconcile():
            continue
        again = cluster.decide().requeue_after_seconds
        if again is None:
            break
        cluster.tick(again)
    assert OLD not in cluster.objects
    timeout = cluster.service["spec"]["predictor"]["timeout"]
    assert cluster.now - at <= timedelta(seconds=timeout + 5 * SETTINGS.propagation_delay_seconds)


def with_window(image: str, seconds: int) -> dict[str, Any]:
    """Return a service whose committed revision may be rolled back for so long."""
    made = inference_service(image)
    made["spec"]["rollout"]["rollbackWindowSeconds"] = seconds
    return made


def test_a_committed_revision_that_answers_nobody_spares_the_one_before() -> None:
    """A rollback finds its pods as they were, and takes one write of the route."""
    cluster, _ = committed()
    cluster.break_pods(B)
    cluster.run(300)
    assert OLD in cluster.objects
    assert cluster.run(60) == 0
    assert (cluster.condition("Stalled") or {})["reason"] == "CrashLoop"
    pods = set(cluster.pods)
    cluster.label("Abort", f"{B}-2")
    cluster.run(2)
    assert weights(cluster.route or {}) == {B: 0, A: 100}
    assert set(cluster.pods) == pods


def test_pods_that_are_ready_for_a_moment_spare_it_too() -> None:
    """What crashes again and again answers nobody for long."""
    cluster, _ = committed()
    cluster.min_ready_seconds = 5
    cluster.crash_by_turns(B)
    assert OLD in cluster.objects


def test_it_leaves_when_the_committed_one_answers() -> None:
    """Nothing of it stays for a fault that is over."""
    cluster, _ = committed()
    cluster.break_pods(B)
    cluster.run(60)
    cluster.break_pods(B, broken=False)
    cluster.run(20)
    assert OLD not in cluster.objects
    assert weights(cluster.route or {}) == {B: 100}
    assert cluster.run(60) == 0


def test_it_leaves_when_no_label_brings_it_back_any_more() -> None:
    """The operator looks again at the end of the rollback window."""
    cluster, at = committed()
    cluster.apply(with_window("b", 100))
    cluster.run(5)
    cluster.break_pods(B)
    while cluster.now < at + timedelta(seconds=99):
        cluster.round()
    assert OLD in cluster.objects
    assert cluster.decide().requeue_after_seconds == 1
    cluster.run(20)
    assert OLD not in cluster.objects


@pytest.mark.parametrize(("image", "seconds"), [("c", 900), ("b", 0)], ids=["a new spec", "no rollback"])
def test_nobody_is_spared_who_is_in_the_way(image: str, seconds: int) -> None:
    """A canary may want the room that these pods take, and what no label brings back helps nobody."""
    cluster, _ = committed()
    cluster.break_pods(B)
    cluster.run(60)
    cluster.apply(with_window(image, seconds))
    cluster.run(60)
    assert OLD not in cluster.objects


def test_a_gateway_that_lags_keeps_the_old_revision() -> None:
    """As long as a Gateway has not carried out the route without it, the old revision's objects stay."""
    cluster, _ = committed()
    while A in weights(cluster.route or {}):
        cluster.round()
    for _ in range(120):
        cluster.tick()
        cluster.autoscaler()
        cluster.kubelet()
        cluster.reconcile()
    assert OLD in cluster.objects
    assert ObjectId("Service", f"{KEY.name}-{A}") in cluster.objects
    cluster.run(20)
    assert OLD not in cluster.objects


def test_an_old_pod_behind_the_stable_service_keeps_the_old_revision() -> None:
    """A revision is in use while the stable Service's EndpointSlices hold a ready pod of it."""
    cluster, _ = committed()
    cluster.run(3)
    assert _unused(cluster, {})
    lagging = {
        "metadata": {"name": "lagging", "labels": {"kubernetes.io/service-name": KEY.name}},
        "endpoints": [{"conditions": {"ready": True}, "targetRef": {"name": f"{KEY.name}-{A}-pod0"}}],
    }
    assert not _unused(cluster, lagging)


def test_a_revision_with_weight_or_selected_is_in_use() -> None:
    """Neither the stable revision nor a canary with traffic is ever unused."""
    cluster = at_step()
    for name in (A, B):
        observed = Observed(cluster.world(), SETTINGS, cluster.now, InferenceService.parse(cluster.service))
        assert not is_unused(observed, name)


def test_a_canary_that_never_had_traffic_goes_at_once() -> None:
    """Nobody is waited for where no request was ever sent."""
    cluster = at_step()
    cluster.label("Abort", f"{B}-2")
    cluster.run(60)
    image = cluster.service["spec"]["predictor"]["container"]
    cluster.apply(cluster.service | {"spec": _with_image(cluster.service["spec"], image, "broken")})
    cluster.run(4)
    broken = revision("broken")
    assert ObjectId("Deployment", f"{KEY.name}-{broken}") in cluster.objects
    cluster.apply(cluster.service | {"spec": _with_image(cluster.service["spec"], image, "a")})
    cluster.run(3)
    assert ObjectId("Deployment", f"{KEY.name}-{broken}") not in cluster.objects


def _with_image(spec: dict[str, Any], container: dict[str, Any], image: str) -> dict[str, Any]:
    return spec | {"predictor": spec["predictor"] | {"container": container | {"image": image}}}


def _unused(cluster: Simulation, more: dict[str, Any]) -> bool:
    world = cluster.world()
    slices = (*world.endpoint_slices, more) if more else world.endpoint_slices
    observed = Observed(
        replace(world, endpoint_slices=slices),
        SETTINGS,
        cluster.now,
        InferenceService.parse(cluster.service),
    )
    return is_unused(observed, A)


def test_a_leaving_revision_stays_in_the_route_at_zero() -> None:
    """While its last requests run it is named with weight 0, also in the routes written for its successor."""
    cluster = at_step()
    service = copy.deepcopy(cluster.service)
    service["spec"]["predictor"]["container"]["image"] = "c"
    service["spec"]["predictor"]["timeout"] = 300
    cluster.apply(service)
    cluster.run(40)
    assert weights(cluster.route or {}) == {A: 80, B: 0, revision("c"): 20}
    assert ObjectId("Service", f"{KEY.name}-{B}") in cluster.objects


def test_a_service_that_outlived_its_deployment_serves_nobody_again() -> None:
    """Who died while it cleaned up may have a deletion of it on the way, which would hit the next attempt."""
    cluster = at_step()
    service = ObjectId("Service", f"{KEY.name}-{B}")
    cluster.label("Abort", f"{B}-2")
    left = cluster.objects[service]
    while service in cluster.objects:
        cluster.round()
    cluster.label("Abort", None)
    cluster.label("Retry", cluster.status["rejected"][-1]["id"])
    while "canary" not in cluster.status:
        cluster.round()
    cluster.objects[service] = left
    while not weights(cluster.route or {}).get(B):
        cluster.round()

    assert cluster.objects[service]["metadata"]["uid"] != left["metadata"]["uid"]

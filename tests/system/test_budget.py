"""Rollouts with surge Budget under load: replicas move with the traffic, within a bound for both revisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from localcluster.cluster import Cluster
from serving_io import kinds
from tests.system.judging import rejection
from tests.system.kube import Kube, Manifest
from tests.system.load import Load
from tests.system.recording import Recording
from tests.system.services import canary_at_step, canary_weight, committed, first_revision, web_service


def shared(host: str, version: str, *, most: int, work_milliseconds: int) -> Manifest:
    """A service of at least two replicas whose revisions have at most so many together."""
    made = web_service(
        version=version,
        host=host,
        spec__predictor__minReplicas=2,
        spec__predictor__maxReplicas=most,
        spec__scaling__scaleDownHoldSeconds=10,
        spec__rollout={"steps": [{"weight": 50}], "surge": "Budget", "soakSeconds": 2},
    )
    work = {"name": "WORK_MS", "value": str(work_milliseconds)}
    made["spec"]["predictor"]["container"]["env"].append(work)
    return made


def numbers(versions: list[Manifest]) -> Iterator[dict[str, int]]:
    """The replicas that each Deployment asked for, after every change; one that has been deleted counts on."""
    has: dict[str, int] = {}
    for live in versions:
        has[live["metadata"]["name"].rpartition("-")[2]] = live["spec"]["replicas"]
        yield dict(has)


def most_together(deployments: list[Manifest], autoscalers: list[Manifest]) -> int:
    """The most replicas that both revisions asked for while they shared a budget; what leaves afterwards is not counted."""
    bounded: set[str] = set()
    ended = 0
    for live in autoscalers:
        name = live["metadata"]["name"]
        if shares_a_budget(live):
            bounded.add(name)
        elif name in bounded and not ended:
            ended = version_of(live)
    assert ended
    counted = [live for live in deployments if version_of(live) < ended]
    return max(sum(has.values()) for has in numbers(counted))


def shares_a_budget(autoscaler: Manifest) -> bool:
    """Whether replicas of two revisions are bounded together."""
    return "budgetReplicas" in (autoscaler["spec"].get("share") or {})


def asks_for(kube: Kube, namespace: str, revision: str, replicas: int) -> Callable[[], Any]:
    """Whether a revision's Deployment asks for so many replicas, and has them."""

    def does() -> bool:
        live = kube.get(kinds.DEPLOYMENT, namespace, f"digits-{revision}") or {"spec": {}}
        ready = live.get("status", {}).get("readyReplicas", 0)
        return bool(live["spec"].get("replicas") == ready == replicas)

    return does


def side_by_side(
    kube: Kube, namespace: str, load: Load, first: Manifest, second: Manifest
) -> tuple[str, str, int]:
    """Bring a canary to its step and wait until stable has given up a replica for it.

    The answer: the stable revision, the attempt, and how many requests had ended before the canary was applied.
    """
    stable = first_revision(kube, namespace, first)
    kube.until("stable has its least", asks_for(kube, namespace, stable, 2))
    began = len(load.records)
    attempt = canary_at_step(kube, namespace, second)
    kube.until("stable gives up a replica", asks_for(kube, namespace, stable, 1))
    return stable, attempt, began


def before(versions: list[Manifest], name: str, moment: int) -> Manifest:
    """The version of an object that was there when something else was written; resource versions are moments."""
    known = [live for live in versions if live["metadata"]["name"] == name and version_of(live) < moment]
    return known[-1]


def version_of(live: Manifest) -> int:
    """The moment of a write."""
    return int(live["metadata"]["resourceVersion"])


@pytest.mark.lengthy
def test_replicas_move_with_the_traffic(
    kube: Kube, cluster: Cluster, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    """Two replicas become two of another revision with room for three: no bad response, and never a fourth."""
    host = f"{namespace}.example.com"
    first, second = (shared(host, version, most=3, work_milliseconds=1) for version in ("1", "2"))
    with (
        Load(cluster, host, rate=10) as load,
        Recording(kube, kinds.DEPLOYMENT, namespace) as deployments,
        Recording(kube, kinds.INFERENCE_AUTOSCALER, namespace) as autoscalers,
    ):
        stable, attempt, began = side_by_side(kube, namespace, load, first, second)
        canary = attempt.split("-")[0]
        kube.label(namespace, "digits", promote=attempt)
        status = committed(kube, namespace, attempt)
        answered = len(load.records)
        kube.until("the load goes on", lambda: len(load.records) > answered + 20)
    seen = list(numbers(deployments.versions()))
    most = most_together(deployments.versions(), autoscalers.versions())
    record_property(
        "saw", f"promoted within a budget of 3: {len(load.records)} requests, {most} replicas at most"
    )

    assert [record for record in load.records[began:] if not record.is_success] == []
    assert status["stable"]["revision"] == canary
    assert most <= 3
    assert {stable: 1, canary: 2} in seen
    assert {record.revision for record in load.records[-10:]} == {canary}


@pytest.mark.lengthy
def test_traffic_goes_back_as_stable_carries_it(
    kube: Kube, cluster: Cluster, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    """An abort at half of the traffic: no bad response, no write that takes more than stable carries, and no fifth replica."""
    host = f"{namespace}.example.com"
    first, second = (shared(host, version, most=4, work_milliseconds=5) for version in ("1", "2"))
    with (
        Load(cluster, host, rate=20) as load,
        Recording(kube, kinds.DEPLOYMENT, namespace) as deployments,
        Recording(kube, kinds.HTTP_ROUTE, namespace) as routes,
        Recording(kube, kinds.INFERENCE_AUTOSCALER, namespace) as autoscalers,
    ):
        stable, attempt, began = side_by_side(kube, namespace, load, first, second)
        kube.label(namespace, "digits", abort=attempt)
        rejection(kube, namespace, attempt)
        kube.until("stable has its replicas back", asks_for(kube, namespace, stable, 2))
    status = kube.status(namespace)
    name = f"digits-{stable}"
    steps = [(version_of(route), canary_weight(route, attempt)) for route in routes.versions()]
    way_back = steps[[weight for _, weight in steps].index(50) :]
    most = most_together(deployments.versions(), autoscalers.versions())
    carried = []
    for (_, had), (moment, has) in pairwise(way_back):
        if has < had:
            said = before(autoscalers.versions(), name, moment)["status"]["reserve"]
            ready = before(deployments.versions(), name, moment)["status"].get("readyReplicas", 0)
            carried.append((has, said["carriesPercent"] * ready // said["readyReplicas"]))
    record_property(
        "saw",
        f"aborted within a budget of 4: {len(load.records)} requests, {most} replicas at most; "
        + ", ".join(f"{has}% left while stable carries {carries}%" for has, carries in carried),
    )

    assert [record for record in load.records[began:] if not record.is_success] == []
    assert [entry["id"] for entry in status["rejected"]] == [attempt]
    assert status["stable"]["revision"] == stable
    assert most <= 4
    assert carried
    assert carried[-1][0] == 0
    assert all(had >= has for (_, had), (_, has) in pairwise(way_back))
    assert all(100 - has <= carries for has, carries in carried), carried
    assert {record.revision for record in load.records[-10:]} == {stable}

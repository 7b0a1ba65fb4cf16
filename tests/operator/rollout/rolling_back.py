"""Clusters whose second revision was committed, so that a label may bring the first one back."""

from __future__ import annotations

from typing import Any

from serving_operator.world import Manifest, ObjectId
from tests.operator.rollout.simulation import KEY, Simulation, inference_service, revision

A, B = revision("a"), revision("b")
KEEP_WARM_SECONDS = 300
WINDOW_SECONDS = 900


def service(image: str, mode: str = "Auto", **rollout: Any) -> Manifest:
    """Return a service that keeps its former revision warm, unless `rollout` says otherwise."""
    made = inference_service(image)
    kept = {"keepWarmSeconds": KEEP_WARM_SECONDS, "rollbackWindowSeconds": WINDOW_SECONDS}
    made["spec"]["rollout"] |= kept | rollout
    if mode == "Advise":
        made["spec"]["scaling"] = {"class": "Auto", "mode": "Advise"}
    if mode == "External":
        made["spec"]["scaling"] = {"class": "External", "external": {"replicas": 4}}
        made["spec"]["predictor"] = {"container": {"image": image}, "timeout": 5}
        del made["spec"]["objective"]
    return made


def committed(mode: str = "Auto", **rollout: Any) -> Simulation:
    """Return a cluster at rest in which attempt `<B>-2` has replaced `<A>-1`."""
    cluster = Simulation(service("a", mode, **rollout))
    cluster.run(30)
    cluster.apply(service("b", mode, **rollout))
    cluster.run(30)
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    assert cluster.status["stable"]["id"] == f"{B}-2", cluster.status
    assert "canary" not in cluster.status
    return cluster


def abort(cluster: Simulation, attempt: str = f"{B}-2") -> Simulation:
    """Give the abort label of the committed attempt."""
    cluster.label("Abort", attempt)
    return cluster


def deployment(cluster: Simulation, of: str) -> Manifest | None:
    """Return the Deployment of a revision."""
    return cluster.objects.get(ObjectId("Deployment", f"{KEY.name}-{of}"))


def is_rolled_back(cluster: Simulation) -> bool:
    """Whether the first revision serves everything again, and the second is rejected for it."""
    stable, rejected = cluster.status["stable"], cluster.status.get("rejected") or [{}]
    last = rejected[-1]
    return (
        "canary" not in cluster.status
        and stable["revision"] == A
        and (last.get("id"), last.get("reason")) == (f"{B}-2", "RolledBack")
    )

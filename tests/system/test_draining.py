"""Nodes are drained under load: pods are evicted through the Eviction API, and no client notices."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from localcluster.cluster import Cluster
from serving_api.names import REVISION_LABEL
from serving_io import kinds
from tests.api.manifests import edited
from tests.system.draining import drain, fewest_ready, others_serve
from tests.system.judging import at_step, judged
from tests.system.kube import Kube, Manifest, condition, holds
from tests.system.load import Load
from tests.system.recording import Recording
from tests.system.services import committed, first_revision, web_service

REPLICAS = 2


def of(versions: list[Manifest], revision: str) -> list[Manifest]:
    """The versions of a revision's pods."""
    return [version for version in versions if version["metadata"]["labels"][REVISION_LABEL] == revision]


def test_a_drain_costs_no_request(
    kube: Kube, cluster: Cluster, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    """Each pod of a service is evicted: one at a time, for its budget refuses the next until another one is ready."""
    host = f"{namespace}.example.com"
    stable = first_revision(kube, namespace, web_service(host=host, spec__predictor__minReplicas=REPLICAS))
    before = others_serve(kube, namespace, stable, REPLICAS)
    with Load(cluster, host, rate=8) as load, Recording(kube, kinds.POD, namespace) as recording:
        load.go_on()
        refused = drain(kube, namespace, before)
        others_serve(kube, namespace, stable, REPLICAS, before)
        kube.until("the service is ready", lambda: holds(kube.status(namespace), "Ready"))
        load.go_on()
    record_property(
        "saw",
        f"{len(before)} pods of a service evicted, after {refused} refusals: {len(load.records)} requests, "
        f"{len(load.bad())} bad",
    )

    assert load.bad() == []
    assert refused
    assert fewest_ready(of(recording.versions(), stable), before) >= 1


@pytest.mark.lengthy
def test_a_drain_in_mid_canary_costs_no_request(
    kube: Kube, cluster: Cluster, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    """Each pod of stable and of a judged canary is evicted: the times are kept out of the evidence, nothing is rejected
    for it, and the canary can be promoted."""
    host = f"{namespace}.example.com"
    edits = {"spec.predictor.minReplicas": REPLICAS, "spec.rollout.promotion": "Manual"}
    first, second = (edited(judged(host, version, 60), edits) for version in ("1", "2"))
    stable = first_revision(kube, namespace, first)
    with (
        Load(cluster, host, rate=10) as load,
        Recording(kube, kinds.INFERENCE_SERVICE, namespace) as services,
    ):
        attempt = at_step(kube, namespace, second)
        revisions = (stable, attempt["revision"])
        before = {revision: others_serve(kube, namespace, revision, REPLICAS) for revision in revisions}
        with Recording(kube, kinds.POD, namespace) as recording:
            refused = drain(kube, namespace, [pod for pods in before.values() for pod in pods])
            for revision, pods in before.items():
                others_serve(kube, namespace, revision, REPLICAS, pods)
        load.go_on()
        kube.label(namespace, "digits", promote=attempt["id"])
        status = committed(kube, namespace, attempt["id"])
        load.go_on()
    record_property(
        "saw",
        f"{sum(map(len, before.values()))} pods of stable and canary evicted, after {refused} refusals: "
        f"{len(load.records)} requests, {len(load.bad())} bad",
    )
    told = [version.get("status", {}).get("canary") or {} for version in services.versions()]
    spans = [span for canary in told for span in canary.get("uncounted") or ()]
    evictions = {
        eviction["lastTransitionTime"]
        for version in of(recording.versions(), attempt["revision"])
        if (eviction := condition(version.get("status", {}), "DisruptionTarget"))
    }

    assert load.bad() == []
    assert refused
    for revision, pods in before.items():
        assert fewest_ready(of(recording.versions(), revision), pods) >= 1
    assert evictions
    for moment in evictions:
        assert any(span["since"] <= moment <= span.get("until", moment) for span in spans), (moment, spans)
    assert not status.get("rejected")

"""Nodes go away under load, with or without their machines: clients lose what was on them, and rollouts go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localcluster.cluster import Cluster
from serving_io import kinds
from tests.api.manifests import edited
from tests.system.access_log import bad_by_pod, is_forgotten
from tests.system.draining import others_serve
from tests.system.judging import at_step, judged
from tests.system.kube import Kube, Manifest, holds
from tests.system.load import Load
from tests.system.recording import Recording
from tests.system.second_node import second_node, toleration
from tests.system.services import first_revision, web_service

OWN_NODE = "local"
REPLICAS = 2
WINDOW_SECONDS = 30
"""Bad takes two windows, and the second is read 20 s after its end: this cluster gives a node up after 40 s."""
THRESHOLD_SECONDS = 5
PATIENT = {
    "spec.predictor.minReplicas": REPLICAS,
    "spec.predictor.timeout": 20,
    "spec.objective.thresholdMilliseconds": 1000 * THRESHOLD_SECONDS,
}
"""Bad is what is lost: a machine that others use as well makes no request late."""


def spread_over(node: str) -> dict[str, Any]:
    """Edits by which a service has half of its pods on a node, and all on the cluster's own once the node is gone."""
    there = {"key": "kubernetes.io/hostname", "operator": "In", "values": [OWN_NODE, node]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [there]}]}
    evenly = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
    }
    return {
        "spec.predictor.minReplicas": REPLICAS,
        "spec.predictor.tolerations": [toleration(node)],
        "spec.predictor.affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}
        },
        "spec.predictor.topologySpreadConstraints": [evenly],
    }


def on_node(pods: list[Manifest], node: str) -> list[Manifest]:
    """Those of the pods that run, or ran, on a node."""
    return [pod for pod in pods if pod["spec"].get("nodeName") == node and pod["status"].get("podIP")]


@pytest.mark.lengthy
def test_a_deleted_node_costs_what_its_pods_held(
    kube: Kube,
    cluster: Cluster,
    namespace: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """`kubectl delete node` ends no process: pods answer until the control plane collects them, without a grace.

    What they hold at that moment is lost, nothing else; others come in their place.
    """
    host, node_name = f"{namespace}.example.com", f"deleted-{namespace}"
    with second_node(kube, namespace, tmp_path, name=node_name, taint=node_name, place=2):
        stable = first_revision(kube, namespace, edited(web_service(host=host), spread_over(node_name)))
        pods = others_serve(kube, namespace, stable, REPLICAS)
        held = on_node(pods, node_name)
        with Load(cluster, host, rate=8) as load:
            load.go_on()
            before = len(load.records)
            kube.kubectl("delete", "node", node_name)
            replaced = others_serve(kube, namespace, stable, REPLICAS, held)
            kube.until("the service is ready", lambda: holds(kube.status(namespace), "Ready"))
            kube.until("Envoy knows", lambda: all(is_forgotten(cluster, pod) for pod in held))
            load.go_on()
            after = len(load.records)
            load.go_on()
        lost = bad_by_pod(cluster, host, len(load.records), held)
    record_property(
        "saw",
        f"a Node deleted under {len(held)} of {len(pods)} pods: {len(load.records)} requests, {len(load.bad())} bad",
    )

    assert len(held) == REPLICAS // 2
    assert on_node(replaced, node_name) == []
    assert set(lost) <= {pod["metadata"]["name"] for pod in held}, lost
    assert lost.total() == len(load.bad())
    assert [record for record in load.bad() if record not in load.records[before:after]] == []


@pytest.mark.lengthy
def test_half_of_the_nodes_are_lost_in_mid_canary(
    kube: Kube,
    cluster: Cluster,
    namespace: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """A canary that goes to spot nodes loses the pods that it has there without a word; stable, which has none there,
    answers everything. Nobody knows before the control plane gives the node up: what is sent to the dead until then is
    lost, and nothing else. It is no evidence: the canary gets its pods back, is found good, and promotes itself.
    """
    host, node_name = f"{namespace}.example.com", f"spot-{namespace}"
    first, second = (
        edited(judged(host, version, 60, windowSeconds=WINDOW_SECONDS), PATIENT) for version in ("1", "2")
    )
    with second_node(kube, namespace, tmp_path, name=node_name, taint=node_name, place=3) as node:
        stable = first_revision(kube, namespace, first)
        with (
            Load(cluster, host, rate=10, timeout_seconds=30) as load,
            Recording(kube, kinds.INFERENCE_SERVICE, namespace) as services,
        ):
            attempt = at_step(kube, namespace, edited(second, spread_over(node_name)))
            canary = attempt["revision"]
            pods = others_serve(kube, namespace, canary, REPLICAS)
            before = len(load.records)
            node.lose()
            held = on_node(kube.list(kinds.POD, namespace), node_name)
            kube.until("the node is given up", lambda: all(is_forgotten(cluster, pod) for pod in held))
            load.go_on()
            after = len(load.records)
            kube.kubectl("delete", "node", node_name)  # as a cloud's controller does when the machine is gone
            replaced = others_serve(kube, namespace, canary, REPLICAS, held)
            kube.until("the canary is stable", lambda: kube.status(namespace)["stable"]["revision"] == canary)
            load.go_on()
        status = kube.status(namespace)
        lost = bad_by_pod(cluster, host, len(load.records), held)
    late = [
        record
        for record in load.records
        if record.revision == canary and record.is_success and record.response_seconds > THRESHOLD_SECONDS
    ]
    record_property(
        "saw",
        f"a node lost under {len(held)} of a canary's {len(pods)} pods: {len(load.records)} requests, "
        f"{len(load.bad())} bad, among the {after - before} that ended from the loss to its notice",
    )
    told = [version.get("status", {}).get("canary") or {} for version in services.versions()]
    verdicts = {(said["verdict"], said["badRequests"]) for canary in told if (said := canary.get("evidence"))}

    assert held
    assert set(lost) <= {pod["metadata"]["name"] for pod in held}, lost
    assert lost.total() == len(load.bad()) > 0
    assert [record for record in load.bad() if record not in load.records[before:after]] == []
    assert {stable, canary} <= {record.revision for record in load.records[before:after]}
    assert on_node(replaced, node_name) == []
    assert [verdict for verdict, _ in verdicts] == ["Good"]
    assert all(bad <= len(late) for _, bad in verdicts), "lost requests were counted"
    assert not status.get("rejected")
    assert not status.get("commands")

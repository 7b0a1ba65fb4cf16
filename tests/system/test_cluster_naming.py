"""Judge and autoscaler on both ways in which a gateway's Envoy names clusters: one for each backend, and one for a whole rule."""

from __future__ import annotations

import json
import time

import pytest

from localcluster.cluster import Cluster
from localcluster.gateway.translate import NAMING_ANNOTATION, ClusterNaming
from serving_io import kinds
from tests.system.judging import at_step, judged
from tests.system.kube import Kube, Manifest, condition
from tests.system.load import Load, measured
from tests.system.services import (
    QUIET_RATE,
    autoscaler,
    canary_at_step,
    committed,
    first_revision,
    overload,
    replicas,
    web_service,
)

SEEN_SECONDS = 30.0
"""For which a step stays undecided: several of its windows."""
WRITER = """
import json, os
for version in ("v1", "v2"):
    folder = os.path.join(os.environ["MODELS_DIRECTORY"], version)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "quick.py"), "w") as file:
        file.write(os.environ["MODEL"])
    with open(os.path.join(folder, "model-settings.json"), "w") as file:
        json.dump({"name": "quick", "implementation": "quick.Quick"}, file)
"""
MODEL = """
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse
class Quick(MLModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        return InferenceResponse(model_name=self.name, outputs=[])
"""
INPUT = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [0.0]}]}


def merging_gateway(kube: Kube, cluster: Cluster, namespace: str) -> Manifest:
    """Make a Gateway that gives each rule of its routes one cluster; return the reference to it."""
    listener = {"name": "http", "port": cluster.gateway_http_port, "protocol": "HTTP"}
    manifest = {
        "apiVersion": kinds.GATEWAY.api_version,
        "kind": kinds.GATEWAY.name,
        "metadata": {"name": "merging", "annotations": {NAMING_ANNOTATION: str(ClusterNaming.MERGED)}},
        "spec": {"gatewayClassName": "local", "listeners": [listener]},
    }
    kube.apply(namespace, manifest)
    return {"name": "merging"}


def clusters(cluster: Cluster, namespace: str) -> set[str]:
    """The clusters of a namespace's route that Envoy counts in, as Prometheus has them."""
    series = measured(
        cluster, f'envoy_cluster_upstream_rq_completed{{envoy_cluster_name=~"httproute/{namespace}/.+"}}'
    )
    return {found["metric"]["envoy_cluster_name"] for found in series}


@pytest.mark.lengthy
def test_a_split_that_cannot_be_seen_decides_nothing(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """A failing version whose requests are counted with stable's is neither promoted nor rejected, and the status says
    why; when each backend is counted by itself, the same step is judged and the version comes back."""
    host = f"{namespace}.example.com"
    route = {"parentRefs": [merging_gateway(kube, cluster, namespace)], "hostnames": [host]}
    first, failing = judged(host, "1", 20), judged(host, "2", 20, env={"FAIL": "1"}, stepDeadlineSeconds=40)
    for manifest in (first, failing):
        manifest["spec"]["route"] = route
    stable = first_revision(kube, namespace, first)
    with Load(cluster, host, rate=10):
        attempt = at_step(kube, namespace, failing)["id"]
        stalled = kube.until("the step is stalled", lambda: condition(kube.status(namespace), "Stalled"))
        begun = time.monotonic()
        while time.monotonic() < begun + SEEN_SECONDS:
            status = kube.status(namespace)
            assert (status["canary"]["id"], status["canary"]["weight"]) == (attempt, 20)
            assert not status.get("rejected")
            time.sleep(1)
        seen = clusters(cluster, namespace)

        annotation = {"metadata": {"annotations": {NAMING_ANNOTATION: str(ClusterNaming.PER_BACKEND)}}}
        kube.patch(kinds.GATEWAY, namespace, "merging", annotation)
        kube.until("it is rejected", lambda: kube.status(namespace).get("rejected"))
    status = kube.status(namespace)

    assert stalled["reason"] == "SplitNotVisible"
    assert "inconclusive" in stalled["message"]
    assert seen == {f"httproute/{namespace}/digits/rule/0"}
    assert [entry["reason"] for entry in status["rejected"]] == ["WorseThanStable"]
    assert status["stable"]["revision"] == stable


@pytest.mark.lengthy
def test_pods_tell_what_a_merged_cluster_hides(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """Behind the same Gateway a model whose runtime counts by itself is judged at its step, and promotes itself."""
    write_models(kube, namespace)
    host = f"{namespace}.example.com"
    first = model_service(host, "v1")
    first["spec"]["route"]["parentRefs"] = [merging_gateway(kube, cluster, namespace)]
    second = json.loads(json.dumps(first))
    second["spec"]["predictor"]["model"]["storageUri"] = "pvc://models/v2"
    first_revision(kube, namespace, first)
    body = json.dumps(INPUT).encode()
    with Load(cluster, host, rate=10, path="/v2/models/quick/infer", body=body) as load:
        attempt = at_step(kube, namespace, second)["id"]
        committed(kube, namespace, attempt)
        seen = clusters(cluster, namespace)
    assert seen == {f"httproute/{namespace}/digits/rule/0"}
    assert load.bad() == []
    assert not kube.status(namespace).get("commands")


@pytest.mark.lengthy
def test_a_container_is_scaled_by_what_a_merged_cluster_counts(
    kube: Kube, cluster: Cluster, namespace: str
) -> None:
    """Nothing is counted of it but its route: the autoscaler sees it, also beside a canary, and its replicas follow the load."""
    host = f"{namespace}.example.com"
    first, second = (
        web_service(
            version=version,
            host=host,
            spec__scaling__scaleDownHoldSeconds=20,
            spec__objective__thresholdMilliseconds=1000,
        )
        for version in ("1", "2")
    )
    gateway = merging_gateway(kube, cluster, namespace)
    for manifest in (first, second):
        manifest["spec"]["route"]["parentRefs"] = [gateway]
        manifest["spec"]["predictor"]["container"]["env"].append({"name": "WORK_MS", "value": "20"})
    first_revision(kube, namespace, first)
    with Load(cluster, host, rate=QUIET_RATE) as load:
        work = kube.until(
            "the time of work is learned",
            lambda: (
                autoscaler(kube, namespace)
                .get("status", {})
                .get("learned", {})
                .get("serviceTimeMilliseconds")
            ),
        )
        alone = signals(kube, namespace)
        before = replicas(kube, namespace)["wanted"]
        load.set_rate(overload(before, work))
        kube.until("more replicas are ready", lambda: replicas(kube, namespace)["ready"] > before)
        highest = replicas(kube, namespace)["wanted"]
        load.set_rate(QUIET_RATE)
        kube.until("replicas are removed", lambda: replicas(kube, namespace)["wanted"] < highest)
        canary_at_step(kube, namespace, second)
        kube.until("both revisions are seen", lambda: signals(kube, namespace) == [("True", "Fresh")] * 2)
        seen = clusters(cluster, namespace)
    assert alone == [("True", "Fresh")]
    assert seen == {f"httproute/{namespace}/digits/rule/0"}


def signals(kube: Kube, namespace: str) -> list[tuple[str, str]]:
    """What the autoscaler says of the signals of each revision."""
    found = kube.list(kinds.INFERENCE_AUTOSCALER, namespace, "serving-operator.dev/service=digits")
    said = (condition(one.get("status", {}), "SignalsAvailable") for one in found)
    return [(one.get("status", ""), one.get("reason", "")) for one in said]


def model_service(host: str, version: str) -> Manifest:
    """A stored model that is judged by what its pods count."""
    made = judged(host, "1", 20, source="runtime")
    made["spec"]["objective"] = {"thresholdMilliseconds": 500, "percent": 95}
    resources = {"requests": {"cpu": "20m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "640Mi"}}
    made["spec"]["predictor"] = {
        "model": {
            "modelFormat": {"name": "sklearn"},
            "storageUri": f"pvc://models/{version}",
            "resources": resources,
        },
        "minReplicas": 1,
        "maxReplicas": 3,
        "timeout": 10,
    }
    return made


def write_models(kube: Kube, namespace: str) -> None:
    """Put two versions of a model into a volume."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "models"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    container = {
        "name": "write",
        "image": "docker.io/library/python:3.11-slim",
        "command": ["python", "-c", WRITER],
        "env": [{"name": "MODEL", "value": MODEL}, {"name": "MODELS_DIRECTORY", "value": "/mnt/models"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "models", "mountPath": "/mnt/models"}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "write-models"},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "fsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}],
        },
    }
    for manifest in (claim, pod):
        kube.apply(namespace, manifest)
    kube.until(
        "the models are written",
        lambda: (
            (kube.get(kinds.POD, namespace, "write-models") or {}).get("status", {}).get("phase")
            == "Succeeded"
        ),
    )
    kube.delete(kinds.POD, namespace, "write-models")

"""Services whose pods take a whole GPU, on a node that has only as many as stable and canary need."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving_io import kinds
from tests.system.kube import PATIENCE_SECONDS, Kube, Manifest
from tests.system.recording import Recording
from tests.system.second_node import second_node, toleration
from tests.system.services import canary_at_step, committed, first_revision, pods_of, web_service

NODE = "gpu"
TAINT = "nvidia.com/gpu"


def gpu_service(namespace: str, version: str) -> Manifest:
    """A service of one replica that takes a GPU."""
    return web_service(
        version=version,
        host=f"{namespace}.example.com",
        spec__predictor__container__resources={
            "limits": {"cpu": "200m", "memory": "128Mi", "nvidia.com/gpu": 1}
        },
        spec__predictor__tolerations=[toleration(TAINT)],
        spec__predictor__maxReplicas=1,
    )


@pytest.mark.lengthy
def test_gpus_are_taken_through_a_promotion(kube: Kube, namespace: str, tmp_path: Path) -> None:
    """Two revisions have both GPUs; a pod is replaced without a third, and the canary is promoted."""
    with (
        second_node(kube, namespace, tmp_path, name=NODE, taint=TAINT, place=4, gpus=2),
        Recording(kube, kinds.POD, namespace) as recording,
    ):
        stable = first_revision(kube, namespace, gpu_service(namespace, "1"))
        attempt = canary_at_step(kube, namespace, gpu_service(namespace, "2"))
        (before,) = pods_of(kube, namespace, stable)
        kube.kubectl("rollout", "restart", "-n", namespace, f"deployment/digits-{stable}")
        kube.kubectl(
            *("rollout", "status", "-n", namespace, f"deployment/digits-{stable}"),
            f"--timeout={PATIENCE_SECONDS:.0f}s",
        )
        (after,) = pods_of(kube, namespace, stable)
        kube.label(namespace, "digits", promote=attempt)
        committed(kube, namespace, attempt)
        (last,) = pods_of(kube, namespace, attempt.split("-")[0])

    assert before["metadata"]["uid"] != after["metadata"]["uid"]
    assert last["spec"]["nodeName"] == NODE
    assert {live["spec"].get("nodeName", NODE) for live in recording.versions()} == {NODE}

"""A second node agent beside the cluster's own, whose node has GPUs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from localcluster.node.__main__ import last_address
from localcluster.node.addresses import SIZE
from localcluster.tether import die_with_parent
from serving_io import kinds
from tests.system.kube import ROOT, Kube, Manifest, condition

NAME = "gpu"
TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists"}
_NODE: Manifest = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": NAME, "labels": {"kubernetes.io/hostname": NAME, "kubernetes.io/os": "linux"}},
    "spec": {"taints": [{"key": TOLERATION["key"], "effect": "NoSchedule"}]},
}


@contextmanager
def gpu_node(kube: Kube, namespace: str, directory: Path, gpus: int) -> Iterator[None]:
    """Add the node, which only pods with the toleration come to; at the end the namespace's services go with it."""
    _prepare(kube, directory)
    kube.create(kinds.NODE, None, _NODE)  # by us, so that it is tainted before it is ready
    command = [
        *(sys.executable, "-m", "localcluster.node", "--run-dir", str(directory), "--pods-only"),
        *("--node-name", NAME, "--cpu", "2", "--memory", "2Gi", "--gpus", str(gpus)),
    ]
    with (directory / "node.log").open("wb") as log:
        agent = subprocess.Popen(command, cwd=ROOT, stderr=log, preexec_fn=die_with_parent())
    try:
        kube.until("the node is ready", lambda: _is_ready(kube))
        yield
    finally:
        for service in kube.list(kinds.INFERENCE_SERVICE, namespace):
            kube.delete(kinds.INFERENCE_SERVICE, namespace, service["metadata"]["name"])
        kube.until("its pods are gone", lambda: not kube.list(kinds.POD, namespace))
        agent.terminate()
        agent.wait()
        kube.delete(kinds.NODE, None, NAME)


def _prepare(kube: Kube, directory: Path) -> None:
    """Fill a run directory of the agent's own: an agent ends whatever another one has left in its directory."""
    cluster = kube.cluster
    replace(cluster, run_dir=directory).save()
    credentials = cluster.kubeconfig_of("node").relative_to(cluster.run_dir)
    (directory / credentials).parent.mkdir()
    shutil.copy(cluster.run_dir / credentials, directory / credentials)
    # As far as can be from the addresses that the cluster's own agent hands out next.
    last = ((last_address(cluster.run_dir) or 0) + SIZE // 2) % SIZE
    (directory / "pods.json").write_text(json.dumps({"lastAddress": last}))


def _is_ready(kube: Kube) -> bool:
    node = kube.get(kinds.NODE, None, NAME)
    return bool(node and condition(node["status"], "Ready").get("status") == "True")

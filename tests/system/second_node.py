"""A second node agent beside the cluster's own, on a node that only pods with its toleration come to."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from localcluster.node.__main__ import last_address
from localcluster.node.addresses import SIZE
from localcluster.tether import die_with_parent
from serving_io import kinds
from tests.system.kube import ROOT, Kube, Manifest, condition

PLACES = 8
"""Into so many parts pod addresses are cut. The cluster's own agent has the first; each test that has a node takes another."""


def toleration(taint: str) -> Manifest:
    """What lets a pod come to the node with a taint."""
    return {"key": taint, "operator": "Exists"}


@dataclass(frozen=True)
class SecondNode:
    """The node while its agent may run."""

    name: str
    agent: subprocess.Popen[bytes]
    command: tuple[str, ...]

    def lose(self) -> None:
        """Let the machine be gone: the agent and all processes of its pods die at once, and nobody reports it."""
        self.agent.kill()
        self.agent.wait()
        subprocess.run([*self.command, "--sweep"], cwd=ROOT, check=True, capture_output=True)


@contextmanager
def second_node(
    kube: Kube, namespace: str, directory: Path, *, name: str, taint: str, place: int, gpus: int = 0
) -> Iterator[SecondNode]:
    """Add the node, lost or deleted meanwhile or not; at the end the namespace's services go with it."""
    assert 0 < place < PLACES
    _prepare(kube, directory, place)
    kube.create(kinds.NODE, None, _node(name, taint))  # by us, so that it is tainted before it is ready
    command = (
        *(sys.executable, "-m", "localcluster.node", "--run-dir", str(directory), "--pods-only"),
        *("--node-name", name, "--cpu", "2", "--memory", "2Gi", "--gpus", str(gpus)),
    )
    with (directory / "node.log").open("wb") as log:
        agent = subprocess.Popen(command, cwd=ROOT, stderr=log, preexec_fn=die_with_parent())
    try:
        kube.until("the node is ready", lambda: _is_ready(kube, name))
        yield SecondNode(name, agent, command)
    finally:
        for service in kube.list(kinds.INFERENCE_SERVICE, namespace):
            kube.delete(kinds.INFERENCE_SERVICE, namespace, service["metadata"]["name"])
        if agent.poll() is None:
            kube.until("its pods are gone", lambda: not kube.list(kinds.POD, namespace))
            agent.terminate()
            agent.wait()
        for pod in kube.list(kinds.POD, namespace):
            if pod["spec"].get("nodeName") == name:  # of a node that is lost nobody ends them
                kube.delete(kinds.POD, namespace, pod["metadata"]["name"], grace_seconds=0)
        kube.delete(kinds.NODE, None, name)


def _node(name: str, taint: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
        },
        "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}]},
    }


def _prepare(kube: Kube, directory: Path, place: int) -> None:
    """Fill a run directory of the agent's own: an agent ends whatever another one has left in its directory."""
    cluster = kube.cluster
    replace(cluster, run_dir=directory).save()
    credentials = cluster.kubeconfig_of("node").relative_to(cluster.run_dir)
    (directory / credentials).parent.mkdir()
    shutil.copy(cluster.run_dir / credentials, directory / credentials)
    # Far from the addresses that the cluster's own agent, and those of other tests, hand out next.
    last = ((last_address(cluster.run_dir) or 0) + place * SIZE // PLACES) % SIZE
    (directory / "pods.json").write_text(json.dumps({"lastAddress": last}))


def _is_ready(kube: Kube, name: str) -> bool:
    node = kube.get(kinds.NODE, None, name)
    return bool(node and condition(node["status"], "Ready").get("status") == "True")

"""Breaking parts of the cluster and seeing them come back, for the tests that run alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loadtests.demo.setup import configuration
from loadtests.pods import on_node, restarts
from localcluster.cluster import Cluster
from localcluster.running import read_status
from serving_io import kinds
from tests.system.kube import Kube, Manifest, localcluster, until

SYSTEM = "serving-system"
OPERATOR = "serving-operator"
AUTOSCALER = "serving-autoscaler"
CONFIG = "serving-config"


def kill_component(cluster: Cluster, name: str) -> None:
    """SIGKILL a process of the local cluster, and wait until its supervisor has brought another one up."""
    before = _component(cluster, name)
    os.kill(before["pid"], signal.SIGKILL)
    until(
        f"another {name} is ready",
        lambda: (
            (now := _component(cluster, name))["restarts"] > before["restarts"] and now["state"] == "Ready"
        ),
    )


def _component(cluster: Cluster, name: str) -> dict[str, Any]:
    found: dict[str, Any] = read_status(cluster.run_dir)["components"][name]
    return found


def kill_container(kube: Kube, pod: Manifest) -> None:
    """SIGKILL what runs in a pod, and wait until it runs again and is ready."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    before = restarts(pod)
    _signal(kube, pod, signal.SIGKILL)
    until(
        f"pod {name} runs again",
        lambda: (
            (now := kube.get(kinds.POD, namespace, name))
            and restarts(now) > before
            and all(status["ready"] for status in now["status"]["containerStatuses"])
        ),
    )


def _signal(kube: Kube, pod: Manifest, number: signal.Signals) -> None:
    """Send a signal to what runs in a pod."""
    metadata = pod["metadata"]
    running = on_node(kube.cluster.run_dir)[f"{metadata['namespace']}/{metadata['name']}"]
    for container in running["containers"].values():
        os.kill(container["pid"], number)


def has_restarted(pod: Manifest) -> bool:
    """Whether a container of the pod has ended before."""
    return restarts(pod) > 0


def program_pod(kube: Kube, name: str) -> Manifest:
    """The one pod of the operator or the autoscaler that is not ending."""
    pods: list[Manifest] = until(
        f"{name} has one pod",
        lambda: (
            found
            if len(
                found := [
                    pod
                    for pod in kube.list(kinds.POD, SYSTEM, f"app.kubernetes.io/name={name}")
                    if not pod["metadata"].get("deletionTimestamp")
                ]
            )
            == 1
            else None
        ),
    )
    return pods[0]


def scale_program(kube: Kube, name: str, replicas: int) -> None:
    """Scale the operator or the autoscaler, and wait until it is so."""
    kube.kubectl("scale", "-n", SYSTEM, f"deployment/{name}", f"--replicas={replicas}")
    until(
        f"{name} has {replicas} pods",
        lambda: (
            len(kube.list(kinds.POD, SYSTEM, f"app.kubernetes.io/name={name}")) == replicas
            and (kube.get(kinds.DEPLOYMENT, SYSTEM, name) or {})["status"].get("availableReplicas", 0)
            == replicas
        ),
    )


def restart_program(kube: Kube, name: str) -> None:
    """Start the operator or the autoscaler anew."""
    scale_program(kube, name, 0)
    scale_program(kube, name, 1)


@contextmanager
def program_killed(kube: Kube, name: str) -> Iterator[None]:
    """The operator or the autoscaler was killed by SIGKILL, and nothing has brought it back."""
    pod = program_pod(kube, name)
    _signal(kube, pod, signal.SIGSTOP)  # so that it cannot take leave while its Deployment is scaled
    kube.kubectl("scale", "-n", SYSTEM, f"deployment/{name}", "--replicas=0")
    until(
        f"{name} is not wanted any more",
        lambda: (
            (now := kube.get(kinds.POD, SYSTEM, pod["metadata"]["name"])) is None
            or now["metadata"].get("deletionTimestamp")
        ),
    )
    _signal(kube, pod, signal.SIGKILL)
    until(f"{name} is gone", lambda: kube.get(kinds.POD, SYSTEM, pod["metadata"]["name"]) is None)
    try:
        yield
    finally:
        scale_program(kube, name, 1)


@contextmanager
def component_halted(cluster: Cluster, name: str) -> Iterator[None]:
    """A component of the local cluster does not run."""
    localcluster(cluster, "halt", name)
    try:
        yield
    finally:
        localcluster(cluster, "resume", name)


@contextmanager
def prometheus_at(kube: Kube, url: str) -> Iterator[None]:
    """The autoscaler asks another Prometheus."""
    _configure(kube, url)
    try:
        yield
    finally:
        _configure(kube, kube.cluster.prometheus_url)


def _configure(kube: Kube, url: str) -> None:
    kube.patch(kinds.CONFIG_MAP, SYSTEM, CONFIG, {"data": {"config.yaml": configuration(url)}})
    restart_program(kube, AUTOSCALER)

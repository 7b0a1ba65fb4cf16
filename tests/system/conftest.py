"""A local cluster that system tests share, the product installed as its manifests have it, a namespace per test."""

from __future__ import annotations

import fcntl
import uuid
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from loadtests.demo.setup import configuration
from localcluster.cluster import Cluster
from serving_io import kinds
from tests.clusters import own_run_dir
from tests.system.failures import AUTOSCALER, OPERATOR, has_restarted, program_pod, restart_program
from tests.system.kube import Kube, until

SYSTEM = "serving-system"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the local cluster; what waits for long begins first, and the rest runs beside it."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.system)
    items.sort(key=lambda item: item.get_closest_marker("lengthy") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows what its namespace held at that moment: afterwards it is gone."""
    report = yield
    arguments: dict[str, Any] = getattr(item, "funcargs", {})
    if report.when == "call" and report.failed and {"kube", "namespace"} <= arguments.keys():
        report.sections.append(("its namespace", holdings(arguments["kube"], arguments["namespace"])))
    return report


def holdings(kube: Kube, namespace: str) -> str:
    """What `kubectl` tells of a namespace, as text."""
    looks = (
        ("get", "inferenceservices,inferenceautoscalers,deployments,pods", "-n", namespace, "-o", "wide"),
        (
            "get",
            "inferenceservices,inferenceautoscalers",
            "-n",
            namespace,
            "-o",
            "jsonpath={.items[*].status}",
        ),
        ("events", "-n", namespace),
    )
    answers = (kube.kubectl(*look, check=False) for look in looks)
    return "\n\n".join(f"{answer.stdout}{answer.stderr}" for answer in answers)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster that the ladder started, or the one that `make cluster-up` did."""
    return Cluster.load(own_run_dir())


@pytest.fixture(scope="session")
def kube(cluster: Cluster) -> Iterator[Kube]:
    """The administrator's view of the cluster, with the product installed by the shipped manifests."""
    made = Kube(cluster)
    with (cluster.run_dir / "install.lock").open("w") as lock:  # workers run side by side; one installs
        fcntl.flock(lock, fcntl.LOCK_EX)
        install(made)
    yield made
    made.close()


def install(made: Kube) -> None:
    """Install the product as a user would, and wait for both programs."""
    cluster = made.cluster
    made.kubectl("apply", "--server-side", "-f", "manifests/base/namespace.yaml")
    if made.get(kinds.CONFIG_MAP, SYSTEM, "serving-config") is None:
        made.kubectl(
            "create",
            "-n",
            SYSTEM,
            "configmap",
            "serving-config",
            f"--from-literal=config.yaml={configuration(cluster.prometheus_url)}",
        )
    made.kubectl("apply", "--server-side", "-k", "manifests/base")
    for name in ("serving-operator", "serving-autoscaler"):
        until(f"{name} is ready", partial(_available, made, name))


def _available(kube: Kube, name: str) -> bool:
    deployment = kube.get(kinds.DEPLOYMENT, SYSTEM, name)
    return bool(deployment and deployment.get("status", {}).get("availableReplicas"))


@pytest.fixture(autouse=True)
def fresh_programs(request: pytest.FixtureRequest) -> None:
    """A test that breaks things finds programs that have not died yet.

    What a test before it killed would, at its next end, be kept down by the node for up to five minutes.
    """
    if request.node.get_closest_marker("disruptive"):
        kube: Kube = request.getfixturevalue("kube")
        for name in (OPERATOR, AUTOSCALER):
            if has_restarted(program_pod(kube, name)):
                restart_program(kube, name)


@pytest.fixture
def namespace(kube: Kube) -> Iterator[str]:
    """A namespace that enforces the restricted Pod Security Standard; gone after the test."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    metadata = {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    kube.create(kinds.NAMESPACE, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    yield name
    until("its services are gone", lambda: not kube.delete_services(name))
    until("the services' pods are gone", lambda: not kube.list(kinds.POD, name))
    kube.delete(kinds.NAMESPACE, None, name)

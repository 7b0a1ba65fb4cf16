"""What is measured on: a control plane without nodes, what answers in the nodes' place, and the operator."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.scale.audit import Request, read
from loadtests.scale.program import GROUPS, USER, OperatorProcess
from loadtests.scale.surroundings import Surroundings
from loadtests.scale.usage import Usage, usage
from localcluster import api, pki, running, up
from localcluster.api import Api
from localcluster.cluster import Cluster, NodeCapacity
from localcluster.paths import MANIFESTS, REPOSITORY
from localcluster.progress import Progress
from serving_io import kinds

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager")
"""No scheduler, for there is one node and it takes every pod; nothing that would run one."""
OURS, HARNESS = "operator", "measuring"
_NO_NODE = NodeCapacity(cpu="0", memory="0", gpus=0)


@dataclass
class Stage:
    """One control plane with the operator at work, and what has been asked of it since the last look."""

    cluster: Cluster
    api: Api
    operator: OperatorProcess
    _seen: int = field(default=0, init=False)

    def requests(self) -> list[Request]:
        """Return what the audit log has recorded since the last call."""
        found, self._seen = read(self.cluster.audit_log, self._seen)
        return found

    def usages(self) -> dict[str, Usage]:
        """Return what each process uses, by its name; `measuring` is this one."""
        components = running.read_status(self.cluster.run_dir)["components"]
        pids = {name: components[name]["pid"] for name in COMPONENTS}
        return {
            name: usage(pid) for name, pid in {**pids, OURS: self.operator.pid, HARNESS: os.getpid()}.items()
        }

    async def namespace(self, name: str) -> None:
        """Create a namespace, and wait until pods may be made in it."""
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await self.api.create_if_absent(kinds.NAMESPACE.path(), manifest)
        path = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        while True:
            if await self.api.get_or_none(path) is not None:
                return
            await asyncio.sleep(0.1)


def start(run_dir: Path, progress: Progress) -> Cluster:
    """Start a control plane and install what the operator needs. Raises StartError and what the local cluster raises."""
    cluster = up.start(run_dir, _NO_NODE, progress, only=COMPONENTS)
    up.kubectl(cluster, "apply", "--server-side", "-k", str(REPOSITORY / "crds"))
    up.kubectl(cluster, "apply", "--server-side", "-f", str(MANIFESTS / "base" / "rbac-operator.yaml"))
    up.crds_established(cluster)
    pki.mint_kubeconfig(cluster.run_dir, cluster.api_url, "operator", USER, GROUPS)
    return cluster


@asynccontextmanager
async def stage(cluster: Cluster, log: Path) -> AsyncIterator[Stage]:
    """The surroundings and the operator at work on a control plane, until the end of the block.

    Raises an ExceptionGroup in the block's place if the surroundings fail.
    """
    operator = OperatorProcess(cluster.kubeconfig_of("operator"), log)
    async with api.connect(cluster.kubeconfig) as administrator:
        surroundings = Surroundings(administrator)
        await surroundings.prepare()
        async with asyncio.TaskGroup() as group:
            answering = group.create_task(surroundings.run())
            try:
                operator.start()
                await operator.at_rest(services=0)
                made = Stage(cluster, administrator, operator)
                made.requests()
                yield made
            finally:
                answering.cancel()
                operator.stop()

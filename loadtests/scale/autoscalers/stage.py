"""What is measured on: an API server and a Prometheus that are real, what stands for pods, and the autoscaler."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from loadtests.scale.audit import events
from loadtests.scale.autoscalers.exporter import pages
from loadtests.scale.autoscalers.population import Member, population
from loadtests.scale.autoscalers.readiness import Readiness
from loadtests.scale.autoscalers.statuses import StatusWrite, write_of
from loadtests.scale.program import ACCOUNTS, GROUPS, ProgramProcess
from loadtests.scale.usage import Usage, usage
from localcluster import api, pki, prometheus, running, up
from localcluster.api import Api
from localcluster.cluster import Cluster, NodeCapacity
from localcluster.paths import MANIFESTS, REPOSITORY
from localcluster.ports import free_ports
from localcluster.progress import Progress
from localcluster.tether import die_with_parent
from serving_api.names import AUTOSCALER

COMPONENTS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "prometheus")
CONTROLLERS: Final = "kube-controller-manager"
"""Halted once the namespaces are there: Deployments are objects, and nobody makes pods of them."""
OURS, EXPORTER, HARNESS = "autoscaler", "exporter", "measuring"
USER: Final = f"{ACCOUNTS}:{AUTOSCALER}"
SCRAPE_SECONDS: Final = 15
_READY_SECONDS = 60.0
_NO_NODE = NodeCapacity(cpu="0", memory="0", gpus=0)


class ExporterError(Exception):
    """The exporter does not answer."""


@dataclass
class Stage:
    """One control plane with the autoscaler, and what has been asked of it since the last look."""

    cluster: Cluster
    api: Api
    autoscaler: ProgramProcess
    members: list[Member]
    exporter: subprocess.Popen[bytes]
    exporter_url: str
    _seen: int = field(default=0, init=False)
    _told: int = field(default=0, init=False)

    def status_writes(self) -> list[StatusWrite]:
        """Return the autoscaler's writes of statuses that the audit log has recorded since the last call."""
        found, self._seen = events(self.cluster.audit_log, self._seen, partial(write_of, user=USER))
        return [write for write in found if write is not None]

    def news(self) -> list[str]:
        """Return the whole lines that the autoscaler has logged since the last call. Raises ProgramError if it has ended."""
        self.autoscaler.check()
        with self.autoscaler.log.open("rb") as log:
            log.seek(self._told)
            lines = [line for line in log if line.endswith(b"\n")]
        self._told += sum(map(len, lines))
        return [line.decode(errors="replace") for line in lines]

    def usages(self) -> dict[str, Usage]:
        """Return what each process uses, by its name; `measuring` is this one."""
        components = running.read_status(self.cluster.run_dir)["components"]
        pids = {name: components[name]["pid"] for name in COMPONENTS if name != CONTROLLERS}
        ours = {OURS: self.autoscaler.pid, EXPORTER: self.exporter.pid, HARNESS: os.getpid()}
        return {name: usage(pid) for name, pid in {**pids, **ours}.items()}

    async def tell(self, what: str, **told: Any) -> None:
        """Tell the exporter what changes."""
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            (await client.post(f"{self.exporter_url}/{what}", json=told)).raise_for_status()

    async def prometheus_page(self) -> str:
        """Return what Prometheus says of itself."""
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            return (await client.get(f"{self.cluster.prometheus_url}/metrics")).text


def start(run_dir: Path, autoscalers: int, progress: Progress) -> tuple[Cluster, int]:
    """Start a control plane with a Prometheus, and install what the autoscaler needs; also the exporter's port.

    Raises StartError and what the local cluster raises.
    """
    cluster = up.start(run_dir, _NO_NODE, progress, only=COMPONENTS)
    up.kubectl(cluster, "apply", "--server-side", "-k", str(REPOSITORY / "crds"))
    up.kubectl(cluster, "apply", "--server-side", "-f", str(MANIFESTS / "base" / "rbac-autoscaler.yaml"))
    up.crds_established(cluster)
    pki.mint_kubeconfig(cluster.run_dir, cluster.api_url, AUTOSCALER, USER, GROUPS)
    for namespace in sorted({member.namespace for member in population(autoscalers)}):
        up.kubectl(cluster, "create", "namespace", namespace)
    running.switch(cluster, CONTROLLERS, halted=True)
    (port,) = free_ports(1)
    configured = configuration(cluster, autoscalers, port)
    (cluster.run_dir / "prometheus.yaml").write_text(
        yaml.safe_dump(configured, sort_keys=False), encoding="utf-8"
    )
    httpx.post(f"{cluster.prometheus_url}/-/reload", trust_env=False).raise_for_status()
    return cluster, port


def configuration(cluster: Cluster, autoscalers: int, port: int) -> dict[str, Any]:
    """Return Prometheus' configuration: the shipped rules, and pages whose series have the labels of discovered pods."""
    jobs = [
        {
            "job_name": job,
            "honor_labels": source == "pods",
            "scrape_interval": f"{SCRAPE_SECONDS}s",
            "scrape_timeout": "10s",
            "static_configs": [
                {
                    "targets": [f"127.0.0.1:{port}"],
                    "labels": {"__metrics_path__": f"/{source}/{number}", "instance": f"{source}-{number}"},
                }
                for number in range(pages(autoscalers))
            ],
        }
        for job, source in (("serving-pods", "pods"), ("gateway", "gateway"))
    ]
    return prometheus.configuration(cluster, jobs, prometheus.RULES)


@asynccontextmanager
async def stage(
    cluster: Cluster, port: int, autoscalers: int, tick_seconds: float, log: Path
) -> AsyncIterator[Stage]:
    """What stands for pods at work on a control plane until the end of the block; the autoscaler is yet to start.

    Raises an ExceptionGroup in the block's place if what stands for pods fails.
    """
    members, url = population(autoscalers), f"http://127.0.0.1:{port}"
    options = ("--prometheus-url", cluster.prometheus_url, "--tick-seconds", f"{tick_seconds:g}", "--verbose")
    program = ProgramProcess(cluster.kubeconfig_of(AUTOSCALER), log, "autoscaler", options)
    exporter = _exporter(autoscalers, port)
    try:
        await asyncio.to_thread(_answers, url)
        async with api.connect(cluster.kubeconfig) as administrator, asyncio.TaskGroup() as group:
            readiness = Readiness(administrator, {member.name: member for member in members}, url)
            answering = group.create_task(readiness.run())
            try:
                yield Stage(cluster, administrator, program, members, exporter, url)
            finally:
                answering.cancel()
                program.stop()
    finally:
        exporter.terminate()
        exporter.wait()


def _exporter(autoscalers: int, port: int) -> subprocess.Popen[bytes]:
    module = "loadtests.scale.autoscalers.exporter"
    command = [sys.executable, "-m", module, str(autoscalers), str(port)]
    return subprocess.Popen(command, cwd=REPOSITORY, preexec_fn=die_with_parent())


def _answers(url: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/gateway/0", trust_env=False).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    raise ExporterError(f"{url} has not answered for {_READY_SECONDS:.0f} s")

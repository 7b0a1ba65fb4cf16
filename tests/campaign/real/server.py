"""A real etcd and a real API server for the campaign, without any controller: the world of a run is its controllers."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from localcluster import binaries, component, controlplane, tether
from localcluster.cluster import Cluster, NodeCapacity
from localcluster.component import Component
from localcluster.paths import REPOSITORY, cache_dir
from localcluster.ports import free_ports
from localcluster.progress import Progress
from localcluster.supervise import answers
from serving_io import kinds
from tests.campaign.real.connection import Connection

PROGRAMS = ("etcd", "kube-apiserver")
READY_SECONDS = 120.0
GATEWAY_CRDS = ("gatewayclasses", "gateways", "httproutes")
EXTRA = {
    # A campaign writes some gigabytes, all of it soon forgotten.
    "etcd": ("--quota-backend-bytes=8589934592",),
    "kube-apiserver": ("--etcd-compaction-interval=1m",),
}
ENVIRONMENT = {"GOGC": "400"}
"""Memory for processor time: every collection looks at the schemas of all kinds."""


class NotStartedError(Exception):
    """The API server did not come up; the message names its log."""


@dataclass(frozen=True)
class Server:
    """Where it is, whom to trust, and how to be its administrator."""

    port: int
    pki_dir: Path
    pids: tuple[int, ...]


@contextmanager
def running(run_dir: Path, progress: Progress) -> Iterator[Server]:
    """Run the pair in an empty `run_dir` while the block lasts, with our CRDs and those of the Gateway API.

    Raises NotStartedError. The processes die with this one, whatever ends it.
    """
    cache = cache_dir()
    programs = binaries.control_plane(cache, progress)
    crds = binaries.gateway_api_crds(cache, progress)
    shutil.rmtree(run_dir, ignore_errors=True)
    run_dir.mkdir(parents=True)
    cluster = _prepared(run_dir.resolve(), cache)
    with ExitStack() as up:
        pids = []
        for each in component.components_of(cluster, programs, PROGRAMS):
            process = up.enter_context(_process(each, run_dir))
            pids.append(process.pid)
            _wait_ready(each, process, run_dir)
        server = Server(cluster.api_port, cluster.pki_dir, tuple(pids))
        _install(server, [*(REPOSITORY / "crds").glob("infer*.yaml"), *(_of_gateway(crds))])
        yield server


def _prepared(run_dir: Path, cache: Path) -> Cluster:
    cluster = Cluster(
        run_dir,
        cache,
        run_dir / "kubeconfig",
        *free_ports(9),
        model_server_python=Path(os.devnull),
        node=NodeCapacity("0", "0", 0),
    )
    controlplane.prepare(cluster)
    return cluster


@contextmanager
def _process(each: Component, run_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    unaudited = [word for word in each.argv if not word.startswith("--audit-")]
    with (run_dir / f"{each.name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*unaudited, *EXTRA[each.name]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **ENVIRONMENT, tether.MARK: str(run_dir)},
            preexec_fn=tether.die_with_parent(),
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(each.stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(each: Component, process: subprocess.Popen[bytes], run_dir: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not answers(each):
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotStartedError(f"{each.name} is not ready; its log is {run_dir / each.name}.log")
        time.sleep(0.05)


def _of_gateway(folder: Path) -> list[Path]:
    return [path for name in GATEWAY_CRDS for path in folder.glob(f"*_{name}.yaml")]


def _install(server: Server, paths: list[Path]) -> None:
    connection = Connection(server.port, server.pki_dir)
    root = kinds.CUSTOM_RESOURCE_DEFINITION.path()
    manifests = [yaml.safe_load(path.read_text()) for path in paths]
    for manifest in manifests:
        connection.ask("POST", root, manifest)
    deadline = time.monotonic() + READY_SECONDS
    for manifest in manifests:
        spec = manifest["spec"]
        version = next(each["name"] for each in spec["versions"] if each["storage"])
        path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
        while connection.ask("GET", path).status != 200:
            if time.monotonic() > deadline:
                raise NotStartedError(f"{spec['names']['plural']} are not served")
            time.sleep(0.05)
    connection.close()

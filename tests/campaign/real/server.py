"""A real etcd and a real API server for the campaign, without any controller: the world of a run is its controllers."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from localcluster import binaries, component, controlplane, tether
from localcluster.binaries import ProgramMissingError
from localcluster.cluster import Cluster, NodeCapacity
from localcluster.component import Component
from localcluster.gobuild import BuildError
from localcluster.paths import REPOSITORY, cache_dir
from localcluster.pki import PkiError
from localcluster.ports import free_ports
from localcluster.progress import Progress
from localcluster.supervise import answers
from localcluster.versions import UnsupportedPlatformError
from serving_io import kinds
from tests.campaign.real.connection import Address, Connection

PROGRAMS = ("etcd", "kube-apiserver")
READY_SECONDS = 120.0
GATEWAY_CRDS = ("gatewayclasses", "gateways", "httproutes")
EXTRA = {
    # A campaign writes some gigabytes, all of it soon forgotten.
    "etcd": ("--quota-backend-bytes=8589934592",),
    # A certificate would be verified with each request, which takes a tenth of the server's time.
    "kube-apiserver": (
        "--etcd-compaction-interval=1m",
        "--token-auth-file={tokens}",
        "--enable-priority-and-fairness=false",
    ),
}
ENVIRONMENT = {"GOGC": "400"}
"""Memory for processor time: every collection looks at the schemas of all kinds."""


class NotStartedError(Exception):
    """The API server did not come up; the message says what is missing, or names its log."""


@contextmanager
def running(run_dir: Path, progress: Progress) -> Iterator[Address]:
    """Run the pair in an empty `run_dir` while the block lasts, with our CRDs and those of the Gateway API.

    Raises NotStartedError. The processes die with this one, whatever ends it.
    """
    shutil.rmtree(run_dir, ignore_errors=True)
    run_dir.mkdir(parents=True)
    cache = cache_dir()
    try:
        programs = binaries.control_plane(cache, progress)
        crds = binaries.gateway_api_crds(cache, progress)
        cluster = _prepared(run_dir.resolve(), cache)
    except (ProgramMissingError, BuildError, PkiError, UnsupportedPlatformError) as error:
        raise NotStartedError(str(error)) from error
    address = Address(cluster.api_port, cluster.pki_dir / "ca.crt", secrets.token_hex())
    tokens = cluster.pki_dir / "tokens.csv"
    tokens.write_text(f'{address.token},campaign,campaign,"system:masters"\n')
    with ExitStack() as up:
        for each in component.components_of(cluster, programs, PROGRAMS):
            process = up.enter_context(_process(each, run_dir, tokens))
            _wait_ready(each, process, run_dir)
        _install(address, [*(REPOSITORY / "crds").glob("*s.yaml"), *(_of_gateway(crds))])
        yield address


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
def _process(each: Component, run_dir: Path, tokens: Path) -> Iterator[subprocess.Popen[bytes]]:
    unaudited = [word for word in each.argv if not word.startswith("--audit-")]
    extra = [word.format(tokens=tokens) for word in EXTRA[each.name]]
    with (run_dir / f"{each.name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*unaudited, *extra],
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


def _install(address: Address, paths: list[Path]) -> None:
    connection = Connection(address)
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

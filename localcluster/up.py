"""Bringing a cluster up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from localcluster import binaries, component, controlplane, environments, established, prometheus
from localcluster.cluster import DEFAULT_RUN_DIR, Cluster, NodeCapacity
from localcluster.lock import exclusive
from localcluster.paths import CONFIG, REPOSITORY, cache_dir
from localcluster.ports import free_ports
from localcluster.progress import Progress
from localcluster.running import is_running, read_status, stop
from localcluster.versions import version_of

NAMESPACES = ("serving-system", "gateway-system")
GATEWAY_HTTP_PORT = 18080
PROMETHEUS_PORT = 19090
_READY_SECONDS = 120.0


class StartError(Exception):
    """The cluster did not come up; the message names the component and its log."""


def start(run_dir: Path, node: NodeCapacity, progress: Progress, only: Collection[str] = ()) -> Cluster:
    """A ready cluster in `run_dir`: the one that runs there, or a new one in place of a dead one.

    `only` names the components that a new one has; without it, all of `config/components.yaml`.
    """
    run_dir = run_dir.resolve()
    if run_dir.is_dir() and any(run_dir.iterdir()) and not (run_dir / "up.lock").is_file():
        raise StartError(
            f"--run-dir {run_dir} holds other files than a cluster's; name an empty or a new folder"
        )
    run_dir.mkdir(parents=True, exist_ok=True)
    with exclusive(run_dir / "up.lock", lambda: progress.say("another `up` is at work here; waiting")):
        if is_running(run_dir):
            cluster = Cluster.load(run_dir)
            progress.say(f"already running in {run_dir}")
            _complete(cluster, progress)
            return cluster
        cache = cache_dir()
        with _model_server(cache, progress) if not only or "node" in only else nullcontext():
            programs = binaries.control_plane(cache, progress)
            if not only or "prometheus" in only:
                programs["prometheus"] = binaries.prometheus(cache, progress)
            programs["kubectl"] = binaries.kubectl(progress, _minor(programs["kube-apiserver"]))
            binaries.gateway_api_crds(cache, progress)
            stop(run_dir, progress)
            cluster = _prepare(run_dir, cache, node, programs, only)
            try:
                _launch(cluster)
                _complete(cluster, progress)
            except BaseException:
                stop(run_dir, progress)
                raise
    return cluster


def _complete(cluster: Cluster, progress: Progress) -> None:
    """Install what is missing, and wait until everything is ready."""
    installed = cluster.run_dir / "installed"
    if not installed.exists():
        _wait_ready(cluster, progress, ("kube-apiserver",))
        progress.update("installing namespaces and Gateway API")
        crds = binaries.gateway_api_crds(cluster.cache_dir, progress)
        for path in (CONFIG / "basics.yaml", crds):
            kubectl(cluster, "apply", "--server-side", "-f", str(path))
        crds_established(cluster)
        for mark in (cluster.run_dir / "halted").iterdir():
            mark.unlink()
        installed.touch()
    _wait_ready(cluster, progress)
    _wait_for_objects(cluster, progress)


@contextmanager
def _model_server(cache: Path, progress: Progress) -> Iterator[None]:
    """Build the model server's environment while the rest comes up; its failure is raised at the end."""
    base = environments.model_server_base(cache, progress)  # before minutes are spent on anything else
    failure: list[BaseException] = []

    def install() -> None:
        try:
            environments.ensure_model_server(cache, base, progress)
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=install, name="model-server")
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failure:
        raise failure[0]


def preferred_ports(run_dir: Path) -> tuple[int, ...]:
    """Return the well-known ports for the cluster that people use by hand, none for any other.

    Two clusters that start at the same moment would both find a preferred port free, and Envoy would share it.
    """
    by_hand = run_dir == DEFAULT_RUN_DIR.resolve()
    return (GATEWAY_HTTP_PORT, PROMETHEUS_PORT) if by_hand else ()


def _prepare(
    run_dir: Path, cache: Path, node: NodeCapacity, programs: dict[str, Path], only: Collection[str]
) -> Cluster:
    for entry in run_dir.iterdir():
        if entry.name == "up.lock":
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    ports = free_ports(9, preferred_ports(run_dir))
    gateway_http, prometheus_port, api, etcd, etcd_peer, manager, scheduler, envoy_admin, dcgm = ports
    cluster = Cluster(
        run_dir=run_dir,
        cache_dir=cache,
        kubeconfig=run_dir / "kubeconfig",
        api_port=api,
        etcd_port=etcd,
        etcd_peer_port=etcd_peer,
        controller_manager_port=manager,
        scheduler_port=scheduler,
        gateway_http_port=gateway_http,
        envoy_admin_port=envoy_admin,
        prometheus_port=prometheus_port,
        dcgm_port=dcgm,
        model_server_python=environments.model_server_python(cache),
        node=node,
    )
    controlplane.prepare(cluster)
    prometheus.prepare(cluster)
    (run_dir / "bin").mkdir()
    (run_dir / "bin" / "kubectl").symlink_to(programs["kubectl"])
    components = component.components_of(cluster, programs, only)
    component.save(run_dir, components)
    (run_dir / "halted").mkdir()
    for waiting in (each.name for each in components if each.needs_basics):
        (run_dir / "halted" / waiting).touch()
    cluster.save()
    return cluster


def _minor(api_server: Path) -> int:
    version = version_of(api_server)
    if version is None:
        raise StartError(f"{api_server} does not say its version; delete it and run `up` again")
    return version.minor


def _launch(cluster: Cluster) -> None:
    cluster.log_dir.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with (cluster.log_dir / "supervisor.log").open("ab") as log:
        subprocess.run(
            [sys.executable, "-m", "localcluster.supervise", str(cluster.run_dir)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=cluster.run_dir,
            check=True,
        )


def _wait_ready(cluster: Cluster, progress: Progress, names: tuple[str, ...] = ()) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    waiting: dict[str, str] = {"supervisor": "Starting"}
    while waiting:
        if time.monotonic() > deadline:
            raise StartError(_explain(cluster, waiting))
        time.sleep(0.1)
        components = read_status(cluster.run_dir).get("components", {})
        if components:
            waiting = {
                name: entry["state"]
                for name, entry in components.items()
                if entry["state"] != "Ready"
                and (not names or name in names)
                and not _is_halted(cluster, name)
            }
            progress.update("waiting for " + ", ".join(waiting))


def _is_halted(cluster: Cluster, name: str) -> bool:
    return (cluster.run_dir / "halted" / name).exists()


def _explain(cluster: Cluster, waiting: dict[str, str]) -> str:
    parts = [f"not ready after {_READY_SECONDS:.0f} s:"]
    for name, state in waiting.items():
        log = cluster.log_dir / f"{name}.log"
        last = log.read_text(errors="replace").splitlines()[-3:] if log.exists() else []
        parts.append(f"  {name} is {state}; {log} ends:")
        parts += [f"    {line[:300]}" for line in last]
    return "\n".join(parts)


def kubectl(cluster: Cluster, *arguments: str, stdin: str | None = None) -> str:
    """Run kubectl as administrator; its output. Raises StartError with its complaint."""
    done = subprocess.run([*_kubectl(cluster), *arguments], input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise StartError(f"kubectl {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def crds_established(cluster: Cluster) -> None:
    """Wait until all CRDs that there are can be used. Raises StartError."""
    try:
        established.wait(_kubectl(cluster), "crd", "--all")
    except TimeoutError as error:
        raise StartError(f"CustomResourceDefinitions are not established: {error}") from error


def _kubectl(cluster: Cluster) -> list[str]:
    return [str(cluster.run_dir / "bin" / "kubectl"), "--kubeconfig", str(cluster.kubeconfig)]


def _wait_for_objects(cluster: Cluster, progress: Progress) -> None:
    """Until a pod can be made, placed and reached: service accounts, and what the cluster has of node and gateway."""
    has = {each.name for each in component.load(cluster.run_dir)}
    waits = [
        (f"--namespace={namespace}", "--for=create", "serviceaccount/default") for namespace in NAMESPACES
    ]
    if "gateway" in has:
        waits += [("--namespace=gateway-system", "--for=create", "gateway/local")]
        waits += [("--namespace=gateway-system", "--for=condition=Programmed", "gateway/local")]
    if "node" in has:
        waits += [("--namespace=default", "--for=create", "node/local")]
        waits += [("--namespace=default", "--for=condition=Ready", "node/local")]
    for wait in waits:
        progress.update(f"waiting for {wait[-1]}")
        kubectl(cluster, "wait", "--timeout=60s", *wait)

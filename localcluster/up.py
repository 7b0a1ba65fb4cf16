"""Bringing a cluster up and down: everything between the command line and the supervisor."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcluster import binaries, component, controlplane, environments, prometheus, tether
from localcluster.cluster import Cluster, ClusterNotFoundError, NodeCapacity
from localcluster.lock import exclusive, is_held
from localcluster.paths import CONFIG, REPOSITORY, cache_dir
from localcluster.progress import Progress
from localcluster.versions import version_of

NAMESPACES = ("serving-system", "gateway-system")
GATEWAY_HTTP_PORT = 18080
PROMETHEUS_PORT = 19090
_READY_SECONDS = 120.0
_STOP_SECONDS = 60.0


class StartError(Exception):
    """The cluster did not come up; the message names the component and its log."""


@contextmanager
def free_ports(count: int, preferred: tuple[int, ...] = ()) -> Iterator[list[int]]:
    """`count` distinct free ports of 127.0.0.1, the preferred ones first where they are free."""
    sockets = []
    try:
        for wanted in [*preferred, *[0] * (count - len(preferred))]:
            listener = socket.socket()
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", wanted))
            except OSError:
                listener.bind(("127.0.0.1", 0))
        yield [listener.getsockname()[1] for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()


def is_running(run_dir: Path) -> bool:
    """Whether a supervisor of this run directory lives."""
    return is_held(run_dir / "supervisor.lock")


def read_status(run_dir: Path) -> dict[str, Any]:
    """What the supervisor last wrote; empty before its first word."""
    try:
        content: dict[str, Any] = json.loads((run_dir / "status.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content


def start(run_dir: Path, node: NodeCapacity, progress: Progress) -> Cluster:
    """A ready cluster in `run_dir`: the one that runs there, or a new one in place of a dead one."""
    run_dir = run_dir.resolve()
    run_dir.mkdir(parents=True, exist_ok=True)
    with exclusive(run_dir / "up.lock", lambda: progress.say("another `up` is at work here; waiting")):
        if is_running(run_dir):
            cluster = Cluster.load(run_dir)
            progress.say(f"already running in {run_dir}")
            _wait_ready(cluster, progress)
            _wait_for_objects(cluster, progress)
            return cluster
        cache = cache_dir()
        with _model_server(cache, progress):
            programs = binaries.control_plane(cache, progress)
            programs["prometheus"] = binaries.prometheus(cache, progress)
            programs["kubectl"] = binaries.kubectl(progress, _minor(programs["kube-apiserver"]))
            crds = binaries.gateway_api_crds(cache, progress)
            cluster = _prepare(run_dir, cache, node, programs)
            _launch(cluster)
            try:
                _wait_ready(cluster, progress, ("kube-apiserver",))
                _install_basics(cluster, crds, progress)
                for mark in (run_dir / "halted").iterdir():
                    mark.unlink()
                _wait_ready(cluster, progress)
                _wait_for_objects(cluster, progress)
            except BaseException:
                stop(run_dir, progress)
                raise
    return cluster


@contextmanager
def _model_server(cache: Path, progress: Progress) -> Iterator[None]:
    """Build the model server's environment while the rest comes up; its failure is raised at the end."""
    failure: list[BaseException] = []

    def install() -> None:
        try:
            environments.ensure_model_server(cache, progress)
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


def _prepare(run_dir: Path, cache: Path, node: NodeCapacity, programs: dict[str, Path]) -> Cluster:
    tether.kill_marked(run_dir)
    for entry in run_dir.iterdir():
        if entry.name == "up.lock":
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    with free_ports(9, (GATEWAY_HTTP_PORT, PROMETHEUS_PORT)) as ports:
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
    components = component.components_of(cluster, programs)
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
    command = [str(cluster.run_dir / "bin" / "kubectl"), "--kubeconfig", str(cluster.kubeconfig), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise StartError(f"kubectl {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def _install_basics(cluster: Cluster, crds: Path, progress: Progress) -> None:
    progress.update("installing namespaces and Gateway API")
    kubectl(cluster, "apply", "--server-side", "-f", str(CONFIG / "basics.yaml"))
    kubectl(cluster, "apply", "--server-side", "-f", str(crds))
    kubectl(cluster, "wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")


def _wait_for_objects(cluster: Cluster, progress: Progress) -> None:
    """Until a pod can be made, placed and reached: service accounts, the node, the gateway."""
    waits = [
        (f"--namespace={namespace}", "--for=create", "serviceaccount/default") for namespace in NAMESPACES
    ]
    waits += [("--namespace=gateway-system", "--for=create", "gateway/local")]
    waits += [("--namespace=gateway-system", "--for=condition=Programmed", "gateway/local")]
    waits += [("--namespace=default", "--for=create", "node/local")]
    waits += [("--namespace=default", "--for=condition=Ready", "node/local")]
    for wait in waits:
        progress.update(f"waiting for {wait[-1]}")
        kubectl(cluster, "wait", "--timeout=60s", *wait)


def stop(run_dir: Path, progress: Progress) -> bool:
    """Stop the cluster of `run_dir` in order and sweep up after it; whether there was one."""
    run_dir = run_dir.resolve()
    running = is_running(run_dir)
    if running:
        progress.update("stopping")
        os.kill(_supervisor_pid(run_dir), signal.SIGTERM)
        if not _eventually(lambda: not is_running(run_dir), _STOP_SECONDS):
            progress.say(f"the supervisor did not end within {_STOP_SECONDS:.0f} s; killing")
            os.kill(_supervisor_pid(run_dir), signal.SIGKILL)
            _eventually(lambda: not is_running(run_dir), _STOP_SECONDS)
    left = tether.kill_marked(run_dir)
    if left:
        progress.say(f"killed {len(left)} left-over processes")
    (run_dir / "cluster.json").unlink(missing_ok=True)
    return running or bool(left)


def _supervisor_pid(run_dir: Path) -> int:
    if not _eventually(lambda: bool(read_status(run_dir)), 10.0):
        raise ClusterNotFoundError(f"the supervisor of {run_dir} has not written its status; try again")
    return int(read_status(run_dir)["pid"])


def _eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def switch(cluster: Cluster, name: str, halted: bool) -> None:
    """Halt a component, or let it run again; returns when that is so."""
    components = read_status(cluster.run_dir).get("components", {})
    if name not in components or not is_running(cluster.run_dir):
        raise ClusterNotFoundError(
            f"no running component {name!r}; there are: {', '.join(components) or 'none'}"
        )
    mark = cluster.run_dir / "halted" / name
    if halted:
        mark.touch()
    else:
        mark.unlink(missing_ok=True)
    wanted = "Halted" if halted else "Ready"

    def reached() -> bool:
        return bool(read_status(cluster.run_dir)["components"][name]["state"] == wanted)

    if not _eventually(reached, _READY_SECONDS):
        raise StartError(f"{name} is not {wanted} after {_READY_SECONDS:.0f} s")

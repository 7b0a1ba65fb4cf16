"""`.venv/bin/python -m localcluster.node`: run pods of a local cluster as local processes until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
from pathlib import Path
from zlib import crc32

import aiohttp

from localcluster.api import connect
from localcluster.cluster import DEFAULT_RUN_DIR, Cluster, ClusterNotFoundError
from localcluster.paths import this_python
from localcluster.tether import kill_marked

from . import cgroups, processes, provisioner, static_pods, throttle
from .addresses import Addresses
from .agent import Agent
from .catalogue import TREES, images, trees
from .host import Host

log = logging.getLogger("localcluster.node")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m localcluster.node", description=__doc__)
    add = parser.add_argument
    add("--run-dir", type=Path, default=DEFAULT_RUN_DIR, help="the cluster's directory (%(default)s)")
    add("--node-name", default="local", help="name of the first node (%(default)s)")
    add(
        "--nodes",
        type=int,
        default=1,
        help="number of nodes; further ones are NAME-2, NAME-3 … (%(default)s)",
    )
    add("--cpu", help="allocatable CPU of each node (default: the cluster's)")
    add("--memory", help="allocatable memory of each node (default: the cluster's)")
    add("--gpus", type=int, help="allocatable nvidia.com/gpu of each node (default: the cluster's)")
    add("--pods", type=int, default=250, help="allocatable pods of each node (%(default)s)")
    add("--restart-backoff-seconds", type=float, default=10.0, help="first restart delay (%(default)s)")
    add("--pods-only", action="store_true", help="leave volumes and static pods to another agent")
    add("--sweep", action="store_true", help="only end what a killed agent left running, and exit")
    return parser


def allocatable(options: argparse.Namespace, cluster: Cluster) -> dict[str, str]:
    """What each node offers to the scheduler."""
    gpus = cluster.node.gpus if options.gpus is None else options.gpus
    return {
        "cpu": options.cpu or cluster.node.cpu,
        "memory": options.memory or cluster.node.memory,
        "pods": str(options.pods),
        "ephemeral-storage": f"{shutil.disk_usage(cluster.run_dir).free // 2**20}Mi",
        **({"nvidia.com/gpu": str(gpus)} if gpus else {}),
    }


def last_address(run_dir: Path) -> int | None:
    """Where the agent before this one stopped handing out addresses."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return int(json.loads((run_dir / "pods.json").read_text(encoding="utf-8"))["lastAddress"])
    return None


def clean(run_dir: Path, group: str) -> None:
    """Remove the processes and cgroups of an agent that was killed."""
    if killed := kill_marked(run_dir, processes.POD_MARK):
        log.warning("ended %d processes that an earlier agent left: %s", len(killed), killed)
    if isinstance(found := cgroups.find(group), cgroups.CpuLimits):
        found.close()


async def serve(options: argparse.Namespace, cluster: Cluster, group: str) -> None:
    """Run the agent until SIGINT or SIGTERM."""
    found = cgroups.find(group)
    limits = throttle.Throttle() if isinstance(found, str) else found
    how = "each limited container has a cgroup with a period of 10 ms"
    if isinstance(found, str):
        how = f"limited containers are stopped and continued, for cgroups cannot be written ({found})"
    processes.adopt_orphans()
    one_each = aiohttp.TCPConnector(force_close=True, limit=0, ssl=False)
    async with (
        connect(cluster.kubeconfig_of("node")) as api,
        aiohttp.ClientSession(
            connector=one_each, timeout=aiohttp.ClientTimeout(total=None), cookie_jar=aiohttp.DummyCookieJar()
        ) as http,
    ):
        host = Host(
            api=api,
            run_dir=cluster.run_dir,
            addresses=Addresses(cluster.run_dir, last_address(cluster.run_dir)),
            catalogue=images(
                cluster.model_server_python, cluster.cache_dir, trees(os.environ.get(TREES, ""))
            ),
            cpu_limits=limits,
            allocatable=allocatable(options, cluster),
            backoff_base_seconds=options.restart_backoff_seconds,
            http=http,
        )
        names = [options.node_name, *(f"{options.node_name}-{i}" for i in range(2, options.nodes + 1))]
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        work = [
            host.spawn(Agent(host, names, how).run()),
            host.spawn(stop.wait()),
        ]
        if isinstance(limits, throttle.Throttle):
            work.append(host.spawn(limits.run()))
        if not options.pods_only:
            work.append(host.spawn(provisioner.run(api, cluster.run_dir / "volumes")))
            static = static_pods.static_pods(cluster, options.node_name)
            work += [host.spawn(static_pods.keep(api, pod)) for pod in static]
        log.info("agent of %s runs; %s", ", ".join(names), how)
        await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)


def main() -> None:
    """Entry point."""
    options = arguments().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        cluster = Cluster.load(options.run_dir)
    except ClusterNotFoundError as error:
        raise SystemExit(f"--run-dir: {error}") from None
    group = f"serving-operator-{crc32(os.fsencode(cluster.run_dir)):08x}-{options.node_name}"
    clean(cluster.run_dir, group)
    if not options.sweep:
        try:
            asyncio.run(serve(options, cluster, group))
        finally:
            clean(cluster.run_dir, group)


if __name__ == "__main__":
    main()

"""`python -m localcluster.node`: run pods of a local cluster as local processes until interrupted."""

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

from localcluster.cluster import DEFAULT_RUN_DIR, Cluster, ClusterNotFoundError

from . import cgroups, processes, provisioner
from .addresses import Addresses
from .agent import Agent
from .api import Api
from .catalogue import images
from .host import Host

log = logging.getLogger("localcluster.node")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m localcluster.node", description=__doc__)
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    parser.add_argument(
        "--run-dir", type=Path, default=DEFAULT_RUN_DIR, help="the cluster's directory (%(default)s)"
    )
    parser.add_argument("--kubeconfig", type=Path, help="credentials (default: those of the run directory)")
    parser.add_argument("--node-name", default="local", help="name of the first node (%(default)s)")
    parser.add_argument(
        "--nodes", type=int, default=1, help="how many nodes; the others are NAME-2 … (%(default)s)"
    )
    parser.add_argument(
        "--cpu", default=str(os.cpu_count()), help="allocatable CPU of each node (%(default)s)"
    )
    parser.add_argument(
        "--memory", default=f"{memory_bytes // 2**20}Mi", help="allocatable memory (%(default)s)"
    )
    parser.add_argument("--gpus", type=int, default=0, help="allocatable nvidia.com/gpu (%(default)s)")
    parser.add_argument("--pods", type=int, default=250, help="allocatable pods (%(default)s)")
    parser.add_argument(
        "--restart-backoff-seconds", type=float, default=10.0, help="first delay (%(default)s)"
    )
    parser.add_argument(
        "--sweep", action="store_true", help="only kill what a killed agent left running, and exit"
    )
    return parser


def allocatable(options: argparse.Namespace, run_dir: Path) -> dict[str, str]:
    """What each node offers to the scheduler."""
    offered = {
        "cpu": options.cpu,
        "memory": options.memory,
        "pods": str(options.pods),
        "ephemeral-storage": f"{shutil.disk_usage(run_dir).free // 2**20}Mi",
    }
    return offered | ({"nvidia.com/gpu": str(options.gpus)} if options.gpus else {})


def last_address(run_dir: Path) -> int | None:
    """Where the agent before this one stopped handing out addresses."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return int(json.loads((run_dir / "pods.json").read_text(encoding="utf-8"))["lastAddress"])
    return None


def clean(run_dir: Path, group: str) -> None:
    """Remove the processes and cgroups of an agent that was killed."""
    if killed := processes.sweep(run_dir):
        log.warning("ended %d processes that an earlier agent left: %s", len(killed), killed)
    found = cgroups.find(group)
    if isinstance(found, cgroups.CpuLimits):
        found.close()


async def serve(options: argparse.Namespace, run_dir: Path, group: str) -> None:
    """Run the agent until SIGINT or SIGTERM."""
    model_server, kubeconfig = None, run_dir / "kubeconfig"
    with contextlib.suppress(ClusterNotFoundError):
        cluster = Cluster.load(run_dir)
        model_server, kubeconfig = cluster.model_server_python, cluster.kubeconfig
        kubeconfig = cluster.kubeconfig_of("node")
    limits = cgroups.find(group)
    refusal = limits if isinstance(limits, str) else None
    if refusal:
        log.warning("CPU limits are not enforced, cgroups cannot be written (%s)", refusal)
    processes.adopt_orphans()
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with (
        Api(options.kubeconfig or kubeconfig) as api,
        aiohttp.ClientSession(timeout=timeout, connector=connector) as http,
    ):
        host = Host(
            api=api,
            run_dir=run_dir,
            addresses=Addresses(run_dir, last_address(run_dir)),
            catalogue=images(model_server),
            cpu_limits=None if isinstance(limits, str) else limits,
            allocatable=allocatable(options, run_dir),
            backoff_base_seconds=options.restart_backoff_seconds,
            http=http,
        )
        names = [options.node_name, *(f"{options.node_name}-{i}" for i in range(2, options.nodes + 1))]
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        work = [
            host.spawn(Agent(host, names, refusal).run()),
            host.spawn(provisioner.run(api, run_dir / "volumes")),
        ]
        log.info("agent of %s runs, CPU limits %s", ", ".join(names), "on" if not refusal else "off")
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([*work, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in [*work, stopped]:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)


def main() -> None:
    """Entry point."""
    options = arguments().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    run_dir = options.run_dir.resolve()
    if not run_dir.is_dir():
        raise SystemExit(
            f"--run-dir: {run_dir} does not exist; start a cluster with `python -m localcluster up`"
        )
    group = f"serving-operator-{crc32(str(run_dir).encode()):08x}-{options.node_name}"
    clean(run_dir, group)
    if not options.sweep:
        try:
            asyncio.run(serve(options, run_dir, group))
        finally:
            clean(run_dir, group)


if __name__ == "__main__":
    main()

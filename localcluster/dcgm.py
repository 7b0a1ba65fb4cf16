"""`.venv/bin/python -m localcluster.dcgm`: an emulation of NVIDIA's dcgm-exporter; there is no GPU behind its numbers.

Every pod that asks for `nvidia.com/gpu`, or carries the annotation `serving-operator.dev/emulate-gpu: "true"`,
appears to own one GPU. Its utilisation is the pod's real CPU time over its CPU limit, read from /proc; its used
memory is the resident memory of its processes. Names and labels are those of dcgm-exporter 4.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from localcluster.cluster import DEFAULT_RUN_DIR, Cluster, ClusterNotFoundError
from localcluster.node.environment import quantity
from localcluster.paths import this_python

SAMPLE_SECONDS = 2.0
MEMORY_MEBIBYTES = 81920
MODEL = "Emulated GPU"
_PAGE_MEBIBYTES = os.sysconf("SC_PAGE_SIZE") / 2**20
_NOTE = "EMULATION by the local cluster from CPU time; no GPU was measured."


@dataclass(frozen=True)
class Usage:
    """What the processes of one container have used: CPU seconds so far, memory now."""

    cpu_seconds: float
    memory_mebibytes: float


@dataclass(frozen=True)
class Gpu:
    """One emulated device and the container that it belongs to."""

    index: int
    namespace: str
    pod: str
    container: str
    node: str
    busy_ratio: float
    used_mebibytes: float


def usage_by_session(proc: Path = Path("/proc")) -> dict[int, Usage]:
    """Usage of every session's processes, ended children included; a container leads a session."""
    ticks = os.sysconf("SC_CLK_TCK")
    result: dict[int, Usage] = {}
    for stat in proc.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The command's name is in parentheses and may hold anything.
            fields = stat.read_text().rpartition(")")[2].split()
            before = result.get(session := int(fields[3]), Usage(0.0, 0.0))
            result[session] = Usage(
                before.cpu_seconds + sum(map(int, fields[11:15])) / ticks,
                before.memory_mebibytes + int(fields[21]) * _PAGE_MEBIBYTES,
            )
    return result


def emulated(state: dict[str, Any]) -> Iterable[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """(pod key, container, pod entry, container entry) of all that appear to own a GPU."""
    for key, pod in state["pods"].items():
        for name, container in pod["containers"].items():
            if container["pid"] and (pod["emulateGpu"] or container["gpus"]):
                yield key, name, pod, container


class Emulation:
    """Remembers the last sample, and which device index belongs to which pod."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[float, float]] = {}
        self._indices: dict[str, int] = {}
        self.gpus: list[Gpu] = []

    def sample(self, state: dict[str, Any], usage: dict[int, Usage], now: float) -> None:
        """Take in one sample; `now` in seconds, monotonic. A process seen for the first time is idle."""
        found, seen = [], {}
        present = list(emulated(state))
        owners = {f"{pod['uid']}/{name}" for _, name, pod, _ in present}
        self._indices = {owner: index for owner, index in self._indices.items() if owner in owners}
        for key, name, pod, container in present:
            pid = container["pid"]
            used = usage.get(pid, Usage(0.0, 0.0))
            seen[pid] = (now, used.cpu_seconds)
            then, before = self._last.get(pid, seen[pid])
            limit = (
                float(quantity(container["cpuLimit"]))
                if container["cpuLimit"]
                else float(os.cpu_count() or 1)
            )
            busy = (used.cpu_seconds - before) / (now - then) / limit if now > then else 0.0
            namespace, _, pod_name = key.partition("/")
            found.append(
                Gpu(
                    index=self._index(f"{pod['uid']}/{name}"),
                    namespace=namespace,
                    pod=pod_name,
                    container=name,
                    node=pod["node"],
                    busy_ratio=min(1.0, max(0.0, busy)),
                    used_mebibytes=min(used.memory_mebibytes, MEMORY_MEBIBYTES),
                )
            )
        self._last, self.gpus = seen, found

    def _index(self, owner: str) -> int:
        taken = set(self._indices.values())
        free = next(index for index in range(len(taken) + 1) if index not in taken)
        return self._indices.setdefault(owner, free)


def page(gpus: Iterable[Gpu]) -> str:
    """The metrics page."""
    gpus = sorted(gpus, key=lambda gpu: gpu.index)
    used = [round(gpu.used_mebibytes) for gpu in gpus]
    metrics: dict[str, tuple[str, list[float]]] = {
        "DCGM_FI_DEV_GPU_UTIL": ("GPU utilization (in %).", [round(100 * gpu.busy_ratio) for gpu in gpus]),
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE": (
            "Ratio of time the graphics engine is active.",
            [round(gpu.busy_ratio, 6) for gpu in gpus],
        ),
        "DCGM_FI_DEV_FB_USED": ("Framebuffer memory used (in MiB).", [*used]),
        "DCGM_FI_DEV_FB_FREE": (
            "Framebuffer memory free (in MiB).",
            [MEMORY_MEBIBYTES - each for each in used],
        ),
    }
    lines = []
    for metric, (text, values) in metrics.items():
        lines += [f"# HELP {metric} {text} {_NOTE}", f"# TYPE {metric} gauge"]
        lines += [f"{metric}{{{_labels(gpu)}}} {value}" for gpu, value in zip(gpus, values, strict=True)]
    return "\n".join(lines) + "\n"


def _labels(gpu: Gpu) -> str:
    labels = {
        "gpu": gpu.index,
        "UUID": f"GPU-{uuid.uuid5(uuid.NAMESPACE_OID, f'{gpu.node}/{gpu.index}')}",
        "device": f"nvidia{gpu.index}",
        "modelName": MODEL,
        "Hostname": gpu.node,
        "container": gpu.container,
        "namespace": gpu.namespace,
        "pod": gpu.pod,
    }
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


async def serve(run_dir: Path, host: str, port: int) -> None:
    """Sample and answer until cancelled."""
    emulation = Emulation()

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=page(emulation.gpus), content_type="text/plain")

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        while True:
            # Before the node agent runs there is no file, and so no GPU.
            with contextlib.suppress(FileNotFoundError):
                state = json.loads((run_dir / "pods.json").read_text(encoding="utf-8"))
                emulation.sample(state, usage_by_session(), time.monotonic())
            await asyncio.sleep(SAMPLE_SECONDS)
    finally:
        await runner.cleanup()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m localcluster.dcgm", description=__doc__)
    parser.add_argument(
        "--run-dir", type=Path, default=DEFAULT_RUN_DIR, help="the cluster's directory (%(default)s)"
    )
    options = parser.parse_args()
    try:
        cluster = Cluster.load(options.run_dir)
    except ClusterNotFoundError as error:
        raise SystemExit(str(error)) from None
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(cluster.run_dir, cluster.dcgm_host, cluster.dcgm_port))


if __name__ == "__main__":
    main()

"""What a kubelet tells at `/metrics/resource`: CPU time and memory of the pods of a local cluster, for metrics-server."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from localcluster.cluster import Cluster
from localcluster.dcgm import Usage, usage_by_session

_MEBIBYTE = 2**20


def page(state: Mapping[str, Any], usage: Mapping[int, Usage], now: float) -> str:
    """Return the metrics page; `state` is the node agent's `pods.json`, `usage` by process that leads a session.

    A node without any usage is passed over by metrics-server, so that the node has what its pods have.
    """
    milliseconds = round(1000 * now)
    times, memories = [], []
    cpu_seconds, mebibytes = 0.0, 0.0
    for key, pod in sorted(state["pods"].items()):
        namespace, _, name = key.partition("/")
        for container, entry in sorted(pod["containers"].items()):
            if (used := usage.get(entry["pid"])) is None:
                continue
            labels = f'{{container="{container}",namespace="{namespace}",pod="{name}"}}'
            times.append(f"container_cpu_usage_seconds_total{labels} {used.cpu_seconds:.3f} {milliseconds}")
            memories.append(
                f"container_memory_working_set_bytes{labels} {used.memory_mebibytes * _MEBIBYTE:.0f} {milliseconds}"
            )
            cpu_seconds += used.cpu_seconds
            mebibytes += used.memory_mebibytes
    return "\n".join(
        [
            "# TYPE container_cpu_usage_seconds_total counter",
            *times,
            "# TYPE container_memory_working_set_bytes gauge",
            *memories,
            "# TYPE node_cpu_usage_seconds_total counter",
            f"node_cpu_usage_seconds_total {cpu_seconds:.3f} {milliseconds}",
            "# TYPE node_memory_working_set_bytes gauge",
            f"node_memory_working_set_bytes {mebibytes * _MEBIBYTE:.0f} {milliseconds}",
            "",
        ]
    )


@asynccontextmanager
async def kubelet(cluster: Cluster, port: int) -> AsyncIterator[None]:
    """Answer at `https://127.0.0.1:port/metrics/resource` while entered, with the cluster's own certificate of a node."""

    async def resource(_: web.Request) -> web.Response:
        state = json.loads((cluster.run_dir / "pods.json").read_text(encoding="utf-8"))
        usage = await asyncio.to_thread(usage_by_session)
        return web.Response(text=page(state, usage, time.time()), content_type="text/plain")

    application = web.Application()
    application.router.add_get("/metrics/resource", resource)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cluster.pki_dir / "node-serving.crt", cluster.pki_dir / "node-serving.key")
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        yield
    finally:
        await runner.cleanup()

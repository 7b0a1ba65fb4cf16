"""The HTTP endpoint of a program: /metrics, /healthz and /readyz, in the loop that does the work.

It answers only while that loop turns, which is what a liveness probe should prove.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.process_collector import ProcessCollector

Check = Callable[[], str | None]
"""Says what is wrong in one sentence, or None."""


def listen_address(
    stated: str | None, default_port: int, environ: Mapping[str, str] = os.environ
) -> tuple[str, int]:
    """Host and port from `--listen ADDRESS:PORT`; without it the host from LISTEN_ADDRESS, else all.

    Raises `ValueError` with the form that is expected.
    """
    if stated is None:
        return environ.get("LISTEN_ADDRESS") or "0.0.0.0", default_port  # noqa: S104  (a pod's address)
    host, colon, port = stated.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"--listen {stated!r}: expected ADDRESS:PORT, for example 127.0.0.1:{default_port}")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104


@contextlib.asynccontextmanager
async def endpoint(
    host: str,
    port: int,
    *,
    registry: CollectorRegistry,
    healthy: Check = lambda: None,
    ready: Check = lambda: None,
) -> AsyncIterator[int]:
    """Serve until the block ends; yields the port (useful where 0 was asked for).

    What the process itself takes is added to the registry: memory, files, and tasks of the loop.
    """
    loop = asyncio.get_running_loop()
    tasks = Gauge("asyncio_tasks", "Tasks of the event loop that have not ended.", registry=registry)
    tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
    process = ProcessCollector(registry=registry)

    async def metrics(_: web.Request) -> web.Response:
        # prometheus_client states a charset, which aiohttp wants apart: pass the header as a whole
        return web.Response(
            body=generate_latest(registry),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    def answer(check: Check) -> Callable[[web.Request], object]:
        async def handler(_: web.Request) -> web.Response:
            wrong = check()
            return web.Response(text=(wrong or "ok") + "\n", status=503 if wrong else 200)

        return handler

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    application.router.add_get("/healthz", answer(healthy))  # type: ignore[arg-type]
    application.router.add_get("/readyz", answer(ready))  # type: ignore[arg-type]
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
        registry.unregister(tasks)
        registry.unregister(process)

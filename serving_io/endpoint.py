"""The HTTP endpoint of a program: /metrics, /healthz and /readyz, in the loop that does the work.

It answers only while that loop turns, which is what a liveness probe should prove.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.process_collector import ProcessCollector

Check = Callable[[], str | None]
"""Says what is wrong in one sentence, or None."""


def listen_address(
    stated: str | None, default_port: int, environ: Mapping[str, str] = os.environ
) -> tuple[str, int]:
    """Host and port from `--listen ADDRESS:PORT`; without it the host from LISTEN_ADDRESS, else all of IPv4 and IPv6 ("").

    Raises `ValueError` with the form that is expected.
    """
    if stated is None:
        return environ.get("LISTEN_ADDRESS", ""), default_port
    host, colon, port = stated.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"--listen {stated!r}: expected ADDRESS:PORT, for example 127.0.0.1:{default_port}")
    return host.strip("[]"), int(port)


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
        await web.SockSite(runner, _listening(host, port)).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
        registry.unregister(tasks)
        registry.unregister(process)


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens at a host; without one at every address, of IPv4 and IPv6 where there are both."""
    if host:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # IPv6 may be compiled in, and switched off
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))

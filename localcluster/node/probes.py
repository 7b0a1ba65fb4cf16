"""Probes and lifecycle handlers: when a result counts (pure), and how one is asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp

from localcluster.objects import Object

from .addresses import listen_address

Exec = Callable[[list[str], float], Awaitable[tuple[bool, str]]]
"""Runs a command in the container: (command, timeout in seconds) → (exit code was 0, what it said)."""


@dataclass(frozen=True)
class Probe:
    """A probe's numbers, with the defaults of the API; `handler` says what is asked."""

    handler: Object
    initial_delay_seconds: float
    period_seconds: float
    timeout_seconds: float
    success_threshold: int
    failure_threshold: int
    grace_seconds: float | None

    @classmethod
    def of(cls, spec: Object) -> Probe:
        """The probe that a container's spec states."""
        return cls(
            handler=spec,
            initial_delay_seconds=spec.get("initialDelaySeconds") or 0,
            period_seconds=spec.get("periodSeconds") or 10,
            timeout_seconds=spec.get("timeoutSeconds") or 1,
            success_threshold=spec.get("successThreshold") or 1,
            failure_threshold=spec.get("failureThreshold") or 3,
            grace_seconds=spec.get("terminationGracePeriodSeconds"),
        )


@dataclass
class Tally:
    """Consecutive answers of one probe; `healthy` changes when a threshold is reached."""

    probe: Probe
    healthy: bool
    _last: bool | None = field(default=None, init=False)
    _run: int = field(default=0, init=False)

    def record(self, success: bool) -> bool:
        """Count an answer; whether its threshold is reached (so that `healthy` is now `success`)."""
        self._run = self._run + 1 if success == self._last else 1
        self._last = success
        needed = self.probe.success_threshold if success else self.probe.failure_threshold
        if self._run >= needed:
            self.healthy = success
            return True
        return False


def port_number(container: Object, port: int | str) -> int:
    """A port by number, or by its name in the container's spec."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for each in container.get("ports") or []:
        if each.get("name") == port:
            return int(each["containerPort"])
    raise ValueError(f"container {container['name']} has no port named {port!r}")


async def ask(
    handler: Object,
    container: Object,
    pod_ip: str,
    timeout_seconds: float,
    run: Exec,
    session: aiohttp.ClientSession,
) -> tuple[bool, str]:
    """Ask once, by HTTP, TCP or a command; the answer and, if it is a failure, why."""
    try:
        async with asyncio.timeout(timeout_seconds):
            if "httpGet" in handler:
                return await _http(handler["httpGet"], container, pod_ip, session)
            if "tcpSocket" in handler:
                socket = handler["tcpSocket"]
                host = listen_address(socket.get("host") or pod_ip)
                _, writer = await asyncio.open_connection(host, port_number(container, socket["port"]))
                writer.close()
                return True, ""
            if "sleep" in handler:
                await asyncio.sleep(handler["sleep"]["seconds"])
                return True, ""
            if "exec" in handler:
                return await run(handler["exec"].get("command") or [], timeout_seconds)
            return False, "gRPC probes are not supported by the local cluster: use httpGet, tcpSocket or exec"
    except TimeoutError:
        return False, f"no answer within {timeout_seconds:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return False, str(error) or type(error).__name__


async def _http(
    get: Object, container: Object, pod_ip: str, session: aiohttp.ClientSession
) -> tuple[bool, str]:
    host = listen_address(get.get("host") or pod_ip)
    path = "/" + (get.get("path") or "").lstrip("/")
    url = f"{(get.get('scheme') or 'HTTP').lower()}://{host}:{port_number(container, get['port'])}{path}"
    headers = {item["name"]: item["value"] for item in get.get("httpHeaders") or []}
    async with session.get(url, headers=headers, allow_redirects=False) as answer:
        return answer.status < 400, f"HTTP probe failed with statuscode: {answer.status}"


async def watch(
    probe: Probe,
    tally: Tally,
    started: float,
    once: Callable[[], Awaitable[tuple[bool, str]]],
    decided: Callable[[bool, str], None],
    until_success: bool,
) -> None:
    """Ask every period and report each answer that reached its threshold.

    `started` is the container's start on the monotonic clock. With `until_success` (startup probes) it ends
    at the first success that counts.
    """
    await asyncio.sleep(max(0.0, started + probe.initial_delay_seconds - time.monotonic()))
    while True:
        asked = time.monotonic()
        success, message = await once()
        if tally.record(success):
            decided(success, message)
            if success and until_success:
                return
        await asyncio.sleep(max(0.0, asked + probe.period_seconds - time.monotonic()))

"""The autoscaler as a program."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.process_collector import ProcessCollector

from autoscaler.loop import Loop, first_to_end
from autoscaler.metrics import Metrics
from serving_api.names import AUTOSCALER, SYSTEM_NAMESPACE
from serving_io import configuration
from serving_io.cluster import Cluster
from serving_io.connection import ConfigurationError
from serving_io.endpoint import endpoint, listen_address
from serving_io.errors import NotLeader
from serving_io.lease import Lease
from serving_io.prometheus import Prometheus, PrometheusAccess

log = logging.getLogger(__name__)
T = TypeVar("T")

DEFAULT_PORT = 8080
DEFAULT_PROMETHEUS_URL = "http://prometheus.monitoring.svc:9090"
DEFAULT_TICK_SECONDS = 5.0


@dataclass(frozen=True)
class Settings:
    """The command line, checked."""

    prometheus: PrometheusAccess
    matcher: str
    tick_seconds: float
    namespaces: tuple[str, ...]
    lease_namespace: str
    host: str
    port: int


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="serving-autoscaler",
        description="Keeps every Deployment that an InferenceAutoscaler names at the fewest replicas that hold its "
        "latency objective.",
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=os.environ.get("CONFIG_FILE") or None,
        metavar="FILE",
        help="the administrator's configuration (docs/install.md); flags and environment go before it (default: $CONFIG_FILE)",
    )
    parser.add_argument(
        "--prometheus-url",
        default=os.environ.get("PROMETHEUS_URL"),
        metavar="URL",
        help=f"where Prometheus is, http://HOST:PORT (default: $PROMETHEUS_URL, else {DEFAULT_PROMETHEUS_URL})",
    )
    parser.add_argument(
        "--prometheus-bearer-token-file",
        type=Path,
        metavar="FILE",
        help="token for Prometheus, read at each query",
    )
    parser.add_argument(
        "--prometheus-ca-file",
        type=Path,
        metavar="FILE",
        help="certificate authority of an https Prometheus",
    )
    parser.add_argument(
        "--prometheus-header",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="HTTP header for Prometheus, for example X-Scope-OrgID=team; may be repeated",
    )
    parser.add_argument(
        "--prometheus-matcher",
        metavar="MATCHER",
        help="label matcher added to every query, for example 'cluster=\"a\"'",
    )
    parser.add_argument(
        "--tick-seconds",
        type=float,
        metavar="SECONDS",
        help=f"time between decisions, 1 to 60 (default {DEFAULT_TICK_SECONDS:g})",
    )
    parser.add_argument(
        "--namespace",
        action="append",
        default=[],
        metavar="NAME",
        help="namespace to work in; may be repeated; all if absent (default: $WATCH_NAMESPACE, separated by commas)",
    )
    parser.add_argument(
        "--lease-namespace",
        metavar="NAME",
        default=os.environ.get("POD_NAMESPACE", SYSTEM_NAMESPACE),
        help=f"namespace of the Lease {AUTOSCALER} (default: $POD_NAMESPACE, else {SYSTEM_NAMESPACE})",
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS:PORT",
        help=f"where /metrics, /healthz and /readyz are served (default: $LISTEN_ADDRESS or 0.0.0.0, port {DEFAULT_PORT})",
    )
    parser.add_argument("--verbose", action="store_true", help="log more")
    return parser


def settings_of(parsed: argparse.Namespace) -> Settings:
    """Check what was given, and take the rest from the configuration file. Raises `ValueError` with the option and the remedy."""
    configured = configuration.read(parsed.config)
    stated = configured.prometheus
    tick_seconds = _first(parsed.tick_seconds, configured.autoscaler.tick_seconds, DEFAULT_TICK_SECONDS)
    if not 1 <= tick_seconds <= 60:
        raise ValueError(f"--tick-seconds {tick_seconds:g}: must be from 1 to 60")
    url = parsed.prometheus_url or stated.url or DEFAULT_PROMETHEUS_URL
    if not url.startswith(("http://", "https://")):
        raise ValueError(
            f"--prometheus-url {url!r}: must be http://HOST:PORT or https://HOST:PORT; "
            "give the option or set PROMETHEUS_URL"
        )
    headers = {}
    for header in parsed.prometheus_header:
        name, equals, value = header.partition("=")
        if not equals or not name:
            raise ValueError(f"--prometheus-header {header!r}: must be NAME=VALUE")
        headers[name] = value
    token_file, ca_file = (
        _existing(f"--prometheus-{name}-file", given, said)
        for name, given, said in (
            ("bearer-token", parsed.prometheus_bearer_token_file, stated.bearer_token_file),
            ("ca", parsed.prometheus_ca_file, stated.ca_file),
        )
    )
    matcher = _first(parsed.prometheus_matcher, stated.matcher, "")
    if any(character in matcher for character in "{}[]()"):
        raise ValueError(
            f'--prometheus-matcher {matcher!r}: must be a label matcher without brackets, such as cluster="a"'
        )
    watched = os.environ.get("WATCH_NAMESPACE", "").split(",")
    namespaces = (
        parsed.namespace or [name.strip() for name in watched if name.strip()] or configured.namespaces
    )
    host, port = listen_address(parsed.listen, DEFAULT_PORT)
    return Settings(
        prometheus=PrometheusAccess(
            url,
            bearer_token_file=token_file,
            ca_file=ca_file,
            headers=headers or stated.headers,
            timeout_seconds=min(tick_seconds, 5.0),
        ),
        matcher=matcher,
        tick_seconds=tick_seconds,
        namespaces=tuple(namespaces),
        lease_namespace=parsed.lease_namespace,
        host=host,
        port=port,
    )


def _first(given: T | None, configured: T | None, default: T) -> T:
    """What the command line says, else the file, else the default."""
    if given is not None:
        return given
    return default if configured is None else configured


def _existing(option: str, given: Path | None, configured: str | None) -> Path | None:
    path = given or (Path(configured) if configured else None)
    if path is not None and not path.is_file():
        raise ValueError(f"{option} {path}: there is no such file")
    return path


def unready(*, is_stopping: bool, leads: bool, has_ticked: bool) -> str | None:
    """Say why the process is not ready; it is while it stands by.

    An upgrade ends the pod that holds the Lease only when the new one is ready, which waits for that Lease.
    """
    if is_stopping:
        return "stopping"
    return "waits for the first tick" if leads and not has_ticked else None


async def serve(settings: Settings) -> int:
    """Lead and tick until told to stop; 1 if leadership was lost."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    identity = f"{os.environ.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4().hex[:8]}"
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    metrics = Metrics(registry)
    prometheus = Prometheus(settings.prometheus)
    async with await Cluster.connect(field_manager=AUTOSCALER, instance=identity) as cluster:
        lease = Lease(
            cluster,
            name=AUTOSCALER,
            namespace=settings.lease_namespace,
            identity=identity,
            on_change=metrics.leads,
        )
        loop = Loop(
            cluster.guarded_by(lease.check),
            prometheus,
            metrics,
            tick_seconds=settings.tick_seconds,
            namespaces=settings.namespaces,
            matcher=settings.matcher,
        )

        def healthy() -> str | None:
            if not lease.is_held or loop.ticked_at is None:
                return None
            age = asyncio.get_running_loop().time() - loop.ticked_at
            return f"no tick for {age:.0f} s" if age > 20 * settings.tick_seconds + 60 else None

        def ready() -> str | None:
            return unready(
                is_stopping=stop.is_set(), leads=lease.is_held, has_ticked=loop.ticked_at is not None
            )

        work = asyncio.create_task(_lead(lease, loop))
        async with endpoint(settings.host, settings.port, registry=registry, healthy=healthy, ready=ready):
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            ended = work.done()
            work.cancel()
            results = await asyncio.gather(work, stopping, return_exceptions=True)
            prometheus.close()
        if ended and isinstance(results[0], BaseException):
            raise results[0]
    return 1 if ended else 0


async def _lead(lease: Lease, loop: Loop) -> None:
    async with lease.held() as lost:
        await first_to_end(loop.run(), lost)


def main() -> None:
    """Entry point of the console script."""
    parser = arguments()
    parsed = parser.parse_args()
    try:
        settings = settings_of(parsed)
    except ValueError as error:
        parser.error(str(error))
    logging.basicConfig(
        level=logging.DEBUG if parsed.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        sys.exit(asyncio.run(serve(settings)))
    except (ConfigurationError, OSError) as error:
        sys.exit(f"serving-autoscaler: {error}")
    except NotLeader as error:
        log.error("%s: ends, so that it starts afresh", error)
        sys.exit(1)


if __name__ == "__main__":
    main()

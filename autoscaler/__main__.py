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

from autoscaler.loop import Loop, first_to_end
from autoscaler.metrics import Metrics
from autoscaler.prometheus_options import add_prometheus_options, prometheus_access
from autoscaler.replay.recording.recorder import Recorder
from serving_api.names import AUTOSCALER, SYSTEM_NAMESPACE
from serving_io import configuration
from serving_io.cluster import Cluster
from serving_io.connection import ConfigurationError
from serving_io.endpoint import endpoint, listen_address
from serving_io.errors import ApiError, NotLeader
from serving_io.lease import Lease
from serving_io.prometheus import Prometheus, PrometheusAccess

log = logging.getLogger(__name__)
T = TypeVar("T")

DEFAULT_PORT = 8080
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
    record: Path | None = None
    record_megabytes: float = 500.0


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
    add_prometheus_options(parser)
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
        help=f"where /metrics, /healthz and /readyz are served (default: $LISTEN_ADDRESS or all addresses, port {DEFAULT_PORT})",
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="record every tick for a replay, and begin with an empty memory; packed if the name ends in .gz",
    )
    parser.add_argument(
        "--record-megabytes",
        type=float,
        default=500.0,
        metavar="N",
        help="of text before it is packed, after which the recording ends (default %(default)g)",
    )
    parser.add_argument("--verbose", action="store_true", help="log more")
    return parser


def settings_of(parsed: argparse.Namespace) -> Settings:
    """Check what was given, and take the rest from the configuration file. Raises `ValueError` with the option and the remedy."""
    configured = configuration.read(parsed.config)
    tick_seconds = _first(parsed.tick_seconds, configured.autoscaler.tick_seconds, DEFAULT_TICK_SECONDS)
    if not 1 <= tick_seconds <= 60:
        raise ValueError(f"--tick-seconds {tick_seconds:g}: must be from 1 to 60")
    if parsed.record_megabytes <= 0:
        raise ValueError(f"--record-megabytes {parsed.record_megabytes:g}: must be above 0")
    prometheus, matcher = prometheus_access(parsed, min(tick_seconds, 5.0), configured.prometheus)
    watched = os.environ.get("WATCH_NAMESPACE", "").split(",")
    namespaces = (
        parsed.namespace or [name.strip() for name in watched if name.strip()] or configured.namespaces
    )
    host, port = listen_address(parsed.listen, DEFAULT_PORT)
    return Settings(
        prometheus=prometheus,
        matcher=matcher,
        tick_seconds=tick_seconds,
        namespaces=tuple(namespaces),
        lease_namespace=parsed.lease_namespace,
        host=host,
        port=port,
        record=parsed.record,
        record_megabytes=parsed.record_megabytes,
    )


def _first(given: T | None, configured: T | None, default: T) -> T:
    """What the command line says, else the file, else the default."""
    if given is not None:
        return given
    return default if configured is None else configured


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
    metrics = Metrics(registry)
    prometheus = Prometheus(settings.prometheus)
    recorder = Recorder(settings.record, settings.record_megabytes) if settings.record else None
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
            recording=recorder,
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
            if recorder is not None:
                recorder.close()
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
    except (ConfigurationError, ApiError, OSError) as error:
        sys.exit(f"serving-autoscaler: {error}")
    except NotLeader as error:
        log.error("%s: ends, so that it starts afresh", error)
        sys.exit(1)


if __name__ == "__main__":
    main()

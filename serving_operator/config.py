"""The command line and the environment, checked before anything starts."""

from __future__ import annotations

import argparse
import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_camel

from serving_api.configuration import Configuration
from serving_api.headers import UnusableHeader
from serving_io import configuration
from serving_io.endpoint import listen_address
from serving_io.prometheus import PrometheusAccess
from serving_operator.options import DEFAULT_PORT, OPTIONS, Option, read
from serving_operator.runtimes.storage import Downloads
from serving_operator.world import Settings

PROMETHEUS_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Config:
    """What the process was started with. Durations in seconds."""

    host: str
    port: int
    identity: str
    lease_namespace: str
    namespaces: tuple[str, ...]
    workers: int
    resync_seconds: float
    log_level: str
    settings: Settings
    prometheus: PrometheusAccess | None
    """Where canaries are counted; None if nobody said."""
    prometheus_matcher: str


def parse(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Config:
    """Read flags, what they leave out from the environment, and what that leaves out from the configuration file.

    Exits with a message that names what is wrong.
    """
    parser = _parser()
    flags = vars(parser.parse_args(arguments))
    file = flags["config"] or environ.get("CONFIG_FILE")
    try:
        administrator = configuration.read(Path(file) if file else None)
    except ValueError as error:
        parser.error(str(error))
    configured = _configured(administrator)
    values = {option.name: _value(parser, option, flags, environ, configured) for option in OPTIONS}
    try:
        host, port = listen_address(values["listen"] or None, DEFAULT_PORT, environ)
    except ValueError as error:
        parser.error(str(error))
    lease_namespace = values["lease-namespace"]
    return Config(
        host=host,
        port=port,
        identity=f"{environ.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4().hex[:8]}",
        lease_namespace=lease_namespace,
        namespaces=values["namespace"],
        workers=values["workers"],
        resync_seconds=values["resync-seconds"],
        log_level=values["log-level"],
        settings=Settings(
            namespace=lease_namespace,
            one_namespace=tuple(values["namespace"]) == (lease_namespace,),
            propagation_delay_seconds=values["propagation-delay-seconds"],
            min_ready_seconds=values["min-ready-seconds"],
            drain_seconds=values["drain-seconds"],
            stable_broken_seconds=values["stable-broken-seconds"],
            route=administrator.route,
            accelerators=tuple(administrator.accelerators),
            downloads=Downloads(
                image=values["model-downloader-image"],
                networks=values["model-download-networks"],
                limit_megabytes=values["model-download-limit-megabytes"],
            ),
        ),
        prometheus=PrometheusAccess(
            values["prometheus-url"],
            bearer_token_file=values["prometheus-bearer-token-file"],
            ca_file=values["prometheus-ca-file"],
            headers=values["prometheus-header"],
            timeout_seconds=PROMETHEUS_TIMEOUT_SECONDS,
            labels=administrator.prometheus.labels.others,
        )
        if values["prometheus-url"]
        else None,
        prometheus_matcher=values["prometheus-matcher"],
    )


def _configured(administrator: Configuration) -> dict[str, tuple[str, str]]:
    """Return what the file says of options, by their names: its own key, and the value as a text."""
    prometheus, models = administrator.prometheus, administrator.models
    headers = "\n".join(f"{name}={value}" for name, value in prometheus.headers.items())
    stated: dict[str, tuple[str, Any]] = {
        "namespace": ("namespaces", ",".join(administrator.namespaces)),
        "prometheus-url": ("prometheus.url", prometheus.url),
        "prometheus-bearer-token-file": ("prometheus.bearerTokenFile", prometheus.bearer_token_file),
        "prometheus-ca-file": ("prometheus.caFile", prometheus.ca_file),
        "prometheus-header": ("prometheus.headers", headers),
        "prometheus-matcher": ("prometheus.matcher", prometheus.matcher),
        "model-downloader-image": ("models.downloaderImage", models.downloader_image),
        "model-download-networks": ("models.downloadNetworks", ",".join(models.download_networks)),
        "model-download-limit-megabytes": ("models.downloadLimitMegabytes", models.download_limit_megabytes),
    } | {
        name.replace("_", "-"): (f"operator.{to_camel(name)}", value)
        for name, value in administrator.operator
    }
    return {name: (key, str(value)) for name, (key, value) in stated.items() if value not in (None, "")}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="serving-operator",
        description="Turns InferenceServices into Deployments, Services and routes, and rolls out new revisions.",
        epilog="The cluster is found by KUBECONFIG, else by the pod's service account. Each flag can be given as an "
        "environment variable: --resync-seconds as RESYNC_SECONDS, --namespace as WATCH_NAMESPACE.",
        allow_abbrev=False,
    )
    for option in OPTIONS:
        default = f" (default: {option.default})" if option.default else ""
        parser.add_argument(
            f"--{option.name}",
            dest=option.name,
            metavar=option.placeholder,
            help=option.text + default,
            action="append" if option.shape == "headers" else "store",
        )
    return parser


def _value(
    parser: argparse.ArgumentParser,
    option: Option,
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    configured: Mapping[str, tuple[str, str]],
) -> Any:
    source, text = f"--{option.name}", flags[option.name]
    if isinstance(text, list):
        text = "\n".join(text)
    if text is None and environ.get(option.variable):
        source, text = option.variable, environ[option.variable]
    if text is None and option.name in configured:
        key, text = configured[option.name]
        source = f"{key} of the configuration"
    if text is None:
        text = environ.get(option.fallback) or option.default
    try:
        return read(option, text)
    except UnusableHeader as error:
        parser.error(f"{source}: {error}")
    except ValueError as error:
        parser.error(f"{source} {text!r}: expected {error}")

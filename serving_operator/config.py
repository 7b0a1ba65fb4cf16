"""The command line and the environment, checked before anything starts."""

from __future__ import annotations

import argparse
import os
import re
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving_api.names import SYSTEM_NAMESPACE
from serving_io.endpoint import listen_address
from serving_io.prometheus import PrometheusAccess
from serving_operator.world import DEFAULT_SETTINGS, Settings

DEFAULT_PORT = 8080
PROMETHEUS_TIMEOUT_SECONDS = 15.0
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LEVELS = ("debug", "info", "warning", "error")


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
    """Read flags, with the environment for what they leave out. Exits with a message that names what is wrong."""
    parser = _parser()
    stated = vars(parser.parse_args(arguments))
    values = {option.name: _value(parser, option, stated, environ) for option in _OPTIONS}
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
            propagation_delay_seconds=values["propagation-delay-seconds"],
            min_ready_seconds=values["min-ready-seconds"],
            drain_seconds=values["drain-seconds"],
            stable_broken_seconds=values["stable-broken-seconds"],
        ),
        prometheus=PrometheusAccess(
            values["prometheus-url"],
            bearer_token_file=values["prometheus-bearer-token-file"],
            ca_file=values["prometheus-ca-file"],
            headers=values["prometheus-header"],
            timeout_seconds=PROMETHEUS_TIMEOUT_SECONDS,
        )
        if values["prometheus-url"]
        else None,
        prometheus_matcher=values["prometheus-matcher"],
    )


@dataclass(frozen=True, slots=True)
class _Option:
    """One flag; its environment variable is its name in capitals unless `environment` names another.

    `fallback` names a variable that is not the operator's own and that is asked last.
    """

    name: str
    default: str
    text: str
    shape: str
    placeholder: str = "SECONDS"
    least: float = 0
    most: float = 86400
    environment: str = ""
    fallback: str = ""

    @property
    def variable(self) -> str:
        return self.environment or self.name.upper().replace("-", "_")


_OPTIONS = (
    _Option(
        "listen",
        "",
        f"address of /metrics, /healthz and /readyz; without it LISTEN_ADDRESS (host only) and port {DEFAULT_PORT}",
        "text",
        "ADDRESS:PORT",
    ),
    _Option(
        "lease-namespace",
        SYSTEM_NAMESPACE,
        "namespace of the Leases: the one that operator and autoscaler are installed in; without it POD_NAMESPACE",
        "namespace",
        "NAMESPACE",
        fallback="POD_NAMESPACE",
    ),
    _Option(
        "namespace",
        "",
        "watch only these namespaces, separated by commas; without it all",
        "namespaces",
        "NAMESPACE,…",
        environment="WATCH_NAMESPACE",
    ),
    _Option("workers", "8", "services that are worked on at the same time", "whole", "N", 1, 64),
    _Option(
        "resync-seconds", "600", "how often everything is read anew, give or take a tenth", "number", least=10
    ),
    _Option(
        "propagation-delay-seconds",
        f"{DEFAULT_SETTINGS.propagation_delay_seconds:g}",
        "how long a gateway's data plane may lag behind the acknowledgement of its controller",
        "number",
        most=600,
    ),
    _Option(
        "min-ready-seconds",
        str(DEFAULT_SETTINGS.min_ready_seconds),
        "how long a pod must be ready to count",
        "whole",
        most=600,
    ),
    _Option(
        "drain-seconds",
        str(DEFAULT_SETTINGS.drain_seconds),
        "how long a leaving pod goes on answering until endpoints and gateways know of it",
        "whole",
        most=600,
    ),
    _Option(
        "stable-broken-seconds",
        f"{DEFAULT_SETTINGS.stable_broken_seconds:g}",
        "how long a stable revision must have had no ready pod to be called broken",
        "number",
    ),
    _Option(
        "prometheus-url",
        "",
        "where Prometheus is; without it canaries are not judged",
        "url",
        "http://HOST:PORT",
    ),
    _Option("prometheus-bearer-token-file", "", "token for Prometheus, read at each query", "file", "FILE"),
    _Option("prometheus-ca-file", "", "certificate authority of an https Prometheus", "file", "FILE"),
    _Option(
        "prometheus-header",
        "",
        "HTTP header for Prometheus, for example X-Scope-OrgID=team; may be repeated, in the environment one a line",
        "headers",
        "NAME=VALUE",
    ),
    _Option(
        "prometheus-matcher",
        "",
        "label matcher added to every query, for example 'cluster=\"a\"'",
        "matcher",
        "MATCHER",
    ),
    _Option("log-level", "info", f"one of {', '.join(_LEVELS)}", "level", "LEVEL"),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="serving-operator",
        description="Turns InferenceServices into Deployments, Services and routes, and rolls out new revisions.",
        epilog="The cluster is found by KUBECONFIG, else by the pod's service account. Each flag can be given as an "
        "environment variable: --resync-seconds as RESYNC_SECONDS, --namespace as WATCH_NAMESPACE.",
        allow_abbrev=False,
    )
    for option in _OPTIONS:
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
    parser: argparse.ArgumentParser, option: _Option, stated: Mapping[str, Any], environ: Mapping[str, str]
) -> Any:
    source, text = f"--{option.name}", stated[option.name]
    if isinstance(text, list):
        text = "\n".join(text)
    if text is None and environ.get(option.variable):
        source, text = option.variable, environ[option.variable]
    if text is None:
        text = environ.get(option.fallback) or option.default
    try:
        return _read(option, text)
    except ValueError as error:
        parser.error(f"{source} {text!r}: expected {error}")


def _read(option: _Option, text: str) -> Any:
    if option.shape in ("whole", "number"):
        try:
            value: float = int(text) if option.shape == "whole" else float(text)
        except ValueError:
            value = float("nan")
        if not option.least <= value <= option.most:
            kind = "a whole number" if option.shape == "whole" else "a number"
            raise ValueError(f"{kind} from {option.least:g} to {option.most:g}")
        return value
    if option.shape in _READ:
        return _READ[option.shape](text)
    if option.shape == "level":
        if text not in _LEVELS:
            raise ValueError(f"one of {', '.join(_LEVELS)}")
        return text
    if option.shape == "namespace":
        if not _NAMESPACE.fullmatch(text):
            raise ValueError("the name of a namespace")
        return text
    if option.shape == "namespaces":
        names = tuple(name.strip() for name in text.split(",") if name.strip())
        if not all(_NAMESPACE.fullmatch(name) for name in names):
            raise ValueError("names of namespaces, separated by commas")
        return names
    return text


def _url(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise ValueError("http://HOST:PORT or https://HOST:PORT")
    return text


def _file(text: str) -> Path | None:
    if text and not Path(text).is_file():
        raise ValueError("the path of a file that exists")
    return Path(text) if text else None


def _headers(text: str) -> dict[str, str]:
    headers = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if not equals or not name:
            raise ValueError("NAME=VALUE")
        headers[name] = value
    return headers


def _matcher(text: str) -> str:
    if any(character in text for character in "{}[]()"):
        raise ValueError('a label matcher without brackets, such as cluster="a"')
    return text


_READ: Mapping[str, Callable[[str], Any]] = {
    "url": _url,
    "file": _file,
    "headers": _headers,
    "matcher": _matcher,
}

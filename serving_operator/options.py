"""The flags of the command line, as data, and how their values are read."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving_api.headers import header
from serving_api.names import SYSTEM_NAMESPACE
from serving_operator.world import DEFAULT_SETTINGS

DEFAULT_PORT = 8080
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Option:
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
        """Its environment variable."""
        return self.environment or self.name.upper().replace("-", "_")


OPTIONS = (
    Option(
        "config",
        "",
        "the administrator's configuration (docs/install.md); flags and environment go before it",
        "text",
        "FILE",
        environment="CONFIG_FILE",
    ),
    Option(
        "listen",
        "",
        f"address of /metrics, /healthz and /readyz; without it LISTEN_ADDRESS (host only) and port {DEFAULT_PORT}",
        "text",
        "ADDRESS:PORT",
    ),
    Option(
        "lease-namespace",
        SYSTEM_NAMESPACE,
        "namespace of the Leases: the one that operator and autoscaler are installed in; without it POD_NAMESPACE",
        "namespace",
        "NAMESPACE",
        fallback="POD_NAMESPACE",
    ),
    Option(
        "namespace",
        "",
        "watch only these namespaces, separated by commas; without it all",
        "namespaces",
        "NAMESPACE,…",
        environment="WATCH_NAMESPACE",
    ),
    Option("workers", "8", "services that are worked on at the same time", "whole", "N", 1, 64),
    Option(
        "resync-seconds", "600", "how often everything is read anew, give or take a tenth", "number", least=10
    ),
    Option(
        "propagation-delay-seconds",
        f"{DEFAULT_SETTINGS.propagation_delay_seconds:g}",
        "how long a gateway's data plane may lag behind the acknowledgement of its controller",
        "number",
        most=600,
    ),
    Option(
        "min-ready-seconds",
        str(DEFAULT_SETTINGS.min_ready_seconds),
        "how long a pod must be ready to count",
        "whole",
        most=600,
    ),
    Option(
        "drain-seconds",
        str(DEFAULT_SETTINGS.drain_seconds),
        "how long a leaving pod goes on answering until endpoints and gateways know of it",
        "whole",
        most=600,
    ),
    Option(
        "stable-broken-seconds",
        f"{DEFAULT_SETTINGS.stable_broken_seconds:g}",
        "how long a stable revision must have had no ready pod to be called broken",
        "number",
    ),
    Option(
        "prometheus-url",
        "",
        "where Prometheus is; without it canaries are not judged",
        "url",
        "http://HOST:PORT",
    ),
    Option("prometheus-bearer-token-file", "", "token for Prometheus, read at each query", "file", "FILE"),
    Option("prometheus-ca-file", "", "certificate authority of an https Prometheus", "file", "FILE"),
    Option(
        "prometheus-header",
        "",
        "HTTP header for Prometheus, for example X-Scope-OrgID=team; may be repeated, in the environment one a line",
        "headers",
        "NAME=VALUE",
    ),
    Option(
        "prometheus-matcher",
        "",
        "label matcher added to every query, for example 'cluster=\"a\"'",
        "matcher",
        "MATCHER",
    ),
    Option(
        "model-downloader-image",
        DEFAULT_SETTINGS.downloads.image,
        "image of the init container that downloads models from s3, https and hf",
        "text",
        "IMAGE",
    ),
    Option(
        "model-download-networks",
        "",
        "networks that models may be downloaded from although they are not public, such as that of a store in the cluster",
        "networks",
        "CIDR,…",
    ),
    Option(
        "model-download-limit-megabytes",
        str(DEFAULT_SETTINGS.downloads.limit_megabytes),
        "largest model that is downloaded",
        "whole",
        "MEGABYTES",
        1,
        10_000_000,
    ),
    Option("log-level", "info", f"one of {', '.join(_LEVELS)}", "level", "LEVEL"),
)


def read(option: Option, text: str) -> Any:
    """The value that a text stands for. Raises ValueError with what is expected, UnusableHeader with what is wrong."""
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
    return dict(header(line) for line in text.splitlines())


def _matcher(text: str) -> str:
    if any(character in text for character in "{}[]()"):
        raise ValueError('a label matcher without brackets, such as cluster="a"')
    return text


def _networks(text: str) -> tuple[str, ...]:
    stated = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tuple(str(ipaddress.ip_network(part)) for part in stated)
    except ValueError as error:
        raise ValueError(f"networks such as 10.96.0.0/12, separated by commas ({error})") from error


_READ: Mapping[str, Callable[[str], Any]] = {
    "url": _url,
    "file": _file,
    "headers": _headers,
    "matcher": _matcher,
    "networks": _networks,
}

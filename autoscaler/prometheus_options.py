"""The options by which a command is told how to reach Prometheus."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from serving_io.prometheus import PrometheusAccess

DEFAULT_URL = "http://prometheus.monitoring.svc:9090"


def add_prometheus_options(parser: argparse.ArgumentParser) -> None:
    """Add them; `prometheus_access` reads them."""
    parser.add_argument(
        "--prometheus-url",
        default=os.environ.get("PROMETHEUS_URL") or DEFAULT_URL,
        metavar="URL",
        help="where Prometheus is, http://HOST:PORT (default: $PROMETHEUS_URL, else %(default)s)",
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
        default="",
        metavar="MATCHER",
        help="label matcher added to every query, for example 'cluster=\"a\"'",
    )


def prometheus_access(parsed: argparse.Namespace, timeout_seconds: float) -> PrometheusAccess:
    """Check what was given. Raises `ValueError` with the option and the remedy."""
    if not parsed.prometheus_url.startswith(("http://", "https://")):
        raise ValueError(
            f"--prometheus-url {parsed.prometheus_url!r}: must be http://HOST:PORT or https://HOST:PORT; "
            "give the option or set PROMETHEUS_URL"
        )
    headers = {}
    for stated in parsed.prometheus_header:
        name, equals, value = stated.partition("=")
        if not equals or not name:
            raise ValueError(f"--prometheus-header {stated!r}: must be NAME=VALUE")
        headers[name] = value
    for option, path in (
        ("--prometheus-bearer-token-file", parsed.prometheus_bearer_token_file),
        ("--prometheus-ca-file", parsed.prometheus_ca_file),
    ):
        if path is not None and not path.is_file():
            raise ValueError(f"{option} {path}: there is no such file")
    if any(character in parsed.prometheus_matcher for character in "{}[]()"):
        raise ValueError(
            f"--prometheus-matcher {parsed.prometheus_matcher!r}: must be a label matcher without brackets, "
            'such as cluster="a"'
        )
    return PrometheusAccess(
        parsed.prometheus_url,
        bearer_token_file=parsed.prometheus_bearer_token_file,
        ca_file=parsed.prometheus_ca_file,
        headers=headers,
        timeout_seconds=timeout_seconds,
    )

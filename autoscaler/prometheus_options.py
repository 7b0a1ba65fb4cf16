"""The options by which a command is told how to reach Prometheus."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pydantic import ValidationError

from serving_api.configuration import LabelNames, PrometheusConfiguration
from serving_api.headers import UnusableHeader, header
from serving_io.prometheus import PrometheusAccess

DEFAULT_URL = "http://prometheus.monitoring.svc:9090"
NOTHING_CONFIGURED = PrometheusConfiguration()


def add_prometheus_options(parser: argparse.ArgumentParser) -> None:
    """Add them; `prometheus_access` reads them."""
    parser.add_argument(
        "--prometheus-url",
        default=os.environ.get("PROMETHEUS_URL"),
        metavar="URL",
        help=f"where Prometheus is, http://HOST:PORT (default: $PROMETHEUS_URL, else {DEFAULT_URL})",
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
        "--prometheus-label",
        action="append",
        default=[],
        metavar="NAME=LABEL",
        help="another name of the label namespace or pod, for example pod=kubernetes_pod_name; may be repeated",
    )


def prometheus_access(
    parsed: argparse.Namespace,
    timeout_seconds: float,
    configured: PrometheusConfiguration = NOTHING_CONFIGURED,
) -> tuple[PrometheusAccess, str]:
    """Return how to ask, and the matcher that is added to every query: what was given, else what is configured.

    Raises `ValueError` with the option, or the key of the configuration, and the remedy.
    """
    url = parsed.prometheus_url or configured.url or DEFAULT_URL
    if not url.startswith(("http://", "https://")):
        raise ValueError(
            f"--prometheus-url {url!r}: must be http://HOST:PORT or https://HOST:PORT; "
            "give the option or set PROMETHEUS_URL"
        )
    try:
        headers = dict(header(text) for text in parsed.prometheus_header)
    except UnusableHeader as error:
        raise ValueError(f"--prometheus-header: {error}") from None
    token_file, ca_file = (
        _existing(option, given, key, stated)
        for option, given, key, stated in (
            (
                "--prometheus-bearer-token-file",
                parsed.prometheus_bearer_token_file,
                "prometheus.bearerTokenFile",
                configured.bearer_token_file,
            ),
            ("--prometheus-ca-file", parsed.prometheus_ca_file, "prometheus.caFile", configured.ca_file),
        )
    )
    given = parsed.prometheus_matcher
    matcher = (configured.matcher or "") if given is None else given
    if any(character in matcher for character in "{}[]()"):
        raise ValueError(
            f'--prometheus-matcher {matcher!r}: must be a label matcher without brackets, such as cluster="a"'
        )
    access = PrometheusAccess(
        url,
        bearer_token_file=token_file,
        ca_file=ca_file,
        headers=headers or configured.headers,
        timeout_seconds=timeout_seconds,
        labels=_labels(parsed.prometheus_label) or configured.labels.others,
    )
    return access, matcher


def _labels(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, label = text.partition("=")
        if not equals or name not in LabelNames.model_fields:
            raise ValueError(f"--prometheus-label {text!r}: must be namespace=LABEL or pod=LABEL")
        found[name] = label
    try:
        return LabelNames(**found).others
    except ValidationError:
        raise ValueError(
            f"--prometheus-label {', '.join(given)}: must be label names, such as kubernetes_pod_name"
        ) from None


def _existing(option: str, given: Path | None, key: str, configured: str | None) -> Path | None:
    path = given or (Path(configured) if configured else None)
    if path is not None and not path.is_file():
        source = option if given else f"{key} of the configuration"
        raise ValueError(f"{source} {path}: there is no such file")
    return path

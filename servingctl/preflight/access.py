"""What it means that Prometheus did not answer: the cause, and the way out."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from serving_io.errors import SignalUnavailable
from servingctl.preflight.finding import Finding, failed, ok, warning

CHECK = "Prometheus"


def reached(url: str, newest_seconds: float | None) -> Finding:
    """Judge a Prometheus that answers, by the age of the newest scrape of anything."""
    if newest_seconds is None:
        return failed(
            CHECK,
            f"{url} answers, and has scraped nothing",
            "give it a scrape configuration: manifests/prometheus/scrape-config.yaml",
        )
    if newest_seconds > 300:
        return warning(
            CHECK,
            f"{url} answers, and has scraped nothing for {newest_seconds:.0f} s",
            "see its page of targets",
        )
    return ok(CHECK, f"{url} answers")


def unreached(url: str, source: str, error: SignalUnavailable) -> Finding:
    """Judge one that does not: a wrong address, a refused token, something that is no Prometheus."""
    said, host = error.message, urlsplit(url).hostname or ""
    if error.reason == "QueryRefused" and (code := re.search(r"\b(401|403)\b", said)):
        return failed(
            CHECK,
            f"{url} refuses who asks (HTTP {code[1]})",
            "give a valid token by --prometheus-bearer-token-file, and the same to both programs; or the header that a proxy asks for",
        )
    if error.reason in ("QueryRefused", "Unreadable"):
        return failed(
            CHECK,
            f"{url} answers, but not as Prometheus does ({_short(said)})",
            f"correct the URL ({source}): with the path under which its API is, such as /prometheus, and no page of a proxy",
        )
    if "CERTIFICATE" in said.upper() or "SSL" in said:
        return failed(
            CHECK,
            f"{url}: its certificate is not trusted ({_short(said)})",
            "give its authority by --prometheus-ca-file",
        )
    if "." in host and host.endswith((".svc", ".cluster.local")):
        namespace, name = host.split(".")[1], host.split(".")[0]
        port = urlsplit(url).port or 80
        finding = f"{url} ({source}) is not reached from here: it is a name inside the cluster, or wrong"
        return failed(
            CHECK,
            finding,
            f"kubectl -n {namespace} port-forward service/{name} {port} and --prometheus-url http://localhost:{port}; if there is no such "
            f"service, correct the URL",
        )
    return failed(
        CHECK,
        f"{url} does not answer ({error.reason})",
        f"correct the URL ({source}), or see whether Prometheus runs there",
    )


def _short(said: str) -> str:
    return said if len(said) <= 120 else said[:117] + "…"

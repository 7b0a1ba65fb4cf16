"""`servingctl check`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import click

from autoscaler.prometheus_options import DEFAULT_URL
from serving_api.configuration import Configuration
from serving_api.headers import UnusableHeader, header
from serving_api.names import SYSTEM_NAMESPACE, ServiceKey
from serving_io.cluster import Cluster
from serving_io.errors import SignalUnavailable
from serving_io.prometheus import Prometheus, PrometheusAccess
from serving_operator.world import DEFAULT_SETTINGS
from servingctl.configured import Configured, configured
from servingctl.connecting import Where
from servingctl.exits import FOUND, OK, USAGE, Stop
from servingctl.observing import service
from servingctl.options import cluster_options, output_option, service_argument
from servingctl.output import show, width
from servingctl.preflight import access, ask, judge, objective, signals
from servingctl.preflight.finding import Finding, failed, text


@click.command()
@service_argument(required=False)
@click.option(
    "--system-namespace",
    default=SYSTEM_NAMESPACE,
    show_default=True,
    metavar="NAME",
    help="Where operator and autoscaler are installed.",
)
@click.option("--prometheus-url", metavar="URL", help="Where to ask; without it what the programs were told.")
@click.option(
    "--prometheus-bearer-token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Token for Prometheus.",
)
@click.option(
    "--prometheus-ca-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Certificate authority of an https Prometheus.",
)
@click.option(
    "--prometheus-header",
    multiple=True,
    metavar="NAME=VALUE",
    help="HTTP header for Prometheus; may be repeated.",
)
@click.option(
    "--prometheus-matcher",
    default="",
    metavar="MATCHER",
    help="Label matcher added to every query, such as 'cluster=\"a\"'; without it the configured one.",
)
@output_option
@cluster_options
def command(
    name: str | None,
    system_namespace: str,
    prometheus_url: str | None,
    prometheus_bearer_token_file: Path | None,
    prometheus_ca_file: Path | None,
    prometheus_header: tuple[str, ...],
    prometheus_matcher: str,
    output: str,
    where: Where,
) -> int:
    """Look whether everything that services need is there, and name what is missing.

    CRDs, operator and autoscaler at work, their rights, the Gateway API and its classes, Prometheus, and per signal:
    whether it is there, how old, and which label or scrape rule is missing. With NAME also that service's Gateways and
    signals. Nothing is changed.

    \b
    Examples:
      servingctl check
      servingctl check digits
      servingctl check digits --prometheus-url http://localhost:9090

    Exits with 1 if a check has failed; warnings, and what could not be looked at, exit with 0.
    """
    try:
        headers = dict(header(stated) for stated in prometheus_header)
    except UnusableHeader as error:
        raise Stop(f"--prometheus-header: {error}", USAGE) from None

    async def work(cluster: Cluster) -> list[Finding]:
        told, faults = await _told(cluster, system_namespace)
        findings = await ask.installed(cluster, system_namespace, told)
        live, target = None, None
        if name is not None and not any(
            entry.level == "Failed" and entry.check.startswith("CRD") for entry in findings
        ):
            live = await service(cluster, ServiceKey(where.namespace, name))
            if live is None:
                missing = f"there is none of this name in namespace {where.namespace}"
                findings.append(failed(f"InferenceService {name}", missing, "servingctl status -A"))
            else:
                findings += await ask.routed(cluster, live, told)
                target = await ask.target_of(cluster, live)
        prometheus = told.configuration.prometheus
        if prometheus_url:
            url, source = prometheus_url, "--prometheus-url"
        elif prometheus.url:
            url, source = prometheus.url, told.source
        else:
            url, source = DEFAULT_URL, "the autoscaler's default; nobody has said another"
        reach = PrometheusAccess(
            url,
            bearer_token_file=prometheus_bearer_token_file,
            ca_file=prometheus_ca_file,
            headers=headers or prometheus.headers,
            timeout_seconds=where.timeout_seconds,
            labels=prometheus.labels.others,
        )
        matcher = prometheus_matcher or prometheus.matcher or ""
        return [*findings, *faults, *await _signals(reach, source, target, matcher)]

    findings = where.ask(work)
    show([finding.wire() for finding in findings], output, text(findings, width=width()))
    return FOUND if any(finding.level == "Failed" for finding in findings) else OK


async def _told(cluster: Cluster, system_namespace: str) -> tuple[Configured, list[Finding]]:
    """Return what the programs were told, and what of it they would not start with."""
    try:
        return await configured(cluster, system_namespace), []
    except ValueError as error:
        remedy = "the programs do not start with it; see docs/install.md"
        nothing = Configured(
            Configuration(), DEFAULT_SETTINGS, "the programs would refuse it", is_known=False
        )
        return nothing, [failed("configuration", str(error), remedy)]


async def _signals(
    reach: PrometheusAccess, source: str, target: signals.Target | None, matcher: str
) -> list[Finding]:
    try:
        prometheus = Prometheus(reach)
    except ValueError as error:
        return [failed(access.CHECK, str(error), f"correct it ({source})")]
    try:
        try:
            findings = [access.reached(reach.url, await ask.newest_scrape(prometheus))]
        except SignalUnavailable as error:
            return [access.unreached(reach.url, source, error)]
        profiles = signals.profiles_of(target)
        looked_for = signals.wanted(profiles, target)
        readings = await ask.readings(prometheus, looked_for, matcher)
        now, ready = time.time(), None if target is None else target.ready_pods
        pairs = list(zip(looked_for, readings, strict=True))
        findings += [judge.judge(signal, reading, now, ready) for signal, reading in signals.telling(pairs)]
        findings += signals.unused(pairs)
        if target is not None:
            findings += judge.together(pairs, target.evidence)
            findings += _buckets(profiles, pairs, target)
        is_found = any(
            reading.own
            for signal, reading in pairs
            if signal.what != "scraped" and isinstance(reading.own, list)
        )
        name, recorded = await ask.recorded(prometheus)
        return [*findings, judge.rules(recorded, is_found, name)]
    finally:
        prometheus.close()
        await asyncio.sleep(0)


def _buckets(
    profiles: list[Any], pairs: list[tuple[signals.Signal, signals.Reading]], target: signals.Target
) -> list[Finding]:
    if target.threshold_milliseconds is None:
        return []
    by_metric = {signal.metric.name: reading for signal, reading in pairs}
    found = [
        objective.bucket(profile, by_metric[profile.buckets.name], target.threshold_milliseconds)
        for profile in profiles
        if profile.durations == "sojourn" and profile.buckets.name in by_metric
    ]
    return [finding for finding in found if finding is not None]

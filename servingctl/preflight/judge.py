"""Per signal: is it in Prometheus, how old is it, and which label or scrape rule is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from autoscaler.signals.queries import ROUTE_OF_CLUSTER
from serving_operator.evidence.sources import ENVOY_GATEWAY, ISTIO, RUNTIME
from servingctl.preflight.finding import Finding, Unasked, failed, ok, unknown, warning
from servingctl.preflight.signals import CLUSTER, Answer, Reading, Series, Signal

FRESH_SECONDS: Final = 90.0
"""Older than this a signal is called stale: the longest scrape interval that is supported is 60 s."""
HA_LABELS: Final = frozenset({"job", "prometheus", "prometheus_replica", "replica"})
"""Copies that differ in these are counted once."""
TARGET_LABELS: Final = HA_LABELS | {"instance", "endpoint", "service", "container", "scrape_pool"}
"""What a scrape adds to a series: two that differ in nothing else are one, scraped twice."""
SCRAPE: Final = "load manifests/prometheus/scrape-config.yaml into Prometheus"
RELABEL: Final = (
    "add the relabelling of manifests/prometheus/scrape-config.yaml: __meta_kubernetes_namespace to namespace, "
    "__meta_kubernetes_pod_name to pod"
)
PROXIES: Final = "let Prometheus scrape the Gateway's proxies, with a cluster's statistics per backend"
BY_BACKEND: Final = "httproute/NAMESPACE/ROUTE/rule/N/backend/SERVICE"


def judge(signal: Signal, reading: Reading, now: float, ready_pods: int | None) -> Finding:
    """Say what is to be said of one signal."""
    check = f"signal {signal.what} ({signal.metric.name})"
    if isinstance(reading.own, Unasked):
        return unknown(check, reading.own)
    if not reading.own:
        if signal.source == "pods":
            return _absent(check, signal, reading.others, ready_pods)
        return _uncounted(check, signal, reading.others)
    unlabelled = _unlabelled(signal, reading.own)
    if unlabelled:
        return failed(check, f"series lack the label {unlabelled}", RELABEL)
    age = now - max(series.sampled_at for series in reading.own)
    if age > FRESH_SECONDS:
        return failed(
            check,
            f"found, but the newest sample is {age:.0f} s old: it is scraped no longer",
            "see Prometheus' page of targets",
        )
    # Two containers of a pod may well be scraped; what they count is another thing.
    differing = "" if signal.what == "scraped" else doubled(reading.own)
    if differing:
        return failed(
            check,
            f"the same pods are scraped twice: series differ in {differing} only, and would count double",
            "remove the second scrape job, PodMonitor or annotation that finds these pods",
        )
    return ok(check, f"{len(reading.own)} series, the newest {max(age, 0):.0f} s old")


def together(pairs: Sequence[tuple[Signal, Reading]], evidence: str) -> list[Finding]:
    """Say that a Gateway counts the backends of a service's route together; nothing where it does not."""
    names = {
        series.labels.get(CLUSTER, "")
        for signal, reading in pairs
        if signal.source != "pods" and not isinstance(reading.own, Unasked)
        for series in reading.own
    }
    if not names or not all(re.fullmatch(ROUTE_OF_CLUSTER, name) for name in names):
        return []
    check = "clusters of the Gateway"
    words = (
        f"the Gateway counts a route's backends together ({min(names)}): the autoscaler splits them by the rollout's weights, "
        f"and analysis.source {ENVOY_GATEWAY} cannot judge a canary"
    )
    if evidence != ENVOY_GATEWAY:
        return [ok(check, f"{words}; use {RUNTIME} or {ISTIO}")]
    remedy = f"set rollout.analysis.source to {RUNTIME} or {ISTIO}, or use a Gateway that names clusters {BY_BACKEND}"
    return [warning(check, words, remedy)]


def doubled(found: Sequence[Series]) -> str:
    """Return the labels, with values, in which copies of one series differ that would be counted twice; else empty."""
    groups: dict[frozenset[tuple[str, str]], set[frozenset[tuple[str, str]]]] = {}
    for series in found:
        labels = {pair for pair in series.labels.items() if pair[0] not in HA_LABELS}
        inner = frozenset(pair for pair in labels if pair[0] not in TARGET_LABELS)
        groups.setdefault(inner, set()).add(frozenset(labels - inner))
    for inner, copies in groups.items():
        if len(copies) > 1 and "pod" in dict(inner):
            names = sorted({name for copy in copies for name, _ in copy ^ next(iter(copies))})
            return ", ".join(
                f"{name} ({' and '.join(sorted({dict(copy).get(name, '-') for copy in copies}))})"
                for name in names
            )
    return ""


def rules(recorded: Reading, signals_found: bool, name: str) -> Finding:
    """Say whether the recording rules are loaded."""
    check = "recording rules"
    if isinstance(recorded.own, Unasked):
        return unknown(check, recorded.own)
    if recorded.own:
        return ok(check, f"{name} is recorded")
    if not signals_found:
        return unknown(check, Unasked("there is nothing to record yet"))
    return warning(
        check,
        f"{name} is not there: dashboards and alerts show nothing",
        "load manifests/prometheus/rules.yaml (rule_files); if it is loaded, scrape every 15 s at most: its windows of 60 s "
        "hold too few scrapes of the usual interval of a minute",
    )


def _absent(check: str, signal: Signal, others: Answer, ready_pods: int | None) -> Finding:
    if signal.what == "scraped":
        if not signal.deployments:
            return failed(check, "Prometheus scrapes nothing at all", SCRAPE)
        if ready_pods == 0:
            return unknown(check, Unasked("no pod is ready yet"))
        words = "Prometheus does not scrape the pods of this service, or their targets lack the labels namespace and pod"
        return failed(check, words, SCRAPE)
    if isinstance(others, Unasked) or not others:
        words = (
            "no series yet: it appears with the first request"
            if signal.lazy
            else "Prometheus has no series of it"
        )
        return unknown(check, Unasked(words)) if signal.lazy else failed(check, words, SCRAPE)
    lacking = _unlabelled(signal, others)
    if lacking:
        return failed(
            check,
            f"series are there, but lack the label {lacking}, so nobody can tell whose they are",
            RELABEL,
        )
    words = "others have it, this service has no series yet"
    return (
        unknown(check, Unasked(f"{words}: it appears with the first request"))
        if signal.lazy
        else failed(check, words, SCRAPE)
    )


def _uncounted(check: str, signal: Signal, others: Answer) -> Finding:
    """Judge what no cluster of the service's route has, nor of any route where no service is named."""
    if signal.lazy:
        return ok(check, "nothing of it was counted yet")
    judged = failed if signal.is_only_source else warning
    if isinstance(others, Unasked) or not others:
        return judged(check, "Prometheus has no series of it", PROXIES)
    names = sorted({series.labels.get(CLUSTER, "-") for series in others})
    counted = f"clusters are named {', '.join(names[:3])}"
    if not signal.deployments:
        return unknown(check, Unasked(f"the Gateway counts for no route yet ({counted})"))
    if any(name.startswith("httproute/") for name in names):
        remedy = f"see whether the Gateway has accepted the route, and {PROXIES}"
        return judged(check, f"the Gateway counts for other routes only ({counted})", remedy)
    words = f"the Gateway counts neither by route nor by backend ({counted})"
    return judged(check, words, f"use a Gateway that names clusters {BY_BACKEND}, or without its end")


def _unlabelled(signal: Signal, found: Sequence[Series]) -> str:
    if signal.source != "pods" or (signal.what == "scraped" and not signal.deployments):
        return ""
    lacking = [_lacks(series) for series in found]
    return lacking[0] if all(lacking) else ""


def _lacks(series: Series) -> str:
    return next((label for label in ("namespace", "pod") if not series.labels.get(label)), "")

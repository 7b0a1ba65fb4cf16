"""Per signal: is it in Prometheus, how old is it, and which label or scrape rule is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from autoscaler.signals.queries import CLUSTER_OF_BACKEND
from servingctl.preflight.finding import Finding, Unasked, failed, ok, unknown, warning
from servingctl.preflight.signals import Answer, Reading, Series, Signal

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


def judge(signal: Signal, reading: Reading, now: float, ready_pods: int | None) -> Finding:
    """Say what is to be said of one signal."""
    check = f"signal {signal.what} ({signal.metric.name})"
    if isinstance(reading.own, Unasked):
        return unknown(check, reading.own)
    if not reading.own:
        return _absent(check, signal, reading.others, ready_pods)
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
        "load manifests/prometheus/rules.yaml (rule_files)",
    )


def _absent(check: str, signal: Signal, others: Answer, ready_pods: int | None) -> Finding:
    if signal.what == "scraped":
        if not signal.deployments:
            return failed(check, "Prometheus scrapes nothing at all", SCRAPE)
        if ready_pods == 0:
            return unknown(check, Unasked("no pod is ready yet"))
        words = "Prometheus does not scrape the pods of this service, or their targets lack the labels namespace and pod"
        return failed(check, words, SCRAPE)
    if signal.source != "pods" and signal.lazy:
        return ok(check, "nothing of it was counted yet")
    if isinstance(others, Unasked) or not others:
        words = (
            "no series yet: it appears with the first request"
            if signal.lazy
            else "Prometheus has no series of it"
        )
        if signal.source != "pods":
            judged = failed if signal.is_only_source else warning
            return judged(
                check,
                words,
                "let Prometheus scrape the Gateway's proxies, with a cluster's statistics per backend",
            )
        return unknown(check, Unasked(words)) if signal.lazy else failed(check, words, SCRAPE)
    lacking = _unlabelled(signal, others)
    if lacking and signal.source == "pods":
        return failed(
            check,
            f"series are there, but lack the label {lacking}, so nobody can tell whose they are",
            RELABEL,
        )
    if lacking:
        names = sorted({series.labels.get("envoy_cluster_name", "-") for series in others})[:3]
        words = f"the Gateway counts, but not per backend of a route (clusters are named {', '.join(names)})"
        return warning(
            check, words, "use a Gateway that names clusters httproute/NAMESPACE/ROUTE/rule/N/backend/SERVICE"
        )
    words = "others have it, this service has no series yet"
    return (
        unknown(check, Unasked(f"{words}: it appears with the first request"))
        if signal.lazy
        else failed(check, words, SCRAPE)
    )


def _unlabelled(signal: Signal, found: Sequence[Series]) -> str:
    if signal.source != "pods":
        named = any(
            re.fullmatch(CLUSTER_OF_BACKEND, series.labels.get("envoy_cluster_name", "")) for series in found
        )
        return "" if named else "envoy_cluster_name"
    if signal.what == "scraped" and not signal.deployments:
        return ""
    lacking = [_lacks(series) for series in found]
    return lacking[0] if all(lacking) else ""


def _lacks(series: Series) -> str:
    return next((label for label in ("namespace", "pod") if not series.labels.get(label)), "")

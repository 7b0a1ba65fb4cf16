"""The questions to Prometheus: one per signal for all canaries of a source, raw counters, summed per exporter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from serving_operator.evidence.sources import Metric, Source

REPLICAS: Final = ("job", "prometheus", "prometheus_replica", "replica")
"""Labels by which the same series of a Prometheus pair, or of two jobs for one target, differ."""
EXPORTER: Final = ("namespace", "pod", "instance")
"""Who exports a series: a pod, or an address where no pod is known."""
ALL: Final = "all"
GOOD: Final = "good"
ANSWERED: Final = "answered"
FAILED: Final = "failed"
INFINITE: Final = "+Inf"


def questions(source: Source, bounds: Iterable[str], matcher: str = "") -> dict[str, str]:
    """PromQL by signal. `bounds`: the `le` values to read beside +Inf; `matcher` is added to every selector."""
    found = sorted(set(bounds))
    asked = {ALL: _counter(source, _bounded(source.buckets, (*found, INFINITE)), matcher, "le")}
    if source.good and found:
        good = Metric(source.buckets.name, _and(source.buckets.matchers, source.good))
        asked[GOOD] = _counter(source, _bounded(good, found), matcher, "le")
    counters: dict[str, Metric] = {}
    if source.answered:
        counters[ANSWERED] = source.answered
    if source.failed:
        counters[FAILED] = source.failed
    counters |= {metric.name: metric for metric in source.aborted}
    return asked | {name: _counter(source, metric, matcher) for name, metric in counters.items()}


def bounds_question(source: Source, matcher: str = "") -> str:
    """Which `le` values the histogram has."""
    return f"count by (le) ({_selector(source.buckets, matcher)})"


def pulse_question(matcher: str = "") -> str:
    """When anything was scraped last: whether Prometheus itself saw anything at a point of the grid."""
    return f"max(timestamp({_selector(Metric('up'), matcher)}))"


def failing_question(matcher: str = "") -> str:
    """Exporters whose scrapes fail: what they have counted meanwhile is not new when it is seen again."""
    return f"max by ({', '.join(EXPORTER)}) ({_selector(Metric('up'), matcher)} == 0)"


def exporter_of(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Who exports a series."""
    if labels.get("pod"):
        return labels.get("namespace", ""), labels["pod"]
    return ("", labels.get("instance", ""))


def replica_of(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Which of several copies of a series this is; two addresses of one pod are two views of it."""
    return tuple(labels.get(label, "") for label in (*REPLICAS, "instance"))


def _counter(source: Source, metric: Metric, matcher: str, *more: str) -> str:
    by = dict.fromkeys((*source.naming.labels, *EXPORTER, *REPLICAS, *more))
    return f"sum by ({', '.join(by)}) ({_selector(metric, matcher)})"


def _bounded(metric: Metric, bounds: Iterable[str]) -> Metric:
    choice = "|".join(bound.replace("+", r"\\+").replace(".", r"\\.") for bound in bounds)
    return Metric(metric.name, _and(metric.matchers, f'le=~"{choice}"'))


def _selector(metric: Metric, matcher: str) -> str:
    return f"{metric.name}{{{_and(metric.matchers, matcher)}}}"


def _and(*matchers: str) -> str:
    return ", ".join(matcher for matcher in matchers if matcher)

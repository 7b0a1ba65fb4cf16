"""Which metrics a query names, and which there are: of our programs, of what they read, of the recording rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry

from autoscaler.metrics import Metrics as AutoscalerMetrics
from serving_operator.metrics import Metrics as OperatorMetrics
from serving_operator.workqueue import WorkQueue
from tests.fakes.prometheus import page

ROOT = Path(__file__).parents[2]
RULES = ROOT / "manifests" / "prometheus"
PAGES = ROOT / "tests" / "autoscaler" / "pages"
OF_PROMETHEUS = {"up", "ALERTS"}
"""Prometheus makes them itself: of each scrape, and of the alerts that it evaluates."""

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTORS = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]")
_LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")
_WORDS = re.compile(r"(?<![\w:.$])([a-zA-Z_:][\w:]*)\b(?!\s*\()")
_OPERATORS = {
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
}


def names_in(promql: str) -> set[str]:
    """Return the metrics that a query names: what is left without text, labels, ranges, functions and operators."""
    for ignored in (_TEXT, _SELECTORS, _LABELS):
        promql = ignored.sub(" ", promql)
    return set(_WORDS.findall(promql)) - _OPERATORS


def exported() -> set[str]:
    """Return the names of all series that our programs can export."""
    operator, registry = OperatorMetrics(), CollectorRegistry()
    operator.watch_queue(WorkQueue(operator), workers=1)
    AutoscalerMetrics(registry)
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return {
        family.name + suffix
        for exporter in (operator.registry, registry)
        for family in exporter.collect()
        for suffix in suffixes.get(family.type, ("",))
    }


def scraped() -> set[str]:
    """Return the names of all series on the recorded pages of model server and gateway."""
    texts = (path.read_text(encoding="utf-8") for path in PAGES.glob("*.txt"))
    return {dict(labels)["__name__"] for text in texts for labels in page(text)}


def rules() -> Iterator[dict[str, Any]]:
    """Return the shipped recording rules and alerts, in the order in which they are evaluated."""
    for name in ("rules", "objectives", "alerts"):
        for group in yaml.safe_load((RULES / f"{name}.yaml").read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def recorded() -> set[str]:
    """Return the names that the recording rules make."""
    return {rule["record"] for rule in rules() if "record" in rule}


def known() -> set[str]:
    """Return every name that a query may name."""
    return exported() | scraped() | recorded() | OF_PROMETHEUS

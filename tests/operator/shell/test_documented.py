"""What the programs say of themselves stands in the documents: metrics, reasons and events."""

from __future__ import annotations

import re
from pathlib import Path
from unittest import mock

import pytest
from prometheus_client import CollectorRegistry

from autoscaler.metrics import Metrics as AutoscalerMetrics
from serving_operator.metrics import Metrics
from serving_operator.status.diagnosis import _GRAVITY

DOCS = Path(__file__).parents[3] / "docs"
ROOT = DOCS.parent


def stated(module: str) -> set[str]:
    """The words of a module that look like a reason."""
    source = (ROOT / module).read_text()
    return set(re.findall(r'"([A-Z][a-z]+(?:[A-Z][a-z]+)*)"', source))


def test_every_metric_is_documented() -> None:
    """By its whole name, or in the table of those that begin alike."""
    page = (DOCS / "metrics.md").read_text()
    operator, registry = Metrics(), CollectorRegistry()
    queue = mock.Mock(depth=0, running=0, unfinished_seconds=float, longest_running_seconds=float)
    operator.watch_queue(queue, 1)
    AutoscalerMetrics(registry)
    families = [*operator.registry.collect(), *registry.collect()]
    names = {f"{one.name}_total" if one.type == "counter" else one.name for one in families}
    assert len(names) > 30
    missing = {
        name
        for name in names
        if f"`{name.removeprefix('serving_autoscaler_')}`" not in page and f"`{name}`" not in page
    }
    assert missing == set()


@pytest.mark.parametrize(
    ("module", "left_out"),
    [
        ("autoscaler/decide.py", set()),
        ("autoscaler/conditions.py", {"True", "False", "Unknown"}),
        ("serving_operator/rollout/commands.py", {"Abort", "Promote", "Retry"}),
        ("serving_operator/status/events.py", {"Normal", "Warning", "Rollout", "Good", "Bad", "Inconclusive", "True"}),
    ],
)  # fmt: skip
def test_every_reason_is_documented(module: str, left_out: set[str]) -> None:
    """Of decisions, conditions, commands and events."""
    page = (DOCS / "conditions.md").read_text()
    assert {reason for reason in stated(module) - left_out if reason not in page} == set()


def test_every_cause_of_pods_is_documented() -> None:
    """With what helps."""
    page = (DOCS / "conditions.md").read_text()
    assert [cause for cause in _GRAVITY if f"| `{cause}` |" not in page] == []

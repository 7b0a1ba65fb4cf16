"""Every panel of the dashboards finds data in a real Prometheus that has what the programs export.

The programs show a service that is limited in the middle of a judged rollout; the gateway's page is a recorded one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import httpx
import pytest
from prometheus_client import CollectorRegistry

from autoscaler.metrics import Metrics as AutoscalerMetrics
from loadtests.demo.dashboard import queries
from serving_api.names import ServiceKey
from serving_operator.judge.verdict import limits_of
from serving_operator.judge.windows import NOT_YET_READ, Evidence, Window
from serving_operator.metrics import Metrics as OperatorMetrics
from serving_operator.workqueue import WorkQueue
from tests.autoscaler.world import Revision, World
from tests.contract.prometheus import queried
from tests.contract.remote_write import Series, write
from tests.fakes.prometheus import page
from tests.manifests.metrics import PAGES, rules
from tests.manifests.test_dashboards import NAMES

pytestmark = pytest.mark.real_api

STEP_SECONDS, MINUTES = 15, 10
STABLE, CANARY = "aaaa1111", "bbbb2222"
SERVICE = {"namespace": "demo", "service": "digits"}
Reading = tuple[dict[str, str], float, bool]
"""Labels, the name among them, the value, and whether it is a counter."""
ALERT = {"__name__": "ALERTS", "alertname": "ServingScalingLimited", "alertstate": "firing"}


def operator() -> CollectorRegistry:
    """The operator at work, as it shows itself."""
    metrics = OperatorMetrics()
    metrics.watch_queue(WorkQueue(metrics), workers=8)
    metrics.leads(True)
    metrics.taken(0.1)
    metrics.finished("success", 0.1)
    metrics.requested("GET", "200", 0.01)
    evidence = Evidence(
        f"{CANARY}-2",
        datetime.now(UTC),
        "envoy-gateway",
        (Window(40, 1, 60, 0),),
        missing=NOT_YET_READ,
        limits=limits_of(99),
    )
    conditions = (
        ("Ready", "True", "NeedReady"),
        ("Servable", "True", "ReadyPods"),
        ("UpToDate", "False", "CollectingEvidence"),
    )
    status = {
        "canary": {"id": f"{CANARY}-2", "revision": CANARY},
        "conditions": [
            {"type": type_, "status": status, "reason": reason} for type_, status, reason in conditions
        ],
    }
    metrics.service_seen(
        ServiceKey(namespace="demo", name="digits"), status, {STABLE: 60, CANARY: 40}, evidence
    )
    return metrics.registry


def autoscaler() -> CollectorRegistry:
    """The autoscaler after minutes of a load that its bound is too low for, as it shows itself."""
    registry = CollectorRegistry()
    metrics = AutoscalerMetrics(registry)
    bounds = {"maxReplicas": 2}
    world = World(
        Revision(f"digits-{STABLE}", gpu=1.5, spec=bounds),
        Revision(f"digits-{CANARY}", spec=bounds),
        rate=lambda _: 20.0,
    )
    world.run(120)
    metrics.show(world.tick().reports)
    metrics.show_conditions(world.objects().autoscalers)
    metrics.leads(True)
    metrics.tick_seconds.observe(0.1)
    metrics.queries.labels("Answered").inc()
    return registry


def shown(registry: CollectorRegistry) -> Iterator[Reading]:
    """What a program shows."""
    for family in registry.collect():
        for sample in family.samples:
            labels = {**sample.labels, "__name__": sample.name}
            yield labels, sample.value, family.type in ("counter", "histogram")


def scraped(readings: Iterable[Reading], pod: str, until: float) -> Iterator[Series]:
    """What Prometheus has of a pod after minutes of scrapes: counters have grown."""
    steps = range(MINUTES * 60 // STEP_SECONDS)
    times = [until - STEP_SECONDS * (len(steps) - 1 - step) for step in steps]
    for labels, value, grows in readings:
        values = [(value + 1) * step if grows else value for step in steps]
        yield {"namespace": "serving-system", "pod": pod, **labels}, list(zip(times, values, strict=True))


def record(url: str, until: float) -> None:
    """Evaluate the recording rules, in their order, for the last minutes."""
    for rule in rules():
        if "record" not in rule:
            continue
        asked = {
            "query": rule["expr"],
            "start": str(until - 300),
            "end": str(until),
            "step": str(STEP_SECONDS),
        }
        answer = httpx.post(f"{url}/api/v1/query_range", data=asked)
        assert answer.is_success, (rule["record"], answer.text)
        labels = {**rule.get("labels", {}), "__name__": rule["record"]}
        write(
            url,
            [
                ({**found["metric"], **labels}, [(at, float(value)) for at, value in found["values"]])
                for found in answer.json()["data"]["result"]
            ],
        )


def test_every_panel_has_data(prometheus: str) -> None:
    """Each query of each dashboard is answered with a number, also those that are silent while all is well."""
    until = float(int(time.time()))
    envoy = page((PAGES / "envoy-1.40.0.txt").read_text())
    series = [
        *scraped(shown(operator()), "serving-operator-a", until),
        *scraped(shown(autoscaler()), "serving-autoscaler-a", until),
        *scraped(((dict(labels), value, True) for labels, value in envoy.items()), "envoy-a", until),
        ({**ALERT, **SERVICE, "severity": "warning"}, [(until, 1.0)]),
    ]
    write(prometheus, series)
    record(prometheus, until)

    silent = {
        (name, query.panel, query.promql)
        for name in NAMES
        for query in queries("demo", "digits", name)
        if all(found["value"][1] == "NaN" for found in queried(prometheus, query.promql, until))
    }
    assert not silent

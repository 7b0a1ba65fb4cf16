"""No data is not no traffic: while Prometheus is silent or worthless nothing is scaled down, and status says why."""

from __future__ import annotations

import time

import pytest

from localcluster.cluster import Cluster
from serving_io import kinds
from tests.system.audit import Audit
from tests.system.failures import component_halted, prometheus_at
from tests.system.kube import Kube, Manifest, condition
from tests.system.load import Load
from tests.system.prometheus_between import (
    PrometheusBetween,
    Rewrite,
    as_it_is,
    emptied,
    not_a_number,
    stale,
)
from tests.system.services import first_revision, web_service

REPLICAS = 3
OUTAGE_SECONDS = 90
ANSWERS_OF_A_HOLD = 15
"""Answers in a hold of 10 seconds and more: at least five questions a tick of five seconds."""

pytestmark = pytest.mark.outage


def generous(host: str, least: int) -> Manifest:
    """A service with more replicas than its load takes, if `least` says so; it lets go of them quickly."""
    return web_service(
        host=host,
        spec__predictor__minReplicas=least,
        spec__scaling__scaleDownHoldSeconds=10,
        spec__predictor__container__env=[{"name": "WORK_MS", "value": "1"}],
    )


def replicas(kube: Kube, namespace: str) -> int:
    """Replicas that the service's one Deployment is told to have."""
    (deployment,) = kube.list(kinds.DEPLOYMENT, namespace)
    return int(deployment["spec"]["replicas"])


def signals(kube: Kube, namespace: str) -> Manifest:
    """The condition SignalsAvailable of the service's one autoscaler."""
    (autoscaler,) = kube.list(kinds.INFERENCE_AUTOSCALER, namespace)
    return condition(autoscaler.get("status") or {}, "SignalsAvailable")


def signals_are(kube: Kube, namespace: str, status: str, reason: str) -> None:
    """Wait until SignalsAvailable says so."""
    kube.until(
        f"SignalsAvailable is {status} because of {reason}",
        lambda: (
            (said := signals(kube, namespace)).get("status") == status and said["reason"] == reason and said
        ),
    )


def scale_writes(audit: Audit, namespace: str) -> int:
    """How often the autoscaler wrote a number of replicas."""
    return len(
        [w for w in audit.writes("autoscaler") if w.namespace == namespace and w.subresource == "scale"]
    )


def test_prometheus_is_gone_or_worthless(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """While a scale-down is due Prometheus is halted for 90 s, then answers nothing, NaN and stale data: none comes.

    Each of these is told apart, and good data ends it without a person.
    """
    host = f"{namespace}.example.com"
    worthless: dict[str, Rewrite] = {"NoSeries": emptied, "NotFinite": not_a_number, "Stale": stale}
    with PrometheusBetween(cluster.prometheus_url) as between, prometheus_at(kube, between.url):
        first_revision(kube, namespace, generous(host, REPLICAS))
        with Load(cluster, host, rate=5) as load:
            signals_are(kube, namespace, "True", "Fresh")
            audit = Audit(cluster)
            with component_halted(cluster, "prometheus"):
                ends = time.monotonic() + OUTAGE_SECONDS
                signals_are(kube, namespace, "False", "PrometheusUnreachable")
                kube.apply(namespace, generous(host, 1))
                time.sleep(max(0.0, ends - time.monotonic()))

                assert replicas(kube, namespace) == REPLICAS
                between.answer_by(emptied)  # before it is back: nothing good is seen in between
            for reason, rewrite in worthless.items():
                between.answer_by(rewrite)
                signals_are(kube, namespace, "False", reason)
                kube.until("a hold has passed", lambda: between.answered >= ANSWERS_OF_A_HOLD)

                assert replicas(kube, namespace) == REPLICAS, reason
            assert scale_writes(audit, namespace) == 0
            between.answer_by(as_it_is)
            signals_are(kube, namespace, "True", "Fresh")
            kube.until("the scale-down that was due comes", lambda: replicas(kube, namespace) < REPLICAS)

    assert load.bad() == []

"""No data is not no traffic, and no evidence: without Prometheus nothing is scaled down, promoted or rejected, and
status says why."""

from __future__ import annotations

import math
import time

import pytest

from localcluster.cluster import Cluster
from serving_io import kinds
from serving_operator.judge.windows import GRID_SECONDS
from tests.system.audit import Audit
from tests.system.failures import OPERATOR, component_halted, kill_container, program_pod, prometheus_at
from tests.system.judging import (
    WINDOW_SECONDS,
    age_seconds,
    arrived,
    at_step,
    judged,
    unix,
    waits_for,
)
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
from tests.system.services import committed, first_revision, web_service

REPLICAS = 3
GENEROUS = "serving-operator.dev/service=digits"
OUTAGE_SECONDS = 90
ANSWERS_OF_A_HOLD = 15
"""Answers in a hold of 10 seconds and more: at least five questions a tick of five seconds."""
SCRAPE_SECONDS = 5.0
MARGIN_SECONDS = 1.0
"""For which a scrape may be late, or Envoy take until it has counted what a client has seen."""
DEADLINE_SECONDS = 60
"""Of a step: shorter than the outage, and twice what its first window takes to be read."""

pytestmark = [pytest.mark.disruptive, pytest.mark.lengthy]


def generous(host: str, least: int) -> Manifest:
    """A service with more replicas than its load takes, if `least` says so; it lets go of them quickly."""
    return web_service(
        host=host,
        spec__predictor__minReplicas=least,
        spec__scaling__scaleDownHoldSeconds=10,
        spec__predictor__container__env=[{"name": "WORK_MS", "value": "1"}],
    )


def replicas(kube: Kube, namespace: str) -> int:
    """Replicas that the generous service's one Deployment is told to have."""
    (deployment,) = kube.list(kinds.DEPLOYMENT, namespace, GENEROUS)
    return int(deployment["spec"]["replicas"])


def signals(kube: Kube, namespace: str) -> Manifest:
    """The condition SignalsAvailable of the generous service's one autoscaler."""
    (autoscaler,) = kube.list(kinds.INFERENCE_AUTOSCALER, namespace, GENEROUS)
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
    """How often the autoscaler wrote a number of replicas of the generous service."""
    return len(
        [
            write
            for write in audit.writes("autoscaler")
            if write.namespace == namespace
            and write.subresource == "scale"
            and write.name.startswith("digits-")
        ]
    )


def impatient(name: str, host: str, version: str) -> Manifest:
    """A service that is judged twice, and whose canary has less time for that than Prometheus is gone."""
    return judged(
        host, version, 20, 60, name=name, stepDeadlineSeconds=DEADLINE_SECONDS, onInconclusive="Abort"
    )


def judged_through_a_restart(kube: Kube, namespace: str, name: str, host: str) -> Manifest:
    """Take a canary to its second step, with the operator killed at the first; return its status there.

    What was counted is what its clients saw: the operator begins no count anew.
    """
    with Load(kube.cluster, host, rate=20) as load:
        first = at_step(kube, namespace, impatient(name, host, "2"))
        kube.until("a window has ended", lambda: age_seconds(first) > GRID_SECONDS + WINDOW_SECONDS)
        load.set_rate(2)  # so that a count that began anew would be far too small
        kill_container(kube, program_pod(kube, OPERATOR))
        second = arrived(kube, namespace, 60, name)
    counted = second["evidence"]
    start = math.ceil(unix(first["stepStartedAt"]) / GRID_SECONDS) * GRID_SECONDS
    end = start + counted["windows"] * WINDOW_SECONDS
    uncertain = SCRAPE_SECONDS + MARGIN_SECONDS

    assert second["id"] == first["id"]
    assert (counted["verdict"], counted["step"]) == ("Good", 0)
    least = len(load.ended(first["revision"], start + MARGIN_SECONDS, end - uncertain))
    most = len(load.ended(first["revision"], start - uncertain, end + MARGIN_SECONDS))
    assert least <= counted["requests"] <= most
    assert load.bad() == []
    return second


def test_prometheus_is_gone_or_worthless(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """While a scale-down is due and a canary is judged Prometheus is halted for 90 s, then answers the autoscaler
    nothing, NaN and stale data. None of it scales down, each is told apart; the canary waits past its step's deadline
    and is neither promoted nor rejected. Good data ends both without a person.
    """
    host, canary_host = f"{namespace}.example.com", f"canary.{namespace}.example.com"
    worthless: dict[str, Rewrite] = {"NoSeries": emptied, "NotFinite": not_a_number, "Stale": stale}
    with PrometheusBetween(cluster.prometheus_url) as between, prometheus_at(kube, between.url):
        kube.apply(namespace, generous(host, REPLICAS))
        first_revision(kube, namespace, impatient("canary", canary_host, "1"))
        first_revision(kube, namespace, generous(host, REPLICAS))
        second = judged_through_a_restart(kube, namespace, "canary", canary_host)
        with Load(cluster, host, rate=5) as load, Load(cluster, canary_host, rate=10) as canary_load:
            signals_are(kube, namespace, "True", "Fresh")
            audit = Audit(cluster)
            with component_halted(cluster, "prometheus"):
                ends = time.monotonic() + OUTAGE_SECONDS
                signals_are(kube, namespace, "False", "PrometheusUnreachable")
                kube.apply(namespace, generous(host, 1))
                kube.until(
                    "the rollout says why",
                    lambda: waits_for(kube, namespace, "canary") == "PrometheusUnreachable",
                )
                time.sleep(max(0.0, ends - time.monotonic()))
                held = kube.status(namespace, "canary")

                assert age_seconds(second) > DEADLINE_SECONDS
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
            status = committed(kube, namespace, second["id"], "canary")

    assert held["canary"]["hold"]["reason"] == "PrometheusUnreachable"
    assert (held["canary"]["id"], held["canary"]["weight"]) == (second["id"], 60)
    assert "promotion" not in held["canary"]
    assert not status.get("rejected")
    assert load.bad() == []
    assert canary_load.bad() == []

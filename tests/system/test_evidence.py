"""What is counted from Envoy and Prometheus is what clients have seen, by revision."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import datetime

import pytest

from localcluster.cluster import Cluster
from serving_api.names import ServiceKey
from serving_io.prometheus import Prometheus, PrometheusAccess
from serving_operator.evidence.questions import Question
from serving_operator.evidence.reader import EvidenceReader
from serving_operator.evidence.reading import due_at
from serving_operator.judge.windows import Evidence
from tests.system.kube import PATIENCE_SECONDS, Kube
from tests.system.load import Load
from tests.system.services import canary_at_step, first_revision, web_service

WINDOWS = 3
THRESHOLD_MILLISECONDS = 300
SCRAPE_SECONDS = 5.0
UNDER_WAY = 3
"""Requests of the canary that may be under way at once: they come four a second, and take milliseconds."""
MARGIN_SECONDS = 1.0
"""For which a scrape may be late, or Envoy take until it has counted what a client has seen."""


async def read(prometheus: Prometheus, question: Question) -> Evidence:
    """What a reader that starts now counts of the first windows of a step."""
    reader = EvidenceReader(prometheus)
    reader.track(question.key, question)
    last = due_at(question, WINDOWS - 1)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.sleep(max(0.0, last - time.time()))
        while True:
            await reader.round()
            found = reader.evidence(question.key)
            assert found is not None
            if len(found.windows) >= WINDOWS:
                return replace(found, windows=found.windows[:WINDOWS])
            await asyncio.sleep(1)


@pytest.mark.lengthy
def test_windows_hold_what_clients_saw(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """Requests and bad ones of a failing canary and of stable agree with every client's own count, give or take one
    scrape; a reader that starts later counts the same integers."""
    host = f"{namespace}.example.com"
    stable = first_revision(kube, namespace, web_service(host=host))
    failing = web_service(version="2", host=host)
    failing["spec"]["predictor"]["container"]["env"].append({"name": "FAIL", "value": "1"})
    failing["spec"]["rollout"]["steps"] = [{"weight": 40}]
    prometheus = Prometheus(PrometheusAccess(cluster.prometheus_url, timeout_seconds=30))
    with Load(cluster, host, rate=10) as load:
        attempt = canary_at_step(kube, namespace, failing)
        status = kube.status(namespace)["canary"]
        canary = status["revision"]
        question = Question(
            key=ServiceKey(namespace, "digits"),
            attempt=attempt,
            canary=canary,
            stable=stable,
            source="envoy-gateway",
            profiles=("gateway", "gateway"),
            threshold_milliseconds=THRESHOLD_MILLISECONDS,
            window_seconds=20,
            started_at=datetime.fromisoformat(status["stepStartedAt"]),
        )
        evidence = asyncio.run(read(prometheus, question))
        again = asyncio.run(read(prometheus, question))
    prometheus.close()

    assert evidence.missing is None
    assert evidence.windows == again.windows
    uncertain = SCRAPE_SECONDS + MARGIN_SECONDS
    for index, window in enumerate(evidence.windows):
        start, end = question.window(index)
        for revision, requests in ((canary, window.requests), (stable, window.stable_requests)):
            least = len(load.ended(revision, start + MARGIN_SECONDS, end - uncertain))
            most = len(load.ended(revision, start - uncertain, end + MARGIN_SECONDS))
            assert least <= requests <= most, (revision, index, window)
            assert requests > 0
        # What is under way when a window ends has begun, and has not failed yet.
        assert window.requests - UNDER_WAY <= window.bad <= window.requests
        # Envoy shows its histograms up to five seconds late.
        near = load.ended(stable, start - uncertain - SCRAPE_SECONDS, end + MARGIN_SECONDS)
        late = [r for r in near if not r.is_success or r.response_seconds * 1000 > THRESHOLD_MILLISECONDS]
        assert window.stable_bad <= len(late), (index, window)

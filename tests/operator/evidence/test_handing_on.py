"""From the service's status to the reader, and from the reader to what is decided from."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from serving_io.cluster import Cluster, Listing
from serving_io.errors import NotFound
from serving_operator.cache import Cache
from serving_operator.evidence.reader import EvidenceReader
from serving_operator.judge.windows import Evidence, Window
from serving_operator.metrics import Metrics
from serving_operator.reconciler import Reconciler
from serving_operator.workqueue import WorkQueue
from serving_operator.world import DEFAULT_SETTINGS, Manifest, Plan, World
from tests.fakes.envoy import ENVOY_TARGET, Backend
from tests.fakes.prometheus import FakePrometheus
from tests.operator.evidence.test_questions import world
from tests.operator.evidence.worlds import CANARY, KEY, STABLE

pytestmark = pytest.mark.looptime


class NoCluster:
    """An API server that has nothing."""

    async def get(self, *_: Any) -> Manifest:
        raise NotFound(404, "NotFound", "nothing")

    async def list(self, *_: Any) -> Listing:
        return Listing([], "1")


async def test_each_pass_decides_from_the_newest_evidence() -> None:
    """A window that was counted makes the service run again, and its decision has it; without a canary there is none."""
    seen: list[Evidence | None] = []

    def decide(found: World, *_: object) -> Plan:
        seen.append(found.evidence)
        return Plan()

    known = world(
        recorded={
            "objective": {"thresholdMilliseconds": 300},
            "rollout": {"analysis": {"source": "envoy-gateway"}},
        }
    )
    cache, queue, prometheus = Cache(), WorkQueue(), FakePrometheus()
    service = known.service | {"kind": "InferenceService"}
    service["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    owner = {"kind": "InferenceService", "name": KEY.name, "uid": "u", "controller": True}
    cache.put(service)
    for record in known.objects.values():
        record["metadata"] |= {"namespace": KEY.namespace, "resourceVersion": "1", "ownerReferences": [owner]}
        cache.put(record)
    anchor = 1767225610  # the status says 2026-01-01T00:00:07Z
    for at, good in ((anchor, 0), (anchor + 30, 8)):
        exposed = Backend(STABLE, good=good).exposed | Backend(CANARY, good=good // 4).exposed
        prometheus.scrape(at, exposed, ENVOY_TARGET)
    reader = EvidenceReader(prometheus, changed=queue.add, now=lambda: anchor + 85)
    reconciler = Reconciler(
        cluster=cast(Cluster, NoCluster()),
        cache=cache,
        queue=queue,
        settings=DEFAULT_SETTINGS,
        metrics=Metrics(),
        decide=decide,
        routes_served=True,
        evidence=reader,
    )
    tasks = [
        asyncio.create_task(queue.run(reconciler.reconcile, workers=1)),
        asyncio.create_task(reader.run()),
    ]
    queue.add(KEY)
    await asyncio.sleep(10)

    first, last = seen[0], seen[-1]
    assert first is not None
    assert last is not None
    assert (first.windows, last.windows) == ((), (Window(2, 0, 8, 0),))
    assert len(seen) == 2

    status = {key: value for key, value in service["status"].items() if key != "canary"}
    ended = service | {
        "status": status,
        "metadata": service["metadata"] | {"resourceVersion": "2"},
    }
    cache.put(ended)
    queue.add(KEY)
    await asyncio.sleep(1)
    assert seen[-1] is None
    assert reader.evidence(KEY) is None
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

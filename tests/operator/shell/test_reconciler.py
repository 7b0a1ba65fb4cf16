"""One pass over one service, while things change around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from prometheus_client import generate_latest

from serving_api.names import ServiceKey
from serving_io.cluster import Cluster, Listing
from serving_io.errors import NotFound
from serving_operator.cache import Cache
from serving_operator.metrics import Metrics
from serving_operator.reconciler import Reconciler
from serving_operator.workqueue import WorkQueue
from serving_operator.world import DEFAULT_SETTINGS, Manifest, Plan, World, Write
from tests.operator.shell.surroundings import NAMESPACE, external

KEY = ServiceKey(NAMESPACE, "llama")


class NoCluster:
    """An API server that has nothing; `meanwhile` happens while it is asked for ResourceQuotas."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.meanwhile = meanwhile

    async def get(self, *_: Any) -> Manifest:
        raise NotFound(404, "NotFound", "nothing")

    async def list(self, *_: Any) -> Listing:
        self.meanwhile()
        return Listing([], "1")


def service(version: int, **metadata: Any) -> Manifest:
    """The service as the API server has it."""
    made = external()
    made["metadata"] |= {"uid": "u", "resourceVersion": str(version), "generation": 1} | metadata
    return made


def reconciler(cluster: NoCluster, cache: Cache, decide: Callable[..., Plan], metrics: Metrics) -> Reconciler:
    """One whose decisions are `decide`'s."""
    return Reconciler(
        cluster=cast(Cluster, cluster),
        cache=cache,
        queue=WorkQueue(),
        settings=DEFAULT_SETTINGS,
        metrics=metrics,
        decide=decide,
        routes_served=True,
    )


async def test_what_was_asked_for_an_older_spec_decides_nothing() -> None:
    """A service that is edited, labelled or made anew while others' state is asked for is decided in the next pass."""
    for edit in ({"generation": 2}, {"labels": {"promote": "1"}}, {"uid": "v"}):
        cache, seen = Cache(), list[Manifest]()

        def decide(world: World, *_: object, seen: list[Manifest] = seen) -> Plan:
            seen.append(world.service)
            return Plan()

        cache.put(service(1))
        edited = service(2, **edit)
        cluster = NoCluster(lambda cache=cache, edited=edited: cache.put(edited))  # type: ignore[misc]
        working = reconciler(cluster, cache, decide, Metrics())
        again = await working.reconcile(KEY)
        assert again is not None
        assert (again < 1, seen) == (True, [])

        await working.reconcile(KEY)
        assert [found["metadata"] for found in seen] == [edited["metadata"]]


async def test_a_service_that_a_live_read_does_not_find_is_forgotten() -> None:
    """A deletion that is noticed before the first creation, and not by the watch, leaves no metrics behind."""
    cache, metrics, plans = Cache(), Metrics(), [Plan()]
    told = {"conditions": [{"type": "Ready", "status": "True"}]}
    cache.put(service(1) | {"status": told})
    working = reconciler(NoCluster(), cache, lambda *_: plans[-1], metrics)
    await working.reconcile(KEY)
    assert b'"llama"' in generate_latest(metrics.registry)

    plans.append(Plan((Write("create", external("child"), "for a test"),)))
    assert await working.reconcile(KEY) is None
    assert cache.service(KEY) is None
    assert b'"llama"' not in generate_latest(metrics.registry)

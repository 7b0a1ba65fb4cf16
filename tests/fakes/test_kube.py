"""What the fake does beyond what a real API server can be asked: its knobs, its log, its history."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import kopf
import pytest

from serving_io import Expired, Forbidden, NotFound, TooManyRequests, Unavailable, kinds
from tests.fakes.kube import FakeKube
from tests.fakes.waiting import until


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    """A fake API server."""
    with FakeKube() as started:
        started.namespace("ns")
        yield started


def _config_map(name: str = "c", **data: str) -> dict[str, object]:
    metadata = {"name": name, "namespace": "ns"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def test_watch_after_compaction_has_expired(fake: FakeKube) -> None:
    """Whoever continues from a version before a compaction is told so, by WATCH and by continue token."""
    async with fake.cluster("alpha") as cluster:
        version = (await cluster.list(kinds.CONFIG_MAP)).resource_version
        await cluster.create(_config_map())
        fake.compact()
        with pytest.raises(Expired):
            async for _ in cluster.watch(kinds.CONFIG_MAP, version):
                pass


async def test_compaction_ends_watches(fake: FakeKube) -> None:
    """Watches end normally, so that their owners come back with the version they have."""
    async with fake.cluster("alpha") as cluster:
        version = (await cluster.list(kinds.CONFIG_MAP)).resource_version

        async def follow() -> list[str]:
            return [event.type async for event in cluster.watch(kinds.CONFIG_MAP, version)]

        task = asyncio.create_task(follow())
        await cluster.create(_config_map())
        await until(lambda: bool(fake.store.watchers))
        fake.compact()

        assert await asyncio.wait_for(task, 5) == ["ADDED"]


async def test_partition(fake: FakeKube) -> None:
    """Nothing is answered while it lasts."""
    async with fake.cluster("alpha") as cluster:
        with fake.partition(), pytest.raises(Unavailable):
            await cluster.get(kinds.CONFIG_MAP, "c", "ns")
        with pytest.raises(NotFound):
            await cluster.get(kinds.CONFIG_MAP, "c", "ns")


async def test_failures_on_demand(fake: FakeKube) -> None:
    """The next matching requests fail, others do not."""
    fake.fail(times=1, status=429, match=lambda verb, resource, name: verb == "create", retry_after=7)
    async with fake.cluster("alpha") as cluster:
        assert (await cluster.list(kinds.CONFIG_MAP)).items == []
        with pytest.raises(TooManyRequests) as refused:
            await cluster.create(_config_map())
        await cluster.create(_config_map())

    assert refused.value.retry_after == 7


async def test_log_tells_who_did_what(fake: FakeKube) -> None:
    """Requests are logged by user, verb and code; an apply that creates needs two permissions."""
    async with fake.cluster("alpha", user="operator") as cluster:
        await cluster.apply(_config_map())
        with pytest.raises(NotFound):
            await cluster.get(kinds.SECRET, "s", "ns")
    write, read = fake.log

    assert (write.user, write.verb, write.resource, write.code) == ("operator", "patch", "configmaps", 201)
    assert [check[0] for check in write.checks] == ["patch", "create"]
    assert (read.verb, read.code) == ("get", 404)
    assert fake.writes("operator") == [write]


async def test_rules_are_enforced(fake: FakeKube) -> None:
    """A user with rules may do what they allow, subresources apart."""
    rule = {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"]}
    fake.knobs.rules["autoscaler"] = [rule]
    async with fake.cluster("alpha", user="autoscaler") as cluster:
        with pytest.raises(NotFound):
            await cluster.apply_scale(kinds.DEPLOYMENT, "d", "ns", 1)
        with pytest.raises(Forbidden):
            await cluster.patch(kinds.DEPLOYMENT, "d", "ns", {"spec": {"replicas": 1}})


async def test_rules_of_a_role_hold_in_its_namespaces(fake: FakeKube) -> None:
    """Elsewhere they allow nothing, nor does a review that asks about the whole cluster."""
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "namespaces": ["ns"]}
    fake.knobs.rules["operator"] = [rule]
    about = {"verb": "get", "resource": "secrets"}
    kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}}
    reviews = [
        kind | {"spec": {"user": "operator", "resourceAttributes": about | place}}
        for place in ({"namespace": "ns"}, {"namespace": "elsewhere"}, {})
    ]
    async with fake.cluster("alpha", user="operator") as cluster:
        with pytest.raises(NotFound):
            await cluster.get(kinds.SECRET, "s", "ns")
        with pytest.raises(Forbidden):
            await cluster.get(kinds.SECRET, "s", "elsewhere")
    async with fake.cluster("beta", user="person") as cluster:
        allowed = [(await cluster.create(review))["status"]["allowed"] for review in reviews]

    assert allowed == [True, False, False]


async def test_history_holds_every_change(fake: FakeKube) -> None:
    """Each change is one step, with the object before and after."""
    fake.write(_config_map(a="1"))
    fake.write(_config_map(a="2"))
    fake.remove(kinds.CONFIG_MAP, "c", "ns")
    changes = [change for change in fake.history() if change.resource.kind == kinds.CONFIG_MAP]

    assert [(c.old is None, c.new is None) for c in changes] == [(True, False), (False, False), (False, True)]
    assert [c.version for c in changes] == sorted(c.version for c in changes)


async def test_garbage_waits_when_told(fake: FakeKube) -> None:
    """Children of a deleted owner can be held back, and collected later."""
    fake.store.garbage_collection = False
    owner = fake.write(_config_map("owner"))
    child = _config_map("child")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    child["metadata"] |= {"ownerReferences": [reference]}  # type: ignore[operator]
    fake.write(child)
    fake.remove(kinds.CONFIG_MAP, "owner", "ns")
    held = fake.get(kinds.CONFIG_MAP, "child", "ns")
    fake.do(fake.store.collect_garbage)

    assert held is not None
    assert fake.get(kinds.CONFIG_MAP, "child", "ns") is None


async def test_deleting_a_namespace_deletes_its_content(fake: FakeKube) -> None:
    """A namespace goes with everything in it."""
    fake.write(_config_map())
    fake.remove(kinds.NAMESPACE, "ns")

    assert fake.objects(kinds.CONFIG_MAP) == []
    assert fake.get(kinds.NAMESPACE, "ns") is None


async def test_kopf_runs_against_it(fake: FakeKube) -> None:
    """An unchanged Kopf operator lists, watches, and hears of deletions."""
    registry = kopf.OperatorRegistry()
    heard: list[tuple[str | None, str]] = []
    gone = asyncio.Event()

    @kopf.on.login(registry=registry)
    def login(**_: object) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=fake.url, token="kopf")

    @kopf.on.event("configmaps", registry=registry)
    async def changed(event: Any, name: Any, **_: object) -> None:
        heard.append((event["type"], name))
        if event["type"] == "DELETED":
            gone.set()

    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.watching.chunk_size = 1
    fake.write(_config_map("first"))
    fake.write(_config_map("second"))
    stop, ready = asyncio.Event(), asyncio.Event()
    operator = asyncio.create_task(
        kopf.operator(
            registry=registry,
            settings=settings,
            clusterwide=True,
            standalone=True,
            stop_flag=stop,
            ready_flag=ready,
        )
    )
    async with asyncio.timeout(20), fake.cluster("alpha") as cluster:
        await ready.wait()
        await until(lambda: len(heard) == 2)
        await cluster.patch(kinds.CONFIG_MAP, "first", "ns", {"data": {"a": "b"}})
        await until(lambda: len(heard) == 3)
        await cluster.delete(kinds.CONFIG_MAP, "first", "ns")
        await gone.wait()
    stop.set()
    await asyncio.wait_for(operator, 20)

    assert sorted(heard[:2]) == [(None, "first"), (None, "second")]
    assert heard[2:] == [("MODIFIED", "first"), ("DELETED", "first")]
    assert fake.writes("kopf") == []

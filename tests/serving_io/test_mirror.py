"""Objects kept by list and watch: always those of the server, whatever becomes of the watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from serving_io import Cluster, Unavailable, kinds
from serving_io.cluster import Listing, WatchEvent
from serving_io.mirror import Mirror
from tests.fakes.kube import FakeKube
from tests.fakes.waiting import until


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    """A fake API server."""
    with FakeKube() as started:
        started.namespace("ns")
        yield started


def _config_map(name: str = "c", namespace: str = "ns", **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def shown(mirror: Mirror) -> dict[str, Any]:
    """The data of each object, by name."""
    return {item["metadata"]["name"]: item.get("data") for item in await mirror.items()}


def _has_ended(mirror: Mirror) -> bool:
    """Whether the watch has, so that the next look lists again."""
    return mirror._following is not None and mirror._following.done()


def lists(fake: FakeKube) -> int:
    """How often config maps were listed."""
    return sum((entry.verb, entry.resource) == ("list", "configmaps") for entry in fake.log)


async def test_changes_arrive_without_another_list(fake: FakeKube) -> None:
    """New ones, changed ones and deleted ones; what has not changed stays the same object."""
    fake.write(_config_map("stays", a="1"))
    fake.write(_config_map("goes"))
    async with fake.cluster("alpha") as cluster:
        mirror = Mirror(cluster, kinds.CONFIG_MAP)
        before = {item["metadata"]["name"]: item for item in await mirror.items()}
        assert set(before) == {"stays", "goes"}
        await until(lambda: bool(fake.store.watchers))
        fake.write(_config_map("new", a="1"))
        fake.write(_config_map("new", a="2"))
        fake.remove(kinds.CONFIG_MAP, "goes", "ns")

        await until(lambda: set(mirror._items) == {("ns", "stays"), ("ns", "new")})
        await until(lambda: mirror._items["ns", "new"]["data"] == {"a": "2"})
        after = {item["metadata"]["name"]: item for item in await mirror.items()}
        assert after["stays"] is before["stays"]
        assert lists(fake) == 1
        await mirror.close()


async def test_only_what_is_reduced_is_kept(fake: FakeKube) -> None:
    """Of what is listed and of what is watched alike; both state their kind."""
    fake.write(_config_map("first", secret="x"))
    async with fake.cluster("alpha") as cluster:
        mirror = Mirror(
            cluster,
            kinds.CONFIG_MAP,
            "ns",
            reduced=lambda item: {key: item[key] for key in ("kind", "metadata")},
        )
        await mirror.items()
        await until(lambda: bool(fake.store.watchers))
        fake.write(_config_map("second", secret="x"))
        await until(lambda: len(mirror._items) == 2)

        assert [set(item) for item in await mirror.items()] == [{"kind", "metadata"}] * 2
        assert {item["kind"] for item in await mirror.items()} == {"ConfigMap"}
        await mirror.close()


async def test_one_namespace_is_kept_alone(fake: FakeKube) -> None:
    """Others are neither listed nor watched."""
    fake.namespace("other")
    fake.write(_config_map(namespace="other"))
    async with fake.cluster("alpha") as cluster:
        mirror = Mirror(cluster, kinds.CONFIG_MAP, "ns")
        await mirror.items()
        await until(lambda: bool(fake.store.watchers))
        fake.write(_config_map("second", namespace="other"))
        fake.write(_config_map("mine"))
        await until(lambda: bool(mirror._items))

        assert set(await shown(mirror)) == {"mine"}
        await mirror.close()


async def test_a_compaction_costs_nothing(fake: FakeKube) -> None:
    """The watch goes on, or they are listed again; nothing is missed, nothing stays that has gone."""
    fake.write(_config_map("gone"))
    async with fake.cluster("alpha") as cluster:
        mirror = Mirror(cluster, kinds.CONFIG_MAP)
        await mirror.items()
        await until(lambda: bool(fake.store.watchers))
        fake.remove(kinds.CONFIG_MAP, "gone", "ns")
        fake.write(_config_map("there"))
        fake.compact()
        there = {("ns", "there")}
        await until(lambda: set(mirror._items) == there or _has_ended(mirror))

        assert set(await shown(mirror)) == {"there"}
        await mirror.close()


async def test_watches_leave_room_for_other_requests(fake: FakeKube, tmp_path: Path) -> None:
    """However many namespaces are watched, a Lease is renewed meanwhile."""
    mirrors_wanted = 110  # the library's pool has 100 connections, unless told otherwise
    kubeconfig = fake.kubeconfig(tmp_path / "config", "somebody")
    async with await Cluster.connect(field_manager="alpha", kubeconfig=str(kubeconfig)) as cluster:
        mirrors = [Mirror(cluster, kinds.CONFIG_MAP, "ns") for _ in range(mirrors_wanted)]
        try:
            await asyncio.gather(*(mirror.items() for mirror in mirrors))
            assert (await cluster.list(kinds.CONFIG_MAP, "ns")).items == []
        finally:
            await asyncio.gather(*(mirror.close() for mirror in mirrors))


class Endless:
    """An API server that has nothing, and ends each watch at once."""

    watches = 0

    async def list(self, *_: Any, **__: Any) -> Listing:
        return Listing([], "1")

    async def watch(self, *_: Any) -> AsyncGenerator[WatchEvent, None]:
        self.watches += 1
        for event in list[WatchEvent]():
            yield event


@pytest.mark.looptime
async def test_a_watch_that_ends_at_once_is_begun_again_after_a_pause() -> None:
    """Something between us and the server that does not stream costs a request a second, and not all that is there."""
    cluster = Endless()
    mirror = Mirror(cast(Cluster, cluster), kinds.CONFIG_MAP)
    await mirror.items()
    await asyncio.sleep(9.5)
    assert cluster.watches == 10
    await mirror.close()


async def test_a_server_that_does_not_answer_is_an_error_until_it_does(fake: FakeKube) -> None:
    """Where there is no watch the objects are not guessed; once it answers, they are all there."""
    async with fake.cluster("alpha") as cluster:
        mirror = Mirror(cluster, kinds.CONFIG_MAP)
        with fake.partition(), pytest.raises(Unavailable):
            await mirror.items()
        fake.write(_config_map("there"))

        assert set(await shown(mirror)) == {"there"}
        await mirror.close()
        await mirror.close()

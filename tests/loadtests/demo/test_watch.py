"""The demo's watcher, on a fake API server: a history of what changed, through breaks of the connection."""

from collections.abc import Iterator

import pytest

from loadtests.demo.watch import Watcher
from tests.fakes.kube import FakeKube

LABELS = {"serving-operator.dev/service": "digits", "serving-operator.dev/revision": "aaaaaaaa"}


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    """A fake API server."""
    with FakeKube() as started:
        started.namespace("demo")
        yield started


def deployment(replicas: int) -> dict[str, object]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "digits-aaaaaaaa", "namespace": "demo", "labels": LABELS},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {"containers": [{"name": "model", "image": "m"}]},
            },
        },
    }


async def test_each_change_is_one_sample_at_its_time(fake: FakeKube) -> None:
    """The history begins with what is there, and grows when something changes and not otherwise."""
    now = 1.0
    async with fake.cluster("demo") as cluster, Watcher(cluster, "demo", "digits", lambda: now) as watcher:
        assert [(seconds, dict(one.replicas)) for seconds, one in watcher.samples] == [(1.0, {})]
        now = 2.0
        await cluster.create(deployment(3))
        assert await watcher.until(lambda one: "aaaaaaaa" in one.replicas, 5)
        now = 3.0
        await cluster.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "demo"}}
        )
        await cluster.apply(deployment(4))
        assert await watcher.until(lambda one: one.replicas["aaaaaaaa"].desired == 4, 5)
        wanted = [(seconds, one.replicas["aaaaaaaa"].desired) for seconds, one in watcher.samples[1:]]
        assert wanted == [(2.0, 3), (3.0, 4)]


async def test_what_never_comes_about_is_waited_for_no_longer_than_said(fake: FakeKube) -> None:
    """A property that does not come to hold within the time is reported as such."""
    async with fake.cluster("demo") as cluster, Watcher(cluster, "demo", "digits", lambda: 0.0) as watcher:
        assert not await watcher.until(lambda one: bool(one.stable), 0.05)
        assert not await watcher.until(lambda one: bool(one.stable), -1)


async def test_a_compaction_loses_no_change(fake: FakeKube) -> None:
    """After the API server has ended and forgotten the watch, the present state is read again."""
    async with fake.cluster("demo") as cluster, Watcher(cluster, "demo", "digits", lambda: 0.0) as watcher:
        await cluster.create(deployment(1))
        assert await watcher.until(lambda one: "aaaaaaaa" in one.replicas, 5)
        fake.compact()
        await cluster.apply(deployment(2))
        assert await watcher.until(lambda one: one.replicas["aaaaaaaa"].desired == 2, 5)

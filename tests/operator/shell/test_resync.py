"""The task that reads everything anew."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from serving_io.cluster import Cluster, Listing
from serving_io.errors import TooManyRequests
from serving_operator.cache import Cache
from serving_operator.resync import OUTAGE_SECONDS, PastRestored, Resync
from serving_operator.watched import WATCHED
from serving_operator.workqueue import WorkQueue

pytestmark = pytest.mark.looptime


async def test_it_ends_when_it_is_told_to_while_an_outage_ends() -> None:
    """An answer of the API server in the last moment does not keep an operator that is stopped from ending."""
    resync = Resync(
        cluster=cast(Cluster, object()),  # which is not asked before it ends
        cache=Cache(),
        queue=WorkQueue(),
        watched=(),
        namespaces=(),
        period_seconds=300,
    )
    task = asyncio.create_task(resync.keep())
    await asyncio.sleep(1)
    resync.request_ended("503")
    await asyncio.sleep(OUTAGE_SECONDS)
    resync.request_ended("200")
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=100)
    assert done
    assert task.cancelled()


class Restored:
    """An API server that has nothing, whose lists are of ever newer versions until an older state is restored."""

    def __init__(self) -> None:
        self.version = 100

    async def list(self, *_: Any, **__: Any) -> Listing:
        self.version += 1
        return Listing([], str(self.version))


async def test_it_ends_where_an_older_state_was_restored() -> None:
    """What is remembered of the time after a backup would be taken for newer than all that is there; no resync heals that."""
    cluster = Restored()
    resync = Resync(
        cluster=cast(Cluster, cluster),
        cache=Cache(),
        queue=WorkQueue(),
        watched=WATCHED,
        namespaces=("a", "b"),
        period_seconds=300,
    )
    await resync.once()
    await resync.once()
    cluster.version = 50
    with pytest.raises(PastRestored, match="an older state of the cluster was restored"):
        await resync.once()


class Busy:
    """An API server that asks for a pause of a minute."""

    lists = 0

    async def served(self, _: Any) -> bool:
        return False

    async def list(self, *_: Any, **__: Any) -> Listing:
        self.lists += 1
        raise TooManyRequests(429, "TooManyRequests", "later", retry_after=60.0)


async def test_a_busy_api_server_is_given_the_pause_that_it_asks_for() -> None:
    """It would be asked for everything every five seconds."""
    cluster = Busy()
    resync = Resync(
        cluster=cast(Cluster, cluster),
        cache=Cache(),
        queue=WorkQueue(),
        watched=WATCHED,
        namespaces=(),
        period_seconds=600,
    )
    task = asyncio.create_task(resync.keep())
    await asyncio.sleep(330)
    assert 5 <= cluster.lists <= 6
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

"""The task that reads everything anew."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from serving_io.cluster import Cluster
from serving_operator.cache import Cache
from serving_operator.resync import OUTAGE_SECONDS, Resync
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

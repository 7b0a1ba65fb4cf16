"""Follows every version of the objects of the soak's namespace, and holds them to the rules."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from loadtests.demo.setup import side_by_side
from loadtests.soak.rules import LAG_SECONDS, WATCHED, Rules
from serving_io.cluster import Cluster
from serving_io.errors import ApiError
from serving_io.kinds import Kind

_AGAIN_SECONDS = 1.0


async def observe(cluster: Cluster, namespace: str, rules: Rules, clock: Callable[[], float]) -> None:
    """Watch until cancelled."""
    followed = (_follow(cluster, kind, namespace, rules, clock) for kind in WATCHED)
    await side_by_side(*followed, _look(rules, clock))


async def _follow(
    cluster: Cluster, kind: Kind, namespace: str, rules: Rules, clock: Callable[[], float]
) -> None:
    while True:
        try:
            listing = await cluster.list(kind, namespace)
            rules.listed(kind, {one["metadata"]["name"] for one in listing.items})
            for one in listing.items:
                rules.see(kind, "ADDED", one, clock())
            watched = cluster.watch(kind, listing.resource_version, namespace)
            async with aclosing(watched) as events:
                async for event in events:
                    if event.type != "BOOKMARK":
                        rules.see(kind, event.type, event.object, clock())
        except ApiError:
            await asyncio.sleep(_AGAIN_SECONDS)


async def _look(rules: Rules, clock: Callable[[], float]) -> None:
    while True:
        await asyncio.sleep(LAG_SECONDS / 2)
        rules.look(clock())

"""What is asked of the API server only while it matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from serving_io.cluster import Cluster, Listing
from serving_io.errors import Forbidden, NotFound
from serving_operator.asked import Heartbeat, Quotas, StorageSecrets
from serving_operator.world import DEFAULT_SETTINGS, Manifest

START = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = timedelta(seconds=DEFAULT_SETTINGS.autoscaler_lease_seconds)


class Shut:
    """An API server that answers, or refuses everything."""

    def __init__(self) -> None:
        self.refuses = False

    async def get(self, *_: Any) -> Manifest:
        self._answer()
        return {"spec": {"renewTime": START.isoformat()}}

    async def list(self, *_: Any) -> Listing:
        self._answer()
        return Listing([{"metadata": {"name": "quota"}}], "1")

    def _answer(self) -> None:
        if self.refuses:
            raise Forbidden(403, "Forbidden", "no right")


async def test_what_cannot_be_read_is_taken_to_be_as_it_was() -> None:
    """Rollouts hold for it in time; an abort, which needs neither, goes on."""
    api = Shut()
    heartbeat, quotas = Heartbeat(cast(Cluster, api), "serving-system"), Quotas(cast(Cluster, api))
    assert await heartbeat.renewed(START) == START
    before = await quotas.of("demo", START)
    api.refuses = True
    for seconds in (20, 40, 300):
        now = START + timedelta(seconds=seconds)
        assert await heartbeat.renewed(now) == START
        assert await quotas.of("demo", now) == before != ()
    unread = Heartbeat(cast(Cluster, api), "serving-system"), Quotas(cast(Cluster, api))
    assert await unread[0].renewed(START) is None
    assert await unread[1].of("demo", START) == ()


class Autoscaler:
    """An API server with the Lease of an autoscaler whose clock is `skew_seconds` ahead of the operator's."""

    def __init__(self, skew_seconds: float = 0.0) -> None:
        self.skew = timedelta(seconds=skew_seconds)
        self.renewed: datetime | None = START

    async def get(self, *_: Any) -> Manifest:
        if self.renewed is None:
            raise NotFound(404, "NotFound", "nothing")
        return {"spec": {"renewTime": (self.renewed + self.skew).isoformat()}}


async def looked_at(heartbeat: Heartbeat, autoscaler: Autoscaler, seconds: float, lives: bool) -> bool:
    """Whether it is taken for alive so many seconds after the start."""
    now = START + timedelta(seconds=seconds)
    if lives:
        autoscaler.renewed = now
    renewed = await heartbeat.renewed(now)
    return renewed is not None and now - renewed <= LIMIT


@pytest.mark.parametrize("skew", [0, -90, 90])
async def test_clocks_that_differ_make_no_autoscaler_dead_or_alive(skew: float) -> None:
    """One that renews is alive from the second look on at the latest; one that has ceased to is dead when its time is up."""
    autoscaler = Autoscaler(skew)
    heartbeat = Heartbeat(cast(Cluster, autoscaler), "serving-system")
    assert await looked_at(heartbeat, autoscaler, 0, lives=True) == (skew >= -LIMIT.total_seconds())
    for seconds in range(15, 150, 15):
        assert await looked_at(heartbeat, autoscaler, seconds, lives=True)
    limit = LIMIT.total_seconds()
    assert await looked_at(heartbeat, autoscaler, 135 + limit - 20, lives=False)
    assert not await looked_at(heartbeat, autoscaler, 136 + limit, lives=False)


@pytest.mark.parametrize("skew", [0, -90, 90])
async def test_what_became_of_it_while_nobody_looked_is_seen_at_once(skew: float) -> None:
    """An hour later one that has lived on is alive, and one that died soon after the last look is dead."""
    for lives in (True, False):
        autoscaler = Autoscaler(skew)
        heartbeat = Heartbeat(cast(Cluster, autoscaler), "serving-system")
        for seconds in (0, 15):
            await looked_at(heartbeat, autoscaler, seconds, lives=True)
        autoscaler.renewed = START + timedelta(seconds=17)
        assert await looked_at(heartbeat, autoscaler, 3600, lives=lives) == lives


@pytest.mark.parametrize("skew", [0, -90, 90])
async def test_an_operator_that_starts_knows_of_a_dead_autoscaler_in_time(skew: float) -> None:
    """It is not taken for alive for longer than the time of a Lease, however far its clock is ahead."""
    autoscaler = Autoscaler(skew)
    heartbeat = Heartbeat(cast(Cluster, autoscaler), "serving-system")
    later = 60.0
    await looked_at(heartbeat, autoscaler, later, lives=False)
    later += LIMIT.total_seconds() + 11
    assert not await looked_at(heartbeat, autoscaler, later, lives=False)
    assert not await looked_at(heartbeat, autoscaler, later + 3600, lives=False)


async def test_without_a_lease_there_is_no_autoscaler() -> None:
    """Also where there was one."""
    autoscaler = Autoscaler()
    heartbeat = Heartbeat(cast(Cluster, autoscaler), "serving-system")
    assert await looked_at(heartbeat, autoscaler, 0, lives=True)
    autoscaler.renewed = None
    assert not await looked_at(heartbeat, autoscaler, 20, lives=False)


class Namespaces:
    """An API server with one ResourceQuota in each namespace."""

    async def list(self, *_: Any) -> Listing:
        return Listing([{"metadata": {"name": "q"}}], "1")

    async def metadata(self, *_: Any) -> Manifest:
        return {}


async def test_namespaces_that_came_and_went_take_no_memory() -> None:
    """Of quotas and Secrets only those that were read lately are remembered."""
    cluster = cast(Cluster, Namespaces())
    quotas, secrets = Quotas(cluster), StorageSecrets(cluster)
    spec = {"predictor": {"model": {"storage": {"secretName": "s"}}}}
    for minute in range(20):
        now = START + timedelta(minutes=minute)
        namespace = f"preview-{minute}"
        assert len(await quotas.of(namespace, now)) == 1
        service = {"metadata": {"namespace": namespace}, "spec": spec}
        assert await secrets.of(service, now) == "Unlabelled"
    assert (len(quotas._read), len(secrets._read)) == (1, 1)

"""Leadership, in virtual time."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable

import pytest

from serving_io import AlreadyExists, Conflict, Lease, Manifest, NotFound, NotLeader, Unavailable
from serving_io.kinds import Kind
from serving_io.lease import NOT_TRUSTED_SECONDS
from serving_io.transport import NOT_TRUSTED

pytestmark = pytest.mark.looptime


class Shelf:
    """An API server that holds one Lease."""

    def __init__(self) -> None:
        self.lease: Manifest | None = None
        self.version = 0

    def client(self) -> Client:
        """One program's way to it."""
        return Client(self)


class Client:
    """The verbs that a Lease needs, with failures on demand."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.is_cut_off = False
        self.is_not_trusted = False
        self.loses_answers = False
        self.hangs = False

    async def get(self, kind: Kind, name: str, namespace: str) -> Manifest:
        await self._pass()
        if self.shelf.lease is None:
            raise NotFound(404, "NotFound", name)
        return copy.deepcopy(self.shelf.lease)

    async def create(self, manifest: Manifest) -> Manifest:
        await self._pass()
        if self.shelf.lease is not None:
            raise AlreadyExists(409, "AlreadyExists", "")
        return self._store(manifest)

    async def replace(self, manifest: Manifest) -> Manifest:
        await self._pass()
        if self.shelf.lease is None:
            raise NotFound(404, "NotFound", "")
        if manifest["metadata"]["resourceVersion"] != str(self.shelf.version):
            raise Conflict(409, "Conflict", "")
        stored = self._store(manifest)
        if self.loses_answers:
            raise Unavailable(0, "NoAnswer", "")
        return stored

    def _store(self, manifest: Manifest) -> Manifest:
        self.shelf.version += 1
        metadata = {**manifest["metadata"], "resourceVersion": str(self.shelf.version)}
        self.shelf.lease = copy.deepcopy({**manifest, "metadata": metadata})
        return copy.deepcopy(self.shelf.lease)

    async def _pass(self) -> None:
        await asyncio.sleep(0.05)
        if self.hangs:
            await asyncio.sleep(3600)
        if self.is_not_trusted:
            raise Unavailable(0, NOT_TRUSTED, "certificate verify failed")
        if self.is_cut_off:
            raise Unavailable(0, "NoAnswer", "")


def _lease(client: Client, identity: str) -> Lease:
    return Lease(client, name="operator", namespace="system", identity=identity)  # type: ignore[arg-type]


async def _lead(lease: Lease, until_lost: bool = True) -> None:
    async with lease.held() as lost:
        if until_lost:
            await lost
        else:
            await asyncio.Event().wait()


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _wait(holds: Callable[[], bool]) -> float:
    started = _now()
    while not holds():  # noqa: ASYNC110  (virtual time)
        await asyncio.sleep(0.01)
    return _now() - started


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_takes_a_free_lease_at_once() -> None:
    """Nobody holds it: it is created and held; check passes within the block and fails after it."""
    shelf = Shelf()
    lease = _lease(shelf.client(), "a")
    with pytest.raises(NotLeader):
        lease.check()
    async with lease.held():
        lease.check()
        assert shelf.lease is not None
        assert shelf.lease["spec"]["holderIdentity"] == "a"
    with pytest.raises(NotLeader):
        lease.check()


async def test_keeps_it() -> None:
    """An hour later it is still held, renewed every two seconds, with one transition."""
    shelf = Shelf()
    lease = _lease(shelf.client(), "a")
    async with lease.held() as lost:
        await asyncio.sleep(3600)
        lease.check()

        assert not lost.done()
        assert shelf.lease is not None
        assert shelf.lease["spec"]["leaseTransitions"] == 0
        assert 1500 < shelf.version < 2000


async def test_release_hands_over_at_once() -> None:
    """A leader that ends properly makes the next one wait one retry, not a lease duration."""
    shelf = Shelf()
    first, second = _lease(shelf.client(), "a"), _lease(shelf.client(), "b")
    leading = asyncio.create_task(_lead(first))
    await _wait(lambda: first.is_held)
    waiting = asyncio.create_task(_lead(second))
    await asyncio.sleep(60)
    assert not second.is_held
    await _end(leading)
    took = await _wait(lambda: second.is_held)
    await _end(waiting)

    assert took < 2.5


async def test_takes_over_from_the_dead() -> None:
    """A holder that renews no more is replaced after a lease duration of silence."""
    shelf = Shelf()
    dead, second = shelf.client(), _lease(shelf.client(), "b")
    first = _lease(dead, "a")
    leading = asyncio.create_task(_lead(first))
    await _wait(lambda: first.is_held)
    waiting = asyncio.create_task(_lead(second))
    await asyncio.sleep(30)
    dead.hangs = True
    took = await _wait(lambda: second.is_held)
    await _end(leading, waiting)

    assert 10.0 < took < 20.0
    assert shelf.lease is not None


@pytest.mark.parametrize("offset", [0.0, 0.4, 0.8, 1.2, 1.6])
async def test_the_dead_are_not_waited_for_longer_than_they_may_be_silent(offset: float) -> None:
    """From the last renewal: a look every two seconds to see it, a lease duration, and no look more."""
    shelf = Shelf()
    first, second = _lease(shelf.client(), "a"), _lease(shelf.client(), "b")
    leading = asyncio.create_task(_lead(first))
    await _wait(lambda: first.is_held)
    await asyncio.sleep(offset)
    waiting = asyncio.create_task(_lead(second))
    await asyncio.sleep(30)
    version = shelf.version
    await _wait(lambda: shelf.version > version)
    dead, renewed_at = asyncio.create_task(_end(leading)), _now()
    first._renewed_at = None  # it ends without taking leave
    await dead
    await _wait(lambda: second.is_held)
    took = _now() - renewed_at
    await _end(waiting)

    assert 15.0 < took < 17.3


@pytest.mark.parametrize("failure", ["is_cut_off", "hangs"])
async def test_a_leader_without_answers_stops_in_time(failure: str) -> None:
    """Cut off, a leader gives up before anybody else may take over: there are never two."""
    shelf = Shelf()
    client = shelf.client()
    first, second = _lease(client, "a"), _lease(shelf.client(), "b")
    leading = asyncio.create_task(_lead(first))
    await _wait(lambda: first.is_held)
    waiting = asyncio.create_task(_lead(second))
    await asyncio.sleep(30)
    setattr(client, failure, True)
    cut_at, ended_at, taken_at = _now(), 0.0, 0.0
    while not taken_at:
        assert not (first.is_held and second.is_held)
        if not first.is_held and not ended_at:
            ended_at = _now()
            with pytest.raises(NotLeader):
                first.check()
        if second.is_held:
            taken_at = _now()
        await asyncio.sleep(0.01)
    await asyncio.wait_for(leading, 20)
    await _end(waiting)

    assert ended_at - cut_at <= 10.0
    assert taken_at - ended_at >= 4.0


async def test_short_interruptions_do_no_harm() -> None:
    """Eight seconds without an answer are survived."""
    shelf = Shelf()
    client = shelf.client()
    lease = _lease(client, "a")
    async with lease.held() as lost:
        for _ in range(10):
            client.is_cut_off = True
            await asyncio.sleep(7)
            client.is_cut_off = False
            await asyncio.sleep(5)

        assert not lost.done()
        assert shelf.lease is not None
        assert shelf.lease["spec"]["leaseTransitions"] == 0


async def test_a_write_whose_answer_was_lost() -> None:
    """It counts as not done, and the next attempt reads again instead of failing for ever."""
    shelf = Shelf()
    client = shelf.client()
    lease = _lease(client, "a")
    async with lease.held() as lost:
        client.loses_answers = True
        await asyncio.sleep(6)
        client.loses_answers = False
        await asyncio.sleep(20)
        lease.check()

        assert not lost.done()


async def test_clocks_do_not_matter() -> None:
    """A holder whose clock is years behind is not taken for dead while it renews."""
    shelf = Shelf()
    client = shelf.client()
    first, second = _lease(client, "a"), _lease(shelf.client(), "b")
    leading = asyncio.create_task(_lead(first))
    await _wait(lambda: first.is_held)

    store: Callable[[Manifest], Manifest] = client._store

    def behind(manifest: Manifest) -> Manifest:
        spec = {**manifest["spec"], "renewTime": f"2001-01-01T00:00:{int(_now()) % 60:02d}.000000Z"}
        return store({**manifest, "spec": spec})

    client._store = behind  # type: ignore[method-assign]
    waiting = asyncio.create_task(_lead(second))
    await asyncio.sleep(300)

    assert first.is_held
    assert not second.is_held
    await _end(leading, waiting)


async def test_robbed_leader_stops_at_once() -> None:
    """A leader that sees another holder does not wait for its deadline."""
    shelf = Shelf()
    lease = _lease(shelf.client(), "a")
    async with lease.held() as lost:
        await asyncio.sleep(5)
        assert shelf.lease is not None
        shelf.lease["spec"]["holderIdentity"] = "thief"
        shelf.version += 1
        shelf.lease["metadata"]["resourceVersion"] = str(shelf.version)
        started = _now()
        await lost

        assert _now() - started < 5
    assert shelf.lease["spec"]["holderIdentity"] == "thief"


async def test_one_of_many_leads() -> None:
    """Of five candidates at once exactly one leads, and all get their turn as leaders leave."""
    shelf = Shelf()
    leases = [_lease(shelf.client(), name) for name in "abcde"]
    tasks = {lease.identity: asyncio.create_task(_lead(lease)) for lease in leases}
    led = []
    for _ in leases:
        await _wait(lambda: any(lease.is_held for lease in leases))
        (leader,) = [lease for lease in leases if lease.is_held]
        led.append(leader.identity)
        await _end(tasks[leader.identity])

    assert sorted(led) == list("abcde")


async def test_transitions_are_told() -> None:
    """`on_change` hears of the beginning and the end."""
    heard: list[bool] = []
    lease = Lease(
        Shelf().client(),  # type: ignore[arg-type]
        name="operator",
        namespace="system",
        identity="a",
        on_change=heard.append,
    )
    async with lease.held():
        assert heard == [True]
    assert heard == [True, False]


async def test_who_stands_by_ends_where_the_authority_of_certificates_is_another() -> None:
    """It has read the former one; an outage ends nobody, nor does a certificate that is soon right again."""
    client = Shelf().client()
    client.is_cut_off = True
    task = asyncio.create_task(_lead(_lease(client, "b")))
    await asyncio.sleep(600)
    client.is_not_trusted = True
    await asyncio.sleep(NOT_TRUSTED_SECONDS - 5)
    client.is_not_trusted = False
    await asyncio.sleep(600)
    assert not task.done()
    client.is_not_trusted = True
    await asyncio.sleep(NOT_TRUSTED_SECONDS + 5)
    assert task.done()
    with pytest.raises(Unavailable, match="certificate verify failed"):
        await task


async def test_times_must_make_sense() -> None:
    """A renew deadline that is not below the duration would allow two leaders."""
    with pytest.raises(ValueError, match="renew_deadline_seconds"):
        Lease(
            Shelf().client(),  # type: ignore[arg-type]
            name="n",
            namespace="ns",
            identity="a",
            duration_seconds=10,
            renew_deadline_seconds=10,
        )

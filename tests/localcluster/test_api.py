"""The client of the API server that node agent and gateway share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcluster.api import MERGE, Api, ApiError, connect
from serving_io import kinds
from tests.fakes.kube import FakeKube

MAPS = "/api/v1/namespaces/default/configmaps"
Changes = AsyncGenerator[tuple[bool, dict[str, Any]], None]


def config_map(name: str, value: str = "1") -> dict[str, Any]:
    """A ConfigMap with one value."""
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}


async def told(changes: Changes, count: int) -> list[tuple[str, str | None]]:
    """The next changes: name and value, or None if the object is gone."""
    found = [await anext(changes) for _ in range(count)]
    return [(item["metadata"]["name"], item["data"]["value"] if exists else None) for exists, item in found]


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    """A fake API server without our CRDs."""
    with FakeKube(crds=None) as started:
        yield started


@pytest.fixture
async def client(fake: FakeKube, tmp_path: Path) -> AsyncIterator[Api]:
    """A client of the fake API server."""
    async with connect(fake.kubeconfig(tmp_path / "kubeconfig", "somebody")) as connected:
        yield connected


async def test_refusals_carry_their_code(client: Api) -> None:
    """A refusal raises its HTTP code, unless it is one that the caller expects."""
    with pytest.raises(ApiError, match=r"^404: .*not found") as refused:
        await client.call("GET", f"{MAPS}/a")
    assert refused.value.code == 404
    assert await client.get_or_none(f"{MAPS}/a") is None
    with pytest.raises(ApiError, match=r"^404: "):
        await client.call_unless({409}, "PATCH", f"{MAPS}/a", {}, MERGE)


async def test_no_answer_has_code_zero(client: Api, fake: FakeKube) -> None:
    """An API server that is away is told from one that refuses; an expected refusal is not meant by it."""
    with fake.partition(), pytest.raises(ApiError, match="RemoteProtocolError") as error:
        await client.get_or_none(f"{MAPS}/a")
    assert error.value.code == 0


async def test_create_if_absent(client: Api, fake: FakeKube) -> None:
    """An object is created once, and is left as it is if it exists."""
    assert await client.create_if_absent(MAPS, config_map("a"))
    assert not await client.create_if_absent(MAPS, config_map("a", "2"))
    assert (await client.call("GET", f"{MAPS}/a"))["data"] == {"value": "1"}
    assert {request.user for request in fake.log} == {"somebody"}


async def test_patches_say_what_they_are(client: Api, fake: FakeKube) -> None:
    """The content type and the query reach the API server: a merge patch, then server-side apply."""
    fake.write(config_map("a"))
    merged = await client.call("PATCH", f"{MAPS}/a", {"data": {"more": "x"}}, MERGE)
    assert merged["data"] == {"value": "1", "more": "x"}
    query = {"fieldManager": "me", "force": "true"}
    applied = await client.call(
        "PATCH", f"{MAPS}/a", config_map("a", "2"), "application/apply-patch+yaml", query
    )
    assert "me" in {entry["manager"] for entry in applied["metadata"]["managedFields"]}


async def test_a_collection_tells_every_change(client: Api, fake: FakeKube) -> None:
    """First what is there, then each addition, change and deletion; `items` is what is there now."""
    fake.write(config_map("a"))
    fake.write(config_map("b"))
    maps = client.follow(MAPS)
    async with aclosing(aiter(maps)) as changes:
        assert await told(changes, 2) == [("a", "1"), ("b", "1")]
        fake.write(config_map("c"))
        fake.write(config_map("a", "2"))
        fake.remove(kinds.CONFIG_MAP, "b", "default")
        assert await told(changes, 3) == [("c", "1"), ("a", "2"), ("b", None)]
    assert {item["metadata"]["name"] for item in maps.items.values()} == {"a", "c"}


async def test_an_empty_collection_is_known_to_be_empty(client: Api) -> None:
    """`listed` tells a collection without objects from one that was not looked at."""
    maps = client.follow(MAPS)
    assert not maps.listed.is_set()
    async with aclosing(aiter(maps)) as changes:
        first = asyncio.ensure_future(anext(changes))
        await maps.listed.wait()
        assert maps.items == {}
        first.cancel()
        await asyncio.wait({first})


async def test_a_query_selects(client: Api, fake: FakeKube) -> None:
    """List and watch both ask for what the query selects."""
    for name in "abc":
        fake.write(config_map(name))
    async with aclosing(aiter(client.follow(MAPS, fieldSelector="metadata.name=b"))) as changes:
        assert await told(changes, 1) == [("b", "1")]
        fake.write(config_map("a", "2"))
        fake.write(config_map("b", "2"))
        assert await told(changes, 1) == [("b", "2")]


async def test_what_happens_while_cut_off_is_told_after(client: Api, fake: FakeKube) -> None:
    """A new list is compared with what was known: deletions come first, what stayed the same is not told again.

    An object that was replaced by one of the same name is gone, and then there is another.
    """
    for name in "abcd":
        fake.write(config_map(name))
    async with aclosing(aiter(client.follow(MAPS))) as changes:
        await told(changes, 4)
        with fake.partition():
            for name in "ab":
                fake.remove(kinds.CONFIG_MAP, name, "default")
            fake.write(config_map("b", "2"))
            fake.write(config_map("c", "2"))
        assert await told(changes, 4) == [("a", None), ("b", None), ("b", "2"), ("c", "2")]
        fake.write(config_map("d", "2"))
        assert await told(changes, 1) == [("d", "2")]


async def test_a_version_that_has_expired_leads_to_a_new_list(client: Api, fake: FakeKube) -> None:
    """410 is met by a new list, which tells nothing twice."""
    fake.write(config_map("a"))
    fake.write(config_map("b"))
    async with aclosing(aiter(client.follow(MAPS))) as changes:
        await told(changes, 2)
        fake.namespace("elsewhere")  # the version moves on, and the watch does not hear of it
        fake.compact()
        fake.write(config_map("b", "2"))
        assert await told(changes, 1) == [("b", "2")]
    assert [request.verb for request in fake.log].count("list") == 2


class Script:
    """Answers each request by the next entry: a list's version, a watch's events, or an error."""

    def __init__(self, *answers: str | int | Sequence[dict[str, Any]] | httpx.HTTPError) -> None:
        self._answers = iter(answers)
        self.asked: list[tuple[float, str | None]] = []
        """When, and from which version; None is a list."""
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer), base_url="http://api")

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        moment = round(asyncio.get_running_loop().time(), 1)
        self.asked.append((moment, request.url.params.get("resourceVersion")))
        answer = next(self._answers)
        if isinstance(answer, httpx.HTTPError):
            raise answer
        if isinstance(answer, int):
            return httpx.Response(answer)
        if isinstance(answer, str):
            return httpx.Response(200, json={"metadata": {"resourceVersion": answer}, "items": None})
        # a watch in which nothing happens is not given up before the API server ends it
        assert request.extensions["timeout"]["read"] > float(request.url.params["timeoutSeconds"])
        return httpx.Response(200, text="".join(json.dumps(event) + "\n" for event in answer))

    async def changes(self, count: int) -> list[str]:
        """The uids of so many changes."""
        async with self.client as client, aclosing(aiter(Api(client, {}).follow("/things"))) as changes:
            return [(await anext(changes))[1]["metadata"]["uid"] for _ in range(count)]


def event(kind: str, version: int, **more: Any) -> dict[str, Any]:
    """A line of a watch."""
    return {
        "type": kind,
        "object": {"metadata": {"uid": f"at-{version}", "resourceVersion": str(version)}} | more,
    }


@pytest.mark.looptime
async def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    """A watch ended by the server is resumed from the last version, be it a bookmark's, without a new list."""
    script = Script(
        "1", [event("ADDED", 2), event("BOOKMARK", 7)], [], [event("DELETED", 9)], [event("ADDED", 10)]
    )
    assert await script.changes(3) == ["at-2", "at-9", "at-10"]
    assert script.asked == [(0, None), (0, "1"), (0.1, "7"), (0.2, "7"), (0.3, "9")]


@pytest.mark.looptime
async def test_pauses_grow_while_nothing_works() -> None:
    """Each failure of list or watch doubles the pause up to a second; a watch that ends well resets it."""
    expired = event("ERROR", 0, code=410, message="too old")
    script = Script(
        *(503, httpx.ConnectError("refused"), "1", 410, "2", [expired], "3", httpx.ReadTimeout("silent")),
        *("4", [], httpx.ReadError("cut"), "5", [event("ADDED", 6)]),
    )
    assert await script.changes(1) == ["at-6"]
    expected = [
        (0, None),
        (0.2, None),
        (0.6, None),
        (0.6, "1"),
        (1.4, None),
        (1.4, "2"),
        (2.4, None),
        (2.4, "3"),
    ]
    expected += [(3.4, None), (3.4, "4"), (3.5, "4"), (3.7, None), (3.7, "5")]
    assert script.asked == expected

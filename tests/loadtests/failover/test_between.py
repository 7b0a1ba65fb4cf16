"""A pod that is cut off from the API server: nothing passes, nothing is lost, and others notice nothing."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest

from loadtests.failover.between import Between, user_of

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """An API server that answers each line with the line."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.lines.append(line)
            await self.may_answer.wait()
            writer.write(line)
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, Between]]:
    """A server, and the proxy to it."""
    made = Echo()
    async with await asyncio.start_server(made.answer, "127.0.0.1", 0) as server:
        async with Between(server.sockets[0].getsockname()[1]) as between:
            yield made, between
        await asyncio.sleep(0.05)  # the server sees its connections end


async def connected(between: Between, pod: str) -> Streams:
    """A tunnel of a pod."""
    reader, writer = await asking(between, pod)
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def asking(between: Between, pod: str) -> Streams:
    """A connection on which a pod has asked for a tunnel."""
    address = between.url(pod).rpartition("@")[2]
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    word = base64.b64encode(f"{pod}:-".encode()).decode()
    writer.write(f"CONNECT api:443 HTTP/1.1\r\nProxy-Authorization: Basic {word}\r\n\r\n".encode())
    return reader, writer


async def silent(reader: asyncio.StreamReader) -> bool:
    """Whether nothing comes for a while."""
    try:
        async with asyncio.timeout(0.1):
            await reader.read(1)
    except TimeoutError:
        return True
    return False


async def test_what_was_sent_while_cut_off_arrives_later(echo: tuple[Echo, Between]) -> None:
    """Nothing arrives meanwhile; the pods beside go on."""
    server, between = echo
    reader, writer = await connected(between, "a")
    beside, other = await connected(between, "b")
    between.cut("a")
    writer.write(b"late\n")
    other.write(b"beside\n")

    assert await beside.readline() == b"beside\n"
    assert await silent(reader)
    assert server.lines == [b"beside\n"]

    between.heal("a")
    assert await reader.readline() == b"late\n"
    for one in (writer, other):
        one.close()


async def test_what_a_process_sent_before_it_ended_arrives_all_the_same(echo: tuple[Echo, Between]) -> None:
    """As the kernel goes on sending for it."""
    server, between = echo
    _, writer = await connected(between, "a")
    between.cut("a")
    writer.write(b"last words\n")
    await writer.drain()
    writer.close()
    await asyncio.sleep(0.1)
    assert server.lines == []

    between.heal("a")
    async with asyncio.timeout(10):
        while not server.lines:  # noqa: ASYNC110  (it arrives on its own)
            await asyncio.sleep(0.01)
    assert server.lines == [b"last words\n"]


async def test_answers_are_held_as_well(echo: tuple[Echo, Between]) -> None:
    """A request that has arrived is carried out without the pod hearing of it."""
    server, between = echo
    reader, writer = await connected(between, "a")
    server.may_answer.clear()
    writer.write(b"asked\n")
    async with asyncio.timeout(10):
        while not server.lines:  # noqa: ASYNC110  (it arrives on its own)
            await asyncio.sleep(0.01)
    between.cut("a")
    server.may_answer.set()
    assert await silent(reader)

    between.heal("a")
    assert await reader.readline() == b"asked\n"
    writer.close()


async def test_a_new_connection_waits(echo: tuple[Echo, Between]) -> None:
    """It is not refused: no network would do that."""
    _, between = echo
    between.cut("a")
    reader, writer = await asking(between, "a")
    assert await silent(reader)

    between.heal("a")
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    writer.close()


def test_a_pod_names_itself_as_the_user() -> None:
    """Whoever names nobody is nobody."""
    word = base64.b64encode(b"operator-0:-").decode()
    assert (
        user_of(f"CONNECT a HTTP/1.1\r\nproxy-authorization: Basic {word}\r\n\r\n".encode()) == "operator-0"
    )
    assert user_of(b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n") == ""

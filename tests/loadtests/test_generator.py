"""LoadGenerator against real sockets: it never waits, never retries, and counts everything."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from loadtests.arrivals import RateChange
from loadtests.generator import LoadGenerator, Request
from loadtests.profile import Profile

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nX-Serving-Revision: abc\r\nContent-Length: 2\r\n\r\nhi"


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(closing, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readline():
        while (await reader.readline()).strip():
            pass
        writer.write(OK)


async def test_records_say_what_came() -> None:
    """Status and revision header are recorded, and every request that was sent has a record."""
    async with serving(answering) as url, LoadGenerator(Request(url), spacing="even") as load:
        await load.play(Profile.constant(100, 0.3))
        await load.stop()
    assert load.sent == len(load.records) >= 29
    assert {(one.status, one.failure, one.revision) for one in load.records} == {(200, "", "abc")}
    assert sorted(one.number for one in load.records) == list(range(1, load.sent + 1))


async def test_it_does_not_wait_for_answers() -> None:
    """While the server answers nothing, requests go on being sent on schedule."""
    arrived = 0
    enough = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal arrived
        await reader.readuntil(b"\r\n\r\n")
        arrived += 1
        if arrived == 20:
            enough.set()
        await reader.read()

    async with serving(silent) as url, LoadGenerator(Request(url), spacing="even") as load:
        load.set_rate(200)
        await enough.wait()
        assert load.records == []
        assert load.in_flight == load.sent >= 20
        await load.stop(grace_seconds=0)
    assert {one.failure for one in load.records} == {"aborted"}
    assert len(load.records) == load.sent


async def test_a_broken_connection_is_counted_and_not_retried() -> None:
    """A GET on a kept connection that breaks reaches the server once and is one reset."""
    requests = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")
        requests += 1

    async with serving(once) as url, LoadGenerator(Request(url), spacing="even") as load:
        await load.play(Profile((RateChange(0, 10),), 0.15))
        await load.stop()
    assert load.sent == requests == 2
    assert [one.failure for one in load.records] == ["", "reset"]


async def test_a_timeout_is_a_timeout() -> None:
    """No answer within the limit is recorded as such, with the time that passed."""

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with (
        serving(silent) as url,
        LoadGenerator(Request(url, timeout_seconds=0.2), spacing="even") as load,
    ):
        await load.play(Profile.constant(1, 0.01))
        await load.stop()
    assert [one.failure for one in load.records] == ["timeout"]
    assert load.records[0].latency_seconds >= 0.2


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"", "reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", "reset"),
        (b"hello\r\n\r\n", "invalid"),
    ],
)
async def test_half_answers_are_no_answers(answer: bytes, failure: str) -> None:
    """A connection closed before the whole answer, and an answer that is not HTTP, have no status."""

    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with serving(broken) as url, LoadGenerator(Request(url), spacing="even") as load:
        await load.play(Profile.constant(1, 0.01))
        await load.stop()
    assert [(one.status, one.failure) for one in load.records] == [(0, failure)]


async def test_it_stops_at_once_after_a_change_of_the_rate() -> None:
    """Whoever ends a load with its last change waits for nothing."""
    async with serving(answering) as url, LoadGenerator(Request(url), spacing="even") as load:
        load.set_rate(0.001)
        await asyncio.sleep(0.05)
        load.set_rate(0.0)
        async with asyncio.timeout(5):
            await load.stop()


async def test_nobody_listening_is_refused() -> None:
    """A port without a listener is its own kind of failure."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/"
        async with LoadGenerator(Request(url), spacing="even") as load:
            await load.play(Profile.constant(1, 0.01))
            await load.stop()
    assert [one.failure for one in load.records] == ["refused"]


async def test_what_is_sent_is_what_was_asked() -> None:
    """Method, Host header, headers and body arrive as given."""
    received = b""

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        received = await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(4)
        writer.write(OK)

    async with serving(keep) as url:
        request = Request(url, "PUT", {"host": "digits.example.com", "x-a": "b"}, b"body")
        async with LoadGenerator(request, spacing="even") as load:
            await load.play(Profile.constant(1, 0.01))
            await load.stop()
    lines = received.decode().lower().split("\r\n")
    assert lines[0] == "put / http/1.1"
    assert "host: digits.example.com" in lines
    assert "x-a: b" in lines
    assert lines[-1] == "body"

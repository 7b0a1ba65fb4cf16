"""A proxy between pods and the API server that can cut one pod off, as a network would.

A pod comes to it by HTTPS_PROXY, and names itself as the proxy's user. While it is cut off nothing passes in either
direction, and nothing is refused: what its kernel has taken is held, and arrives when the pod is back, as packets that
are sent again do; also when the process that sent it has ended meanwhile.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections import defaultdict
from typing import Self

_CHUNK_BYTES = 65_536
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Between:
    """The proxy, while it is entered."""

    def __init__(self, api_port: int) -> None:
        self._api_port = api_port
        self._ways: defaultdict[str, asyncio.Event] = defaultdict(_open)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, user: str) -> str:
        """Return what HTTPS_PROXY is to be for a pod of this name."""
        assert self._server is not None, "enter it first"
        return f"http://{user}:-@127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self, pod: str) -> None:
        """Let nothing of a pod pass, nor anything to it."""
        self._ways[pod].clear()

    def heal(self, pod: str) -> None:
        """Let pass what was held, and all that follows."""
        self._ways[pod].set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._serve(reader, writer)
        writer.transport.abort()
        self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way = self._ways[user_of(await reader.readuntil(b"\r\n\r\n"))]
        await way.wait()
        there, back = await asyncio.open_connection("127.0.0.1", self._api_port)
        writer.write(_ESTABLISHED)
        try:
            # Each for itself: that nobody is left to hear an answer does not keep a request from arriving.
            await asyncio.gather(
                _pass_on(reader, back, way), _pass_on(there, writer, way), return_exceptions=True
            )
        finally:
            back.transport.abort()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: asyncio.Event) -> None:
    """Pass on what comes until there is no more, and then its end."""
    while data := await source.read(_CHUNK_BYTES):
        await way.wait()
        sink.write(data)
        await sink.drain()
    await way.wait()
    sink.write_eof()


def user_of(head: bytes) -> str:
    """Return the user that the head of a CONNECT names; empty if none."""
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "proxy-authorization":
            return base64.b64decode(value.split()[-1]).decode().partition(":")[0]
    return ""


def _open() -> asyncio.Event:
    way = asyncio.Event()
    way.set()
    return way

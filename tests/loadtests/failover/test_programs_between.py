"""The programs' own way through the proxy: requests and watches, over TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from loadtests.failover.between import Between
from serving_io import Cluster, Unavailable, kinds, transport
from serving_operator.observe import connection
from tests.fakes.tls import Tls

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Server:
    """An API server that answers everything with an empty object."""

    heads: list[str] = field(default_factory=list)
    """The first lines of what it was asked."""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head.decode().splitlines()[0])
                writer.write(_ANSWER)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Server, Between]]:
    """A server with a certificate, and a pod `operator-0` whose environment names the proxy to it."""
    made, tls = Server(), Tls(tmp_path)
    async with await asyncio.start_server(made.answer, "127.0.0.1", 0, ssl=tls.server) as listening:
        port = listening.sockets[0].getsockname()[1]
        kubeconfig = tls.kubeconfig(port)
        async with Between(port) as between:
            monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
            monkeypatch.setenv("https_proxy", between.url("operator-0"))
            monkeypatch.setenv("no_proxy", "")
            yield made, between
        await asyncio.sleep(0.1)  # connections end


async def test_requests_pass_until_the_pod_is_cut_off(
    server: tuple[Server, Between], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod of another name may be cut off without it; what is asked meanwhile by a new connection is never asked."""
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT_SECONDS", 0.5)
    made, between = server
    between.cut("operator-1")
    async with await Cluster.connect(field_manager="alpha") as cluster:
        await cluster.get(kinds.CONFIG_MAP, "c", "default")
    between.cut("operator-0")
    async with await Cluster.connect(field_manager="alpha") as cluster:
        with pytest.raises(Unavailable):
            await cluster.get(kinds.CONFIG_MAP, "d", "default")
    between.heal("operator-0")
    async with await Cluster.connect(field_manager="alpha") as cluster:
        await cluster.get(kinds.CONFIG_MAP, "e", "default")

    assert [head.split()[1][-1] for head in made.heads] == ["c", "e"]


async def test_watches_pass_by_it_as_well(server: tuple[Server, Between]) -> None:
    """With the session that Kopf makes of what the operator tells it."""
    made, between = server
    info = await connection()
    between.cut("operator-0")
    connector = aiohttp.TCPConnector(ssl=info.as_ssl_context())
    async with aiohttp.ClientSession(connector=connector, proxy=info.proxy_url) as session:
        with pytest.raises(TimeoutError):
            await session.get(f"{info.server}/watch", timeout=aiohttp.ClientTimeout(total=0.5))
        between.heal("operator-0")
        async with session.get(f"{info.server}/watch") as response:
            assert response.status == 200

    assert made.heads == ["GET /watch HTTP/1.1"]

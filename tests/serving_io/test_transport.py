"""One request: what guards it, who hears of it, how it is written, what its failure becomes."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.aio.client import ApiClient, Configuration

from serving_io import (
    AlreadyExists,
    ApiError,
    Cluster,
    Conflict,
    Denied,
    Expired,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    NotFound,
    NotLeader,
    TooManyRequests,
    Unavailable,
    kinds,
    transport,
)
from serving_io.errors import error_from
from serving_io.transport import Transport, canonical
from tests.fakes.kube import FakeKube
from tests.fakes.tls import Tls

_KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "c",
    "clusters": [
        {"name": "c", "cluster": {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": True}}
    ],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
}
_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    """A fake API server without our CRDs."""
    with FakeKube(crds=None) as started:
        yield started


async def test_every_write_is_guarded(fake: FakeKube) -> None:
    """No write leaves when the guard raises; reads pass."""

    def refuse() -> None:
        raise NotLeader("not any more")

    async with fake.cluster("alpha") as cluster:
        guarded = cluster.guarded_by(refuse)
        await guarded.list(kinds.CONFIG_MAP)
        for write in (
            guarded.create(_MAP),
            guarded.apply(_MAP),
            guarded.apply_status(_MAP),
            guarded.apply_scale(kinds.DEPLOYMENT, "d", "default", 1),
            guarded.patch(kinds.CONFIG_MAP, "c", "default", {}),
            guarded.replace(_MAP),
            guarded.delete(kinds.CONFIG_MAP, "c", "default"),
        ):
            with pytest.raises(NotLeader):
                await write
        await cluster.create(_MAP)

    assert [request.verb for request in fake.log] == ["list", "create"]


async def test_what_is_sent_a_second_time_is_guarded_again() -> None:
    """A write whose connection dies is not repeated by the client library once leadership is over."""
    leads, arrived = True, list[bool]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal leads
        try:
            while (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            arrived.append(leads)
            leads = False
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    def check() -> None:
        if not leads:
            raise NotLeader("not any more")

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        api = ApiClient(Configuration(host=f"http://127.0.0.1:{port}"))
        async with Cluster(Transport(api), field_manager="alpha") as cluster:
            await cluster.get(kinds.CONFIG_MAP, "c", "default")
            with pytest.raises(NotLeader):
                await cluster.guarded_by(check).delete(kinds.CONFIG_MAP, "c", "default")

    assert arrived == [True]


async def test_requests_are_counted(fake: FakeKube) -> None:
    """Every request is told with its method and code, also one without an answer."""
    heard: list[tuple[str, str]] = []
    async with fake.cluster(
        "alpha", on_request=lambda method, code, _: heard.append((method, code))
    ) as cluster:
        await cluster.create(_MAP)
        with pytest.raises(NotFound):
            await cluster.get(kinds.SECRET, "s", "default")
        with fake.partition(), pytest.raises(Unavailable):
            await cluster.get(kinds.SECRET, "s", "default")

    assert heard == [("POST", "201"), ("GET", "404"), ("GET", "<error>")]


async def test_slow_server_is_unavailable(fake: FakeKube) -> None:
    """A request has an end, and its error says which request it was."""
    fake.knobs.latency_seconds = 5
    async with fake.cluster("alpha", request_timeout_seconds=0.1) as cluster:
        with pytest.raises(Unavailable, match="GET /api/v1/namespaces/default/configmaps/c") as error:
            await cluster.get(kinds.CONFIG_MAP, "c", "default")

    assert (error.value.status, error.value.reason) == (0, "Timeout")


async def test_a_proxy_that_does_not_answer_is_no_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write does not wait for its consent: it would leave long after it was found that it may."""
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT_SECONDS", 0.1)
    asked, given_up = "", asyncio.Event()

    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked = (await reader.readuntil(b"\r\n\r\n")).decode()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        given_up.set()

    async with await asyncio.start_server(stay_silent, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://somebody:secret@127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "")
        path = tmp_path / "config"
        path.write_text(yaml.safe_dump(_KUBECONFIG))
        async with await Cluster.connect(field_manager="alpha", kubeconfig=str(path)) as cluster:
            with pytest.raises(Unavailable, match=rf"POST \S+ through the proxy 127\.0\.0\.1:{port}: "):
                async with asyncio.timeout(10):
                    await cluster.create(_MAP)
        await given_up.wait()

    assert asked.startswith("CONNECT 127.0.0.1:1 ")
    assert f"Basic {b64encode(b'somebody:secret').decode()}" in asked


async def test_large_objects_pass_a_watch(fake: FakeKube) -> None:
    """An event larger than any read buffer arrives whole."""
    large = {**_MAP, "data": {"a": "x" * 5_000_000}}
    async with fake.cluster("alpha") as cluster:
        version = (await cluster.list(kinds.CONFIG_MAP)).resource_version
        fake.write(large)
        async for event in cluster.watch(kinds.CONFIG_MAP, version, server_timeout_seconds=1):
            assert len(event.object["data"]["a"]) == 5_000_000
            break


class Frozen:
    """A TLS server that begins to answer one request, then reads nothing more; `parted` says whether its client hangs up."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]

    def parted(self) -> bool:
        """Serve one client. Whether it ends the connection, though nobody agrees to end TLS."""
        with (
            self._listening,
            self._listening.accept()[0] as plain,
            self._context.wrap_socket(plain.dup(), server_side=True) as tls,
        ):
            tls.recv(65536)
            tls.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[1]\n\r\n")
            plain.settimeout(5)
            try:
                while plain.recv(65536):
                    pass
            except TimeoutError:
                return False
            except ConnectionResetError:
                pass
            return True


async def test_a_stream_that_is_left_is_closed_at_once(tmp_path: Path) -> None:
    """Also where the server is too busy to agree to it, so that no connection outlives the program's loop."""
    tls = Tls(tmp_path)
    frozen = Frozen(tls.server)
    kubeconfig = tls.kubeconfig(frozen.port)
    serving = asyncio.create_task(asyncio.to_thread(frozen.parted))
    async with await Cluster.connect(field_manager="alpha", kubeconfig=str(kubeconfig)) as cluster:
        async with aclosing(cluster._transport.lines("/watch", {})) as lines:
            async for line in lines:
                assert line == b"[1]"
                break
        assert await serving


async def test_a_certificate_of_another_authority_is_told_apart(tmp_path: Path) -> None:
    """From a server that does not answer: it comes back for a new process, not for this one."""
    for name in ("former", "present"):
        (tmp_path / name).mkdir()
    former, present = Tls(tmp_path / "former"), Tls(tmp_path / "present")
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=present.server) as server:
        kubeconfig = former.kubeconfig(server.sockets[0].getsockname()[1])
        async with await Cluster.connect(field_manager="alpha", kubeconfig=str(kubeconfig)) as cluster:
            with pytest.raises(Unavailable) as error:
                await cluster.get(kinds.CONFIG_MAP, "c", "default")
    assert error.value.reason == transport.NOT_TRUSTED


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (403, {"reason": "Forbidden"}, Forbidden),
        (403, {"details": {"causes": [{"reason": "NamespaceTerminating"}]}}, NamespaceTerminating),
        (
            403,
            {"message": "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for …"},
            Unavailable,
        ),
        (404, {"reason": "NotFound"}, NotFound),
        (409, {"reason": "Conflict"}, Conflict),
        (409, {"reason": "AlreadyExists"}, AlreadyExists),
        (410, {"reason": "Expired"}, Expired),
        (422, {"reason": "Invalid"}, Invalid),
        (422, {"details": {"causes": [{"field": "metadata.uid"}]}}, Conflict),
        (429, {}, TooManyRequests),
        (400, {"message": "admission webhook denied the request"}, Denied),
        (401, {}, ApiError),
        (408, {}, ApiError),
        (413, {}, Denied),
        (500, {}, Unavailable),
        (500, {"message": "failed to create typed patch object (…): .spec.x: field not declared"}, Invalid),
        (500, {"message": 'Internal error occurred: failed calling webhook "a": refused'}, Denied),
        (503, "upstream connect error", Unavailable),
        (404, "404 page not found", NotFound),
        (502, ["not", "an", "object"], Unavailable),
    ],
)
def test_errors(status: int, body: object, expected: type[ApiError]) -> None:
    """Each refusal has its own type, whoever wrote the body."""
    error = error_from(status, json.dumps(body) if not isinstance(body, str) else body, {"Retry-After": "3"})

    assert type(error) is expected
    assert (error.status, error.retry_after) == (status, 3.0)


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_canonical_json_says_the_same(value: object) -> None:
    """The canonical form loses nothing, and the characters that Go escapes are escaped."""
    try:
        text = canonical(value).decode()
    except UnicodeEncodeError:
        return  # a lone surrogate is no text that the API could hold
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")


def test_canonical_json_is_compact_and_sorted() -> None:
    """Byte for byte what the API server writes."""
    assert canonical({"b": [1, {"d": "ä<"}], "a": None}) == '{"a":null,"b":[1,{"d":"ä\\u003c"}]}'.encode()

"""What the local cluster's client takes from a kubeconfig."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster import pki
from localcluster.api import KubeconfigError, connect


@pytest.mark.parametrize("inline", [True, False])
async def test_kubeconfig_with_certificates(tmp_path: Path, inline: bool) -> None:
    """The authority is checked and the client's certificate shown, both inline or as files beside the kubeconfig."""
    authority = pki.Authority(tmp_path, "ca")
    serving, own = authority.server("api"), authority.client("me", "me")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.certificate))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(serving.certificate, serving.key)
    subjects = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subjects.append(dict(pair[0] for pair in writer.get_extra_info("peercert")["subject"])["commonName"])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        path = pki.write_kubeconfig(tmp_path / "kubeconfig", url, authority.certificate, own, "me")
        if not inline:
            config = json.loads(path.read_text())
            for entry in (config["clusters"][0]["cluster"], config["users"][0]["user"]):
                for name in [name for name in entry if name.endswith("-data")]:
                    (tmp_path / name).write_bytes(base64.b64decode(entry.pop(name)))
                    entry[name.removesuffix("-data")] = name
            path.write_text(yaml.safe_dump(config))
        async with connect(path) as client:
            assert await client.call("GET", "/version") == {}
            assert client.cluster["server"] == url
    assert subjects == ["me"]


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        ({}, "current-context"),
        ({"current-context": "x", "contexts": []}, "StopIteration"),
        (None, "TypeError"),
    ],
)
async def test_incomplete_kubeconfig(tmp_path: Path, config: Any, missing: str) -> None:
    """A kubeconfig without a usable current context is refused by name."""
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(KubeconfigError, match=f"{path}: incomplete current context .*{missing}"):
        async with connect(path):
            pass

"""A client of the API server: list and watch that outlive it, creation, and status writes."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import yaml

from localcluster.gateway.world import Key, key_of
from localcluster.objects import Object

logger = logging.getLogger(__name__)

_WATCH_SECONDS = 60
_SILENCE_SECONDS = 75
"""The API server ends a watch after _WATCH_SECONDS; one that stays silent beyond that is dead."""
_LONGEST_PAUSE_SECONDS = 5.0


def one_line(error: Exception) -> str:
    """An error's first line, or its kind if it has no words."""
    return (str(error).splitlines() or [type(error).__name__])[0]


class KubeconfigError(Exception):
    """A kubeconfig that cannot be used; the message names the field."""


def client_from(kubeconfig: Path) -> httpx.AsyncClient:
    """A client for the current context of a kubeconfig; raises KubeconfigError."""
    document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    try:
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = _named(document["clusters"], context["cluster"])["cluster"]
        user = _named(document["users"], context["user"])["user"]
        server = cluster["server"]
    except (KeyError, StopIteration, TypeError) as error:
        raise KubeconfigError(f"{kubeconfig}: incomplete current context ({error!r})") from error
    tls = ssl.create_default_context()
    authority = _content(cluster, "certificate-authority", kubeconfig)
    if authority is not None:
        tls.load_verify_locations(cadata=authority)
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    certificate = _content(user, "client-certificate", kubeconfig)
    key = _content(user, "client-key", kubeconfig)
    if certificate is not None and key is not None:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
            pem.write(certificate + "\n" + key)
            pem.flush()
            tls.load_cert_chain(pem.name)
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    return httpx.AsyncClient(base_url=server, verify=tls, headers=headers, timeout=10.0, trust_env=False)


def _named(items: list[Object], name: str) -> Object:
    return next(item for item in items if item["name"] == name)


def _content(holder: Object, name: str, kubeconfig: Path) -> str | None:
    if f"{name}-data" in holder:
        return base64.b64decode(holder[f"{name}-data"]).decode()
    if name in holder:
        return Path(kubeconfig.parent, holder[name]).read_text(encoding="utf-8")
    return None


class Informer:
    """All objects of one resource, kept current by list and watch; calls `changed` on every change."""

    def __init__(self, client: httpx.AsyncClient, path: str, changed: Callable[[], None]) -> None:
        self._client = client
        self._path = path
        self._changed = changed
        self.items: dict[Key, Object] = {}
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """List and watch for ever; any failure leads to a new list after a growing pause."""
        pause = 0.1
        while True:
            try:
                version = await self._list()
                pause = 0.1
                while True:
                    version = await self._watch(version)
                    await asyncio.sleep(pause)
            except (httpx.HTTPError, _ExpiredError, ValueError) as error:
                logger.info("%s: list again (%s)", self._path, one_line(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _list(self) -> str:
        response = await self._client.get(self._path)
        response.raise_for_status()
        answer = response.json()
        self.items = {key_of(item): item for item in answer.get("items") or []}
        self.synced.set()
        self._changed()
        return str(answer["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> str:
        params: dict[str, str | int] = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": _WATCH_SECONDS,
        }
        timeout = httpx.Timeout(10.0, read=_SILENCE_SECONDS)
        async with self._client.stream("GET", self._path, params=params, timeout=timeout) as response:
            if response.is_error:
                raise _ExpiredError(f"watch answered {response.status_code}")
            async for line in response.aiter_lines():
                event = json.loads(line)
                item = event["object"]
                if event["type"] == "ERROR":
                    raise _ExpiredError(item.get("message", ""))
                version = item["metadata"]["resourceVersion"]
                if event["type"] == "BOOKMARK":
                    continue
                if event["type"] == "DELETED":
                    self.items.pop(key_of(item), None)
                else:
                    self.items[key_of(item)] = item
                self._changed()
        return version


class _ExpiredError(Exception):
    """The watch cannot go on from its resource version."""


async def create_if_absent(client: httpx.AsyncClient, path: str, item: Object) -> bool:
    """Create an object; says whether it was absent. Raises httpx.HTTPError if neither is so."""
    response = await client.post(path, json=item)
    if response.status_code == httpx.codes.CONFLICT:
        return False
    response.raise_for_status()
    return True


async def write_status(client: httpx.AsyncClient, path: str, item: Object, status: dict[str, Any]) -> bool:
    """Write a status decided on `item`; False if the object has changed since. Raises httpx.HTTPError."""
    metadata = {"resourceVersion": item["metadata"]["resourceVersion"], "uid": item["metadata"]["uid"]}
    response = await client.patch(
        path,
        content=json.dumps({"metadata": metadata, "status": status}),
        headers={"Content-Type": "application/merge-patch+json"},
    )
    if response.status_code in (httpx.codes.CONFLICT, httpx.codes.NOT_FOUND):
        return False
    response.raise_for_status()
    return True

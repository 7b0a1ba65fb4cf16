"""A small client of the API server: calls, and list-then-watch as one endless stream of changes."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml

log = logging.getLogger(__name__)

Object = dict[str, Any]
MERGE = "application/merge-patch+json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
WATCH_SECONDS = 300
RETRY_SECONDS = 1.0
# Watch events arrive one a line, and a line holds a whole object.
LONGEST_LINE_BYTES = 4 * 1024 * 1024
UNREACHABLE = (aiohttp.ClientError, asyncio.TimeoutError, OSError)


class ApiError(Exception):
    """The API server's refusal: HTTP `code`, machine-readable `reason`, and its message."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason


def _file(entry: Object, key: str) -> str | None:
    """The path of a kubeconfig's certificate or key, which may be given inline."""
    if inline := entry.get(f"{key}-data"):
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(base64.b64decode(inline))
        return file.name
    path = entry.get(key)
    return str(path) if path else None


class Api:
    """One connection pool to the API server that the kubeconfig's current context names."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        entries = {
            kind: {item["name"]: item[kind] for item in config[f"{kind}s"]}
            for kind in ("context", "cluster", "user")
        }
        context = entries["context"][config["current-context"]]
        cluster, user = entries["cluster"][context["cluster"]], entries["user"][context["user"]]
        self.server: str = cluster["server"].rstrip("/")
        self.cluster: Object = cluster
        self._headers = {"Authorization": f"Bearer {user['token']}"} if user.get("token") else {}
        self._tls = ssl.create_default_context(cafile=_file(cluster, "certificate-authority"))
        if cluster.get("insecure-skip-tls-verify"):
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE
        if certificate := _file(user, "client-certificate"):
            self._tls.load_cert_chain(certificate, _file(user, "client-key"))
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=32),
            timeout=aiohttp.ClientTimeout(total=30),
            read_bufsize=LONGEST_LINE_BYTES,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Object:
        """One request; raises ApiError for a refusal and one of UNREACHABLE for no answer."""
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type}
        async with self._session.request(
            method, self.server + path, data=data, headers=headers, params=query or {}
        ) as answer:
            content = await answer.json()
            if answer.status >= 400:
                raise ApiError(answer.status, content.get("reason", ""), content.get("message", ""))
            return dict(content)

    async def get_or_none(self, path: str) -> Object | None:
        """The object at a path, or None where there is none."""
        try:
            return await self.call("GET", path)
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    async def create_or_ignore(self, path: str, body: Object) -> None:
        """Create an object unless one of its name exists."""
        try:
            await self.call("POST", path, body)
        except ApiError as error:
            if error.code != 409:
                raise

    async def follow(self, path: str, **query: str) -> AsyncIterator[tuple[bool, Object]]:
        """Every state of a collection's objects for ever, as (exists, object); deletions are never missed."""
        known: dict[str, Object] = {}
        while True:
            try:
                async for exists, item in self._list_then_watch(path, known, query):
                    yield exists, item
            except (ApiError, *UNREACHABLE) as error:
                log.warning("watch of %s interrupted, listing again: %s", path, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _list_then_watch(
        self, path: str, known: dict[str, Object], query: dict[str, str]
    ) -> AsyncIterator[tuple[bool, Object]]:
        listed = await self.call("GET", path, query=query)
        fresh = {item["metadata"]["uid"]: item for item in listed["items"]}
        for uid in [uid for uid in known if uid not in fresh]:
            yield False, known.pop(uid)
        for uid, item in fresh.items():
            before = known.get(uid)
            if not before or before["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                known[uid] = item
                yield True, item
        parameters = {
            **query,
            "watch": "true",
            "resourceVersion": listed["metadata"]["resourceVersion"],
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        no_limit = aiohttp.ClientTimeout(total=None, sock_read=WATCH_SECONDS + 30)
        async with self._session.get(self.server + path, params=parameters, timeout=no_limit) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                item = event["object"]
                exists = event["type"] != "DELETED"
                if exists:
                    known[item["metadata"]["uid"]] = item
                else:
                    known.pop(item["metadata"]["uid"], None)
                yield exists, item

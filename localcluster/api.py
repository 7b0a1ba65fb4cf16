"""A small client of the API server: calls, and collections kept current by list and watch."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Container, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import yaml

from localcluster.objects import Object

log = logging.getLogger(__name__)

MERGE = "application/merge-patch+json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
_TIMEOUT_SECONDS = 10.0
_WATCH_SECONDS = 60
_SILENCE_SECONDS = 75.0
"""The API server ends a watch after _WATCH_SECONDS; one that stays silent beyond that is dead."""
_SHORTEST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0


class KubeconfigError(Exception):
    """A kubeconfig that cannot be used; the message names the field."""


class ApiError(Exception):
    """No answer (code 0), or the API server's refusal with its HTTP code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code


def now() -> str:
    """The time of day as the API writes it, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Api:
    """Calls through one connection pool; `cluster` is the kubeconfig's entry of the API server."""

    client: httpx.AsyncClient
    cluster: Object

    async def call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Object:
        """One request and its answer; raises ApiError."""
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type}
        try:
            answer = await self.client.request(method, path, content=content, headers=headers, params=query)
            if answer.is_error:
                raise ApiError(answer.status_code, answer.text[:1000].strip())
            return dict(answer.json())
        except (httpx.HTTPError, ValueError) as error:
            raise ApiError(0, f"{type(error).__name__} {error}") from error

    async def call_unless(
        self,
        codes: Container[int],
        method: str,
        path: str,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object | None:
        """Like `call`, but None where the API server refuses with one of `codes`."""
        try:
            return await self.call(method, path, body, content_type)
        except ApiError as error:
            if error.code not in codes:
                raise
            return None

    async def get_or_none(self, path: str) -> Object | None:
        """The object at a path, or None where there is none."""
        return await self.call_unless({404}, "GET", path)

    async def create_if_absent(self, path: str, body: Object) -> bool:
        """Create an object unless one of its name exists; whether it was absent."""
        return await self.call_unless({409}, "POST", path, body) is not None

    def follow(self, path: str, **query: str) -> Collection:
        """The collection at a path, to be iterated over."""
        return Collection(self, path, query)


class Collection:
    """Every object at one path, current for as long as it is iterated over.

    The iteration yields each object as it changes, as (exists, object), for ever; no deletion is missed.
    """

    def __init__(self, api: Api, path: str, query: Mapping[str, str]) -> None:
        self._api, self._path, self._query = api, path, dict(query)
        self.items: dict[str, Object] = {}
        """The objects as last seen, by uid."""
        self.listed = asyncio.Event()
        """Set once `items` has been complete."""

    async def __aiter__(self) -> AsyncGenerator[tuple[bool, Object], None]:
        version, pause = "", _SHORTEST_PAUSE_SECONDS
        while True:
            try:
                if not version:
                    version, changes = await self._list()
                    for change in changes:
                        yield change
                async with self._watch(version) as answer:
                    if answer.is_error:
                        raise ApiError(answer.status_code, "watch refused")
                    async for line in answer.aiter_lines():
                        event = json.loads(line)
                        item = event["object"]
                        if event["type"] == "ERROR":
                            raise ApiError(item.get("code", 0), item.get("message", ""))
                        version = item["metadata"]["resourceVersion"]
                        if event["type"] != "BOOKMARK":
                            yield self._take(event["type"] != "DELETED", item)
                pause = _SHORTEST_PAUSE_SECONDS
            except (ApiError, httpx.HTTPError, ValueError) as error:
                log.warning("watch of %s interrupted, listing again: %r", self._path, error)
                version, pause = "", min(2 * pause, _LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)

    async def _list(self) -> tuple[str, list[tuple[bool, Object]]]:
        """The version listed, and what has changed since the last look."""
        answer = await self._api.call("GET", self._path, query=self._query)
        before, self.items = self.items, {item["metadata"]["uid"]: item for item in answer["items"] or []}
        self.listed.set()
        versions = {uid: item["metadata"]["resourceVersion"] for uid, item in before.items()}
        gone = [(False, item) for uid, item in before.items() if uid not in self.items]
        changed = [
            (True, item)
            for uid, item in self.items.items()
            if item["metadata"]["resourceVersion"] != versions.get(uid)
        ]
        return answer["metadata"]["resourceVersion"], gone + changed

    def _watch(self, version: str) -> AbstractAsyncContextManager[httpx.Response]:
        watch = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH_SECONDS)}
        return self._api.client.stream(
            "GET",
            self._path,
            params={**self._query, **watch, "resourceVersion": version},
            timeout=httpx.Timeout(_TIMEOUT_SECONDS, read=_SILENCE_SECONDS),
        )

    def _take(self, exists: bool, item: Object) -> tuple[bool, Object]:
        if exists:
            self.items[item["metadata"]["uid"]] = item
        else:
            self.items.pop(item["metadata"]["uid"], None)
        return exists, item


@asynccontextmanager
async def connect(kubeconfig: Path) -> AsyncIterator[Api]:
    """A client for the current context of a kubeconfig; raises KubeconfigError."""
    server, cluster, user = _current(kubeconfig)
    async with httpx.AsyncClient(
        base_url=server,
        verify=_tls(cluster, user, kubeconfig.parent),
        headers={"Authorization": f"Bearer {user['token']}"} if "token" in user else {},
        timeout=_TIMEOUT_SECONDS,
        trust_env=False,
    ) as client:
        yield Api(client, cluster)


def _current(kubeconfig: Path) -> tuple[str, Object, Object]:
    """Address, cluster and user of the current context."""
    document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))

    def named(kind: str, name: str) -> Object:
        entry: Object = next(item for item in document[f"{kind}s"] if item["name"] == name)[kind]
        return entry

    try:
        context = named("context", document["current-context"])
        cluster, user = named("cluster", context["cluster"]), named("user", context["user"])
        return cluster["server"], cluster, user
    except (KeyError, StopIteration, TypeError) as error:
        raise KubeconfigError(f"{kubeconfig}: incomplete current context ({error!r})") from error


def _tls(cluster: Object, user: Object, directory: Path) -> ssl.SSLContext:
    """Whom to trust and who we are; files are relative to `directory`."""

    def pem(holder: Object, name: str) -> str | None:
        if f"{name}-data" in holder:
            return base64.b64decode(holder[f"{name}-data"]).decode()
        return Path(directory, holder[name]).read_text(encoding="utf-8") if name in holder else None

    context = ssl.create_default_context()
    if (authority := pem(cluster, "certificate-authority")) is not None:
        context.load_verify_locations(cadata=authority)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = pem(user, "client-certificate"), pem(user, "client-key")
    if certificate is not None and key is not None:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(certificate + "\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context

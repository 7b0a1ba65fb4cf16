"""A small client of the API server: calls, and list-then-watch as one endless stream of changes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

log = logging.getLogger(__name__)

Object = dict[str, Any]
MERGE = "application/merge-patch+json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
WATCH_SECONDS = 300
RETRY_SECONDS = 1.0


class ApiError(Exception):
    """No answer (code 0), or the API server's refusal with its HTTP code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code


class Api:
    """Calls through one connection pool; `cluster` is the kubeconfig's entry of the API server."""

    def __init__(self, client: httpx.AsyncClient, cluster: Object) -> None:
        self._client, self.cluster = client, cluster

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
            answer = await self._client.request(method, path, content=content, headers=headers, params=query)
            if answer.is_error:
                raise ApiError(answer.status_code, answer.text[:1000])
            return dict(answer.json())
        except (httpx.HTTPError, ValueError) as error:
            raise ApiError(0, f"{type(error).__name__} {error}") from error

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
        """Every object of a collection as it changes, as (exists, object), for ever; no deletion is missed."""
        known: dict[str, Object] = {}
        while True:
            try:
                async for exists, item in self._list_then_watch(path, known, query):
                    yield exists, item
            except (ApiError, httpx.HTTPError, ValueError) as error:
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
            before = known.get(uid, {"metadata": {}})
            known[uid] = item
            if before["metadata"].get("resourceVersion") != item["metadata"]["resourceVersion"]:
                yield True, item
        version, timeout = listed["metadata"]["resourceVersion"], str(WATCH_SECONDS)
        watch = {**query, "watch": "true", "resourceVersion": version, "timeoutSeconds": timeout}
        silence = httpx.Timeout(10, read=WATCH_SECONDS + 30)
        async with self._client.stream("GET", path, params=watch, timeout=silence) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                item, exists = event["object"], event["type"] != "DELETED"
                if exists:
                    known[item["metadata"]["uid"]] = item
                else:
                    known.pop(item["metadata"]["uid"], None)
                yield exists, item

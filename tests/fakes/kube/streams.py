"""WATCH: history since a resourceVersion, then what happens, as a stream of lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from aiohttp import web

from tests.fakes.kube.patches import label_selector
from tests.fakes.kube.requests import Refused, Target
from tests.fakes.kube.shapes import Json
from tests.fakes.kube.store import Change, Store


async def watch(
    request: web.Request, store: Store, target: Target, bookmark_seconds: float
) -> web.StreamResponse:
    """Answer one watch until its time-out, or until the server ends it."""
    query = request.query
    selected = _selection(target, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    changes: asyncio.Queue[Change | None] = asyncio.Queue()
    stream = web.StreamResponse(headers={"Content-Type": "application/json"})
    since = int(query.get("resourceVersion") or 0)
    wants_initial = query.get("sendInitialEvents") == "true" or since == 0
    backlog = [change for change in store.history if change.version > since] if not wants_initial else []
    version = store.version
    store.watchers.add(changes)
    try:
        await stream.prepare(request)
        if not wants_initial and since < store.oldest:
            expired = Refused(410, "Expired", f"too old resource version: {since} ({store.oldest})")
            await _send(stream, "ERROR", expired.body)
            return stream
        if wants_initial:
            for record in list(store.objects[target.resource].values()):
                if selected(record.shown):
                    await _send(stream, "ADDED", record.shown)
            if query.get("sendInitialEvents") == "true":
                await _send(
                    stream, "BOOKMARK", _bookmark(target, version, {"k8s.io/initial-events-end": "true"})
                )
        for change in backlog:
            await _tell(stream, target, change, selected)
        loop = asyncio.get_running_loop()
        end = loop.time() + float(query.get("timeoutSeconds") or 3600)
        while (left := end - loop.time()) > 0:
            try:
                async with asyncio.timeout(min(left, bookmark_seconds)):
                    heard = await changes.get()
            except TimeoutError:
                if query.get("allowWatchBookmarks") in ("1", "true"):
                    await _send(stream, "BOOKMARK", _bookmark(target, store.version, {}))
                continue
            if heard is None:
                break
            await _tell(stream, target, heard, selected)
    except (ConnectionError, asyncio.CancelledError):
        pass  # the client has left
    finally:
        store.watchers.discard(changes)
    return stream


def _selection(target: Target, labels: str, fields: str) -> Callable[[Json], bool]:
    chosen = label_selector(labels)
    wanted = dict(part.split("=", 1) for part in fields.split(",") if part)

    def selected(manifest: Json) -> bool:
        metadata = manifest["metadata"]
        return (
            target.namespace in ("", metadata.get("namespace", ""))
            and chosen(metadata.get("labels") or {})
            and wanted.get("metadata.name", metadata["name"]) == metadata["name"]
        )

    return selected


async def _tell(
    stream: web.StreamResponse, target: Target, change: Change, selected: Callable[[Json], bool]
) -> None:
    """An object that leaves the selection is DELETED for this watcher, one that enters is ADDED."""
    if change.resource.kind != target.resource.kind:
        return
    before = change.old is not None and selected(change.old)
    after = change.new is not None and selected(change.new)
    if after:
        await _send(stream, "MODIFIED" if before else "ADDED", change.new)
    elif before:
        last: Json = change.old
        stamped = {**last, "metadata": {**last["metadata"], "resourceVersion": str(change.version)}}
        await _send(stream, "DELETED", stamped)


async def _send(stream: web.StreamResponse, type_: str, manifest: Json) -> None:
    await stream.write(json.dumps({"type": type_, "object": manifest}).encode() + b"\n")


def _bookmark(target: Target, version: int, annotations: dict[str, str]) -> Json:
    metadata: Json = {"resourceVersion": str(version)}
    if annotations:
        metadata["annotations"] = annotations
    return {
        "kind": target.resource.kind.name,
        "apiVersion": target.resource.kind.api_version,
        "metadata": metadata,
    }

"""The verbs of the Kubernetes API that the programs use, over plain dict manifests.

Writes carry what they were decided on: `metadata.uid` and `metadata.resourceVersion` in the body of an
apply or a patch, `uid` and `resource_version` of a delete. The server answers `Conflict` when they no
longer hold, with three exceptions (the contract tests ask a real server):

* An apply to a custom resource's `status` ignores the uid: state the resourceVersion there.
* An apply with a resourceVersion but without a uid creates the object if it is gone: state the uid.
* An apply to a custom resource's `scale` is always refused (500): patch or replace it.

Nothing is retried here: the caller's queue knows whether the write is still wanted.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, Self

from serving_io.connection import api_client
from serving_io.errors import NotFound, Unavailable, error_from_status
from serving_io.kinds import Kind, kind_of
from serving_io.transport import (
    APPLY,
    JSON_PATCH,
    MERGE_PATCH,
    METADATA_ONLY,
    REQUEST_TIMEOUT_SECONDS,
    Transport,
    unobserved,
)

Manifest = dict[str, Any]
"""An API object as JSON."""

Propagation = Literal["Background", "Foreground", "Orphan"]


def unreduced(manifest: Manifest) -> Manifest:
    """All of it."""
    return manifest


_PATCHES = {"merge": MERGE_PATCH, "json": JSON_PATCH}


@dataclass(frozen=True)
class Listing:
    """The objects of a LIST and the resourceVersion from which a watch continues."""

    items: list[Manifest]
    resource_version: str


@dataclass(frozen=True)
class WatchEvent:
    """One change: `type` is ADDED, MODIFIED, DELETED or BOOKMARK (no object, only how far it is)."""

    type: str
    object: Manifest


class Cluster:
    """A connection to the API server that writes as one field manager."""

    def __init__(self, transport: Transport, *, field_manager: str, instance: str = "") -> None:
        self.field_manager = field_manager
        self.instance = instance or field_manager
        """Which process of the field manager this is, for events."""
        self._transport = transport

    @classmethod
    async def connect(
        cls,
        *,
        field_manager: str,
        instance: str = "",
        on_request: Callable[[str, str, float], None] = unobserved,
        request_timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
        kubeconfig: str | None = None,
        context: str | None = None,
    ) -> Self:
        """Connect by what is stated, by KUBECONFIG or as a pod. Raises `ConfigurationError`; does not contact the server yet.

        `on_request(method, code, seconds)` is told of every request; `code` is `<error>` without an answer.
        """
        transport = Transport(
            await api_client(field_manager, kubeconfig=kubeconfig, context=context),
            on_request=on_request,
            request_timeout_seconds=request_timeout_seconds,
        )
        return cls(transport, field_manager=field_manager, instance=instance)

    def guarded_by(self, before_write: Callable[[], None]) -> Cluster:
        """The same connections, with a check directly before each write is sent; it stops it by raising.

        Close only the original.
        """
        return Cluster(
            self._transport.guarded_by(before_write), field_manager=self.field_manager, instance=self.instance
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # Reads

    async def get(
        self, kind: Kind, name: str, namespace: str | None = None, *, subresource: str | None = None
    ) -> Manifest:
        """One object, or one of its subresources. Raises `NotFound`."""
        return await self._transport.send("GET", kind.path(namespace, name, subresource))

    async def metadata(self, kind: Kind, name: str, namespace: str | None = None) -> Manifest:
        """The metadata of an object whose content does not cross the wire. Raises `NotFound`."""
        found = await self._transport.send("GET", kind.path(namespace, name), accept=METADATA_ONLY)
        return dict(found.get("metadata") or {})

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        chunk_size: int = 500,
        reduced: Callable[[Manifest], Manifest] = unreduced,
    ) -> Listing:
        """All objects of a kind, of one namespace or of all. Raises `Expired` if compaction cuts it short.

        Read in chunks, of which only what `reduced` makes of each object is kept. The items state their apiVersion and
        kind, which the server leaves out.
        """
        query = _selectors(label_selector, field_selector) | {"limit": str(chunk_size)}
        items: list[Manifest] = []
        while True:
            page = await self._transport.send("GET", kind.path(namespace), query)
            items += [
                reduced({"apiVersion": kind.api_version, "kind": kind.name, **item})
                for item in page.get("items") or ()
            ]
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return Listing(items, str(metadata.get("resourceVersion", "")))
            query["continue"] = metadata["continue"]

    async def watch(
        self,
        kind: Kind,
        resource_version: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        server_timeout_seconds: int = 300,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Changes since `resource_version`, bookmarks included, until the server ends the stream normally.

        Raises `Expired` if the version is compacted, `Unavailable` if the connection breaks or is silent.
        Wrap it in `contextlib.aclosing` where the loop may be left early.
        """
        query = _selectors(label_selector, field_selector) | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(server_timeout_seconds),
        }
        async with aclosing(self._transport.lines(kind.path(namespace), query)) as lines:
            async for line in lines:
                try:
                    event = json.loads(line)
                    type_, object_ = str(event["type"]), event["object"]
                except (ValueError, TypeError, KeyError) as error:
                    raise Unavailable(0, "Unreadable", f"watch of {kind.plural}: {line[:200]!r}") from error
                if type_ == "ERROR":
                    raise error_from_status(object_)
                yield WatchEvent(type_, object_)

    async def served(self, kind: Kind) -> bool:
        """Whether the server knows the kind at this version (asked of discovery, not of RBAC)."""
        try:
            resources = await self._transport.send("GET", kind.root)
        except NotFound:
            return False
        return any(resource.get("name") == kind.plural for resource in resources.get("resources") or ())

    # Writes

    async def create(self, manifest: Manifest) -> Manifest:
        """POST: only if the name is free. Raises `AlreadyExists`."""
        kind, metadata = kind_of(manifest), manifest["metadata"]
        path = kind.path(metadata.get("namespace"))
        return await self._transport.send("POST", path, {"fieldManager": self.field_manager}, manifest)

    async def apply(
        self, manifest: Manifest, *, force: bool = True, subresource: str | None = None
    ) -> Manifest:
        """Server-side apply: this manager owns exactly the fields of `manifest`.

        A `metadata.uid` or `metadata.resourceVersion` in it is a precondition (`Conflict`). Without a uid an
        object that does not exist is created. `force=False`: `Conflict`, with causes, on fields of others.
        """
        kind, metadata = kind_of(manifest), manifest["metadata"]
        query = {"fieldManager": self.field_manager, "force": str(force).lower()}
        path = kind.path(metadata.get("namespace"), metadata["name"], subresource)
        return await self._transport.send("PATCH", path, query, manifest, APPLY)

    async def apply_status(self, manifest: Manifest, *, force: bool = True) -> Manifest:
        """Server-side apply of the `status` subresource; it takes apiVersion, kind, metadata and status."""
        return await self.apply(manifest, force=force, subresource="status")

    async def apply_scale(
        self,
        kind: Kind,
        name: str,
        namespace: str,
        replicas: int,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Manifest:
        """Own `spec.replicas` through `/scale`, also where the number is already right; answers the Scale."""
        metadata = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": resource_version}
        scale = {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {key: value for key, value in metadata.items() if value is not None},
            "spec": {"replicas": replicas},
        }
        query = {"fieldManager": self.field_manager, "force": "true"}
        return await self._transport.send("PATCH", kind.path(namespace, name, "scale"), query, scale, APPLY)

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str | None,
        body: Manifest | Sequence[Manifest],
        *,
        style: Literal["merge", "json"] = "merge",
        subresource: str | None = None,
    ) -> Manifest:
        """A merge patch, or a JSON patch (a list of operations)."""
        path = kind.path(namespace, name, subresource)
        return await self._transport.send(
            "PATCH", path, {"fieldManager": self.field_manager}, body, _PATCHES[style]
        )

    async def replace(self, manifest: Manifest, *, subresource: str | None = None) -> Manifest:
        """PUT: with a `metadata.resourceVersion`, only if the object is still at it (`Conflict`)."""
        kind, metadata = kind_of(manifest), manifest["metadata"]
        path = kind.path(metadata.get("namespace"), metadata["name"], subresource)
        return await self._transport.send("PUT", path, {"fieldManager": self.field_manager}, manifest)

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation = "Background",
    ) -> Manifest:
        """Delete the object that has `uid` and `resource_version`. Raises `NotFound`, `Conflict`."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options: Manifest = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {key: value for key, value in preconditions.items() if value is not None},
        }
        return await self._transport.send("DELETE", kind.path(namespace, name), None, options)


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    both = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in both.items() if value}

"""What the questions are asked with: one API server, one namespace of its own, requests as they are on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from serving_io import Cluster
from serving_io import Manifest as Manifest
from serving_io.transport import Transport

GROUP = "contract.example.org"
WIDGETS = f"/apis/{GROUP}/v1"

WIDGET_CRD: Manifest = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"widgets.{GROUP}"},
    "spec": {
        "group": GROUP,
        "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.external.replicas",
                        "statusReplicasPath": ".status.replicas",
                        "labelSelectorPath": ".status.selector",
                    },
                },
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "size": {"type": "integer", "minimum": 1, "maximum": 10, "default": 3},
                                    "color": {"type": "string", "enum": ["Red", "Blue"]},
                                    "external": {
                                        "type": "object",
                                        "properties": {"replicas": {"type": "integer"}},
                                    },
                                    "notes": {
                                        "type": "object",
                                        "additionalProperties": {"type": "string"},
                                    },
                                    "parts": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {
                                            "type": "object",
                                            "required": ["name"],
                                            "properties": {
                                                "name": {"type": "string"},
                                                "count": {"type": "integer"},
                                                "unit": {"type": "string", "default": "piece"},
                                            },
                                        },
                                    },
                                    "path": {"type": "array", "items": {"type": "string"}},
                                    "tags": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "set",
                                        "items": {"type": "string"},
                                    },
                                },
                            },
                            "status": {
                                "type": "object",
                                "properties": {
                                    "replicas": {"type": "integer"},
                                    "selector": {"type": "string"},
                                    "message": {"type": "string"},
                                    "conditions": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["type"],
                                        "items": {
                                            "type": "object",
                                            "required": ["type", "status"],
                                            "properties": {
                                                "type": {"type": "string"},
                                                "status": {"type": "string"},
                                                "reason": {"type": "string"},
                                            },
                                        },
                                    },
                                },
                            },
                        },
                    }
                },
            }
        ],
    },
}

CONTENT = {
    "apply": "application/apply-patch+yaml",
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
}


@dataclass(frozen=True)
class Reply:
    """An answer: HTTP `status` and the object in the body."""

    status: int
    body: Manifest

    @property
    def version(self) -> str:
        """The object's resourceVersion."""
        return str(self.body["metadata"]["resourceVersion"])

    @property
    def causes(self) -> set[str]:
        """The fields that a refusal names."""
        return {cause.get("field", "") for cause in self.body.get("details", {}).get("causes", ())}


@dataclass(frozen=True)
class Api:
    """One API server, addressed within one namespace."""

    http: httpx.AsyncClient
    transport: Transport
    namespace: str
    is_fake: bool

    async def collects_garbage(self) -> bool:
        """Whether something deletes what has lost its owner: a bare API server has no controllers.

        Where controllers run, every new namespace is given a service account at once.
        """
        path = self.path("serviceaccounts", "default")
        for _ in range(0 if self.is_fake else 30):
            if (await self.ask("GET", path)).status == 200:
                return True
            await asyncio.sleep(0.1)
        return self.is_fake

    def cluster(self, manager: str = "alpha") -> Cluster:
        """Our own client, as a field manager."""
        return Cluster(self.transport, field_manager=manager)

    def path(self, plural: str, name: str = "", subresource: str = "") -> str:
        """Path within the namespace."""
        roots = {
            "widgets": WIDGETS,
            "deployments": "/apis/apps/v1",
            "controllerrevisions": "/apis/apps/v1",
            "endpointslices": "/apis/discovery.k8s.io/v1",
            "leases": "/apis/coordination.k8s.io/v1",
            "poddisruptionbudgets": "/apis/policy/v1",
        }
        parts = [roots.get(plural, "/api/v1"), "namespaces", self.namespace, plural, name, subresource]
        return "/".join(part for part in parts if part)

    async def ask(self, method: str, path: str, body: Any = None, content: str = "", **query: str) -> Reply:
        """One request as it is on the wire."""
        headers = {"Content-Type": CONTENT.get(content, "application/json")}
        data = None if body is None else json.dumps(body)
        answer = await self.http.request(method, path, content=data, params=query, headers=headers)
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return Reply(answer.status_code, answer.json() if is_json else {"message": answer.text})

    async def until(
        self, what: str, ask: Callable[[], Awaitable[Reply]], holds: Callable[[Reply], bool]
    ) -> Reply:
        """Ask again until the answer is as expected: for what a controller does in its own time."""
        async with asyncio.timeout(30):
            while not holds(reply := await ask()):  # noqa: ASYNC110  (what is awaited is elsewhere)
                await asyncio.sleep(0.1)
        return reply

    async def watched(self, path: str, seconds: int = 1, **query: str) -> list[tuple[str, Manifest]]:
        """The events of a watch that the server ends after some seconds."""
        params = {"watch": "1", "timeoutSeconds": str(seconds), **query}
        async with self.http.stream("GET", path, params=params) as stream:
            events = [json.loads(line) async for line in stream.aiter_lines() if line]
        return [(event["type"], event["object"]) for event in events]

    async def apply(
        self,
        plural: str,
        body: Manifest,
        manager: str = "alpha",
        *,
        subresource: str = "",
        force: bool = True,
    ) -> Reply:
        """Server-side apply."""
        path = self.path(plural, body["metadata"]["name"], subresource)
        return await self.ask("PATCH", path, body, "apply", fieldManager=manager, force=str(force).lower())


def widget(name: str = "w", /, status: Any = None, **spec: Any) -> Manifest:
    """A custom object."""
    manifest: Manifest = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": spec,
    }
    if status is not None:
        del manifest["spec"]
        manifest["status"] = status
    return manifest


def deployment(name: str = "d", /, **spec: Any) -> Manifest:
    """A Deployment with one container."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "schedulerName": "nobody",  # a real cluster starts none of its pods
                    "containers": [{"name": "model", "image": "example.org/model:1"}],
                },
            },
            **spec,
        },
    }


def config_map(name: str = "c", /, **data: str) -> Manifest:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def scale(name: str, replicas: int, **metadata: str) -> Manifest:
    """A Scale."""
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": name, **metadata},
        "spec": {"replicas": replicas},
    }


def owned(
    manifest: Manifest, manager: str, operation: str = "Apply", subresource: str = ""
) -> Manifest | None:
    """The fields (FieldsV1) that a manager owns, or None."""
    for entry in manifest["metadata"].get("managedFields", ()):
        if (entry["manager"], entry["operation"], entry.get("subresource", "")) == (
            manager,
            operation,
            subresource,
        ):
            fields: Manifest = entry["fieldsV1"]
            return fields
    return None

"""One run on a real API server, in namespaces of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from serving_io import kinds
from tests.campaign import clock
from tests.campaign.backing import Backing, seeded
from tests.campaign.real.connection import NAMESPACES, Address, Connection, Lost
from tests.campaign.real.mirror import Mirror
from tests.campaign.real.requests import RealRequests
from tests.campaign.user import NAMESPACE
from tests.fakes.kube.requests import Target

_SERVICE_ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
"""Without one no pod is admitted; the controller that makes them does not run."""


@dataclass(frozen=True)
class OnServer:
    """Makes the backings of runs on one server."""

    address: Address

    def __call__(self, actor: Callable[[], str]) -> Backing:
        """Two fresh namespaces, watched from their creation on. Raises `Lost`."""
        connection = Connection(self.address, f"-{uuid.uuid4().hex[:12]}")
        mirror = Mirror(connection, list(seeded().objects), _second)
        requests = RealRequests(connection, mirror, actor)
        mirror.verbs = requests
        namespaces = next(resource for resource in mirror.objects if resource.kind == kinds.NAMESPACE)
        for name in NAMESPACES:
            manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            made = requests.create(Target(namespaces, ""), manifest, "campaign")
        connection.ask("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", _SERVICE_ACCOUNT)
        mirror.follow(made["metadata"]["resourceVersion"], NAMESPACE)
        return Backing(mirror, requests, lambda: _forget(connection, mirror, requests))


def _forget(connection: Connection, mirror: Mirror, requests: RealRequests) -> None:
    """Compare what the watches have told with what is there; then delete it, namespaces included: nobody else does."""
    told = {resource: mirror.versions(resource) for resource in mirror.followed}
    mirror.close()
    for resource, versions in told.items():
        listed = requests.listed(Target(resource, NAMESPACE), {})["items"]
        there = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in listed}
        if versions != there:
            raise Lost(f"{resource.kind.plural}: the watch has told of {versions}, and there is {there}")
    left = {(resource.kind, key[0]) for resource, key, _ in mirror.everything() if key[0]}
    for kind, namespace in left:
        connection.ask("DELETE", kind.path(namespace))
    for name in NAMESPACES:
        path = kinds.NAMESPACE.path(None, name)
        live: Any = connection.ask("DELETE", path).body
        connection.ask("PUT", f"{path}/finalize", {**live, "spec": {"finalizers": []}})
    connection.close()


def _second() -> str:
    return clock.text(clock.now().replace(microsecond=0))

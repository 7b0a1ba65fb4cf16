"""What is behind the faults of a run: the fake's store in memory, or (`tests.campaign.real`) a real API server."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.kube import FakeKube, discovery
from tests.fakes.kube.patches import label_selector
from tests.fakes.kube.requests import Refused, Requests, Target
from tests.fakes.kube.shapes import Json
from tests.fakes.kube.store import Store


@dataclass(frozen=True)
class Backing:
    """Where the objects of one run are. `requests` has the verbs of the fake, LIST and discovery."""

    store: Store
    requests: Any
    close: Callable[[], None]


Backings = Callable[[Callable[[], str]], Backing]
"""Makes the backing of a run; it is told how to learn who acts."""


class InMemory(Requests):
    """The verbs of the fake, and what its HTTP server does besides."""

    def listed(self, target: Target, query: Mapping[str, str]) -> Json:
        """LIST, in one page."""
        selected = label_selector(query.get("labelSelector", ""))
        items = [
            self.shown(target.resource, record)
            for (namespace, _), record in sorted(self.store.objects[target.resource].items())
            if target.namespace in ("", namespace)
            and selected(record.manifest["metadata"].get("labels") or {})
        ]
        return {"metadata": {"resourceVersion": str(self.store.version)}, "items": items}

    def discovered(self, path: str) -> Json:
        """What discovery answers. Raises `Refused` where nothing is served."""
        if (found := discovery.answer(path, list(self.store.objects))) is None:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        return found


@functools.cache
def seeded() -> Store:
    """The store of a fake that has just been started: its kinds, and the objects that are always there."""
    fake = FakeKube()
    fake._seed()
    fake._loop.close()
    return fake.store


def in_memory(_: Callable[[], str]) -> Backing:
    """A store of the fake."""
    store = Store()
    store.version = seeded().version
    store.objects = {resource: dict(records) for resource, records in seeded().objects.items()}
    store.garbage_collection = False  # the world collects, after a while
    return Backing(store, InMemory(store), lambda: None)

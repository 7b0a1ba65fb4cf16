"""Every version of the objects of a kind in a namespace, as a watch tells them, and who wrote which field."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import NamedTuple

import httpx

from serving_api.names import AUTOSCALER
from serving_io.kinds import Kind
from tests.system.kube import Kube, Manifest


class Change(NamedTuple):
    """A change of a Deployment's replicas: before, after, who owns the number since, and whether it was handed over."""

    name: str
    before: int
    after: int
    owners: frozenset[str]
    handed_over: bool
    """Whether the autoscaler owned the number before."""


class Recording:
    """What a watch has told since the block was entered."""

    def __init__(self, kube: Kube, kind: Kind, namespace: str) -> None:
        self._kube, self._kind, self._namespace = kube, kind, namespace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._objects: list[Manifest] = []
        self._failure: Exception | None = None

    def __enter__(self) -> Recording:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._catch_up()
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        try:
            for event in self._kube.watch(self._kind, self._namespace, self._stop):
                if event["type"] in ("ADDED", "MODIFIED"):
                    self._objects.append(event["object"])
        except (httpx.HTTPError, json.JSONDecodeError, AssertionError) as error:
            self._failure = error

    def versions(self) -> list[Manifest]:
        """All versions so far, oldest first; of a recording that goes on, with all that there is now."""
        if not self._stop.is_set():
            self._catch_up()
        assert self._failure is None, self._failure
        return list(self._objects)

    def _catch_up(self) -> None:
        """Wait until the watch, however late, has told what there is now."""
        now = {
            live["metadata"]["uid"]: int(live["metadata"]["resourceVersion"])
            for live in self._kube.list(self._kind, self._namespace)
        }

        def told() -> bool:
            newest = {
                m["metadata"]["uid"]: int(m["metadata"]["resourceVersion"]) for m in list(self._objects)
            }
            return self._failure is not None or all(newest.get(uid, 0) >= at for uid, at in now.items())

        self._kube.until("the watch has told what there is", told)

    def changes(self) -> Iterator[Change]:
        """All changes of Deployments' replicas so far; one that is made anew is no change."""
        last: dict[str, Manifest] = {}
        for live in self.versions():
            before = last.get(live["metadata"]["uid"])
            last[live["metadata"]["uid"]] = live
            if before and before["spec"]["replicas"] != live["spec"]["replicas"]:
                yield Change(
                    live["metadata"]["name"],
                    before["spec"]["replicas"],
                    live["spec"]["replicas"],
                    owners(live),
                    AUTOSCALER in owners(before),
                )


def owners(deployment: Manifest) -> frozenset[str]:
    """Who owns the Deployment's number of replicas: who changed it last, and who has since stated the same."""
    return frozenset(
        entry["manager"]
        for entry in deployment["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    )

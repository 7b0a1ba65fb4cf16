"""Taking pods as a drain does, and seeing that others have come in their place."""

from __future__ import annotations

from collections.abc import Collection

from serving_io import kinds
from tests.system.kube import Kube, Manifest, condition
from tests.system.services import pods_of


def drain(kube: Kube, namespace: str, pods: Collection[Manifest]) -> int:
    """Evict pods as `kubectl drain` does: all at once, and those that a budget protects again and again.

    The answer: how often an eviction was refused.
    """
    left = {pod["metadata"]["name"] for pod in pods}
    refused = 0

    def all_go() -> bool:
        nonlocal refused
        for name in sorted(left):
            if kube.evict(namespace, name):
                left.remove(name)
            else:
                refused += 1
        return not left

    kube.until("every pod is evicted", all_go)
    return refused


def others_serve(
    kube: Kube, namespace: str, revision: str, replicas: int, taken: Collection[Manifest] = ()
) -> list[Manifest]:
    """Wait until a revision has its replicas ready, and the pods that were taken are gone; return its pods."""
    gone = {pod["metadata"]["uid"] for pod in taken}

    def found() -> list[Manifest]:
        there = {pod["metadata"]["uid"] for pod in kube.list(kinds.POD, namespace)}
        now = pods_of(kube, namespace, revision)
        whole = len(now) >= replicas and all(is_ready(pod) for pod in now)
        return now if whole and not gone & there else []

    pods: list[Manifest] = kube.until(f"{replicas} pods of {revision} serve, and none that was taken", found)
    return pods


def is_ready(pod: Manifest) -> bool:
    """Whether a pod answers and is not leaving."""
    leaving = bool(pod["metadata"].get("deletionTimestamp"))
    return condition(pod.get("status", {}), "Ready").get("status") == "True" and not leaving


def fewest_ready(versions: Collection[Manifest], pods: Collection[Manifest]) -> int:
    """The fewest pods of the versions' revision that were ready at once, from when all of these had been told."""
    awaited = {pod["metadata"]["uid"] for pod in pods}
    ready: set[str] = set()
    fewest = len(awaited)
    for version in versions:
        uid = version["metadata"]["uid"]
        awaited.discard(uid)
        ready = ready | {uid} if is_ready(version) else ready - {uid}
        if not awaited:
            fewest = min(fewest, len(ready))
    return fewest

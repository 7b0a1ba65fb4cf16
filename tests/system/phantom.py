"""A node whose pods are Ready and run nothing, and a Gateway that accepts routes and carries no traffic.

They make hundreds of settled services possible on a small machine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import httpx

from loadtests.scale import phantom
from localcluster.api import now
from serving_io import kinds
from tests.system.kube import Kube, Manifest, condition

NAME = phantom.NAME
SELECTOR = {"serving-operator.dev/phantom": "true"}
TOLERATION = {"key": "serving-operator.dev/phantom", "operator": "Exists"}
_HEARTBEAT_SECONDS = 2.0


@contextmanager
def phantom_node(kube: Kube, namespace: str, pods: int) -> Iterator[None]:
    """Add the node and a Gateway, and answer for pods and routes in a namespace until the end; then they are gone."""
    node = phantom.node(SELECTOR, [{"key": TOLERATION["key"], "effect": "NoSchedule"}])
    for manifest in (node, phantom.GATEWAY_CLASS):
        kube.kubectl("create", "-f", "-", stdin=manifest)
    kube.kubectl("create", "-n", namespace, "-f", "-", stdin=phantom.GATEWAY)
    stop = threading.Event()
    known: dict[str, int] = {}
    # The heartbeat waits for nothing: a node that is silent for long while its pods are served loses them.
    work = (partial(_beat, kube, pods), partial(_serve, kube, namespace, known))
    threads = [threading.Thread(target=_repeat, args=(each, stop), daemon=True) for each in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        kube.delete_services(namespace)
        kube.until("its pods are gone", lambda: not kube.list(kinds.POD, namespace))
        stop.set()
        for thread in threads:
            thread.join()
        kube.kubectl("delete", "node,gatewayclass", NAME)


def _repeat(work: Callable[[], None], stop: threading.Event) -> None:
    while not stop.is_set():
        # The API server may be away for a moment; the next round makes up for it.
        with suppress(httpx.TransportError):
            work()
        stop.wait(_HEARTBEAT_SECONDS)


def _beat(kube: Kube, pods: int) -> None:
    kube.patch(kinds.NODE, None, NAME, {"status": phantom.node_status(pods, now())}, "status")


def _serve(kube: Kube, namespace: str, known: dict[str, int]) -> None:
    for pod in kube.list(kinds.POD, namespace):
        if pod["spec"].get("nodeName") == NAME:
            _serve_pod(kube, pod, known)
    for route in kube.list(kinds.HTTP_ROUTE, namespace):
        _accept(kube, route)


def _serve_pod(kube: Kube, pod: Manifest, known: dict[str, int]) -> None:
    metadata = pod["metadata"]
    if metadata.get("deletionTimestamp"):
        kube.delete(kinds.POD, metadata["namespace"], metadata["name"], grace_seconds=0)
    elif condition(pod["status"], "Ready").get("status") != "True":
        number = known.setdefault(metadata["uid"], len(known))
        status = {"status": phantom.ready(pod, phantom.address(number), now())}
        kube.patch(kinds.POD, metadata["namespace"], metadata["name"], status, "status")


def _accept(kube: Kube, route: Manifest) -> None:
    """Say of a route to our Gateway that it is carried out as it is now."""
    metadata, said = route["metadata"], phantom.accepted(route)
    if said["parents"] and route.get("status", {}).get("parents") != said["parents"]:
        kube.patch(kinds.HTTP_ROUTE, metadata["namespace"], metadata["name"], {"status": said}, "status")

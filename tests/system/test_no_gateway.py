"""The Gateway API is removed from a cluster and comes back: services serve through their Services meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from localcluster.cluster import Cluster
from localcluster.gateway.backends import dialled_ip
from serving_io import kinds
from tests.system.failures import OPERATOR, restart_program
from tests.system.judging import judged
from tests.system.kube import Kube, Manifest, condition, holds, until
from tests.system.load import Load
from tests.system.services import canary_at_step, canary_weight, committed, first_revision, web_service

CRD = "httproutes.gateway.networking.k8s.io"
PAUSE_SECONDS = 0.1


class InsideClient:
    """A client inside the cluster that does as a node's proxy does: each request goes to an endpoint of a Service."""

    def __init__(self, kube: Kube, namespace: str, service: str) -> None:
        self._kube, self._namespace, self._service = kube, namespace, service
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.revisions: list[str] = []
        """Who answered, in order."""
        self.failures: list[str] = []

    def __enter__(self) -> InsideClient:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            try:
                answer = httpx.get(self._url(), timeout=15)
                answer.raise_for_status()
            except (httpx.HTTPError, LookupError) as error:
                self.failures.append(repr(error))
            else:
                self.revisions.append(answer.headers["x-serving-revision"])

    def _url(self) -> str:
        selector = f"kubernetes.io/service-name={self._service}"
        for found in self._kube.list(kinds.ENDPOINT_SLICE, self._namespace, selector):
            port = next(port["port"] for port in found["ports"] if port["name"] == "http")
            for endpoint in found.get("endpoints") or ():
                if endpoint["conditions"].get("ready"):
                    return f"http://{dialled_ip(endpoint['addresses'][0])}:{port}/"
        raise LookupError("nobody is behind the Service")


@contextmanager
def without_routes(kube: Kube) -> Iterator[Callable[[], None]]:
    """HTTPRoutes are not served, and what there was of them is lost; the answer brings them back."""
    live = json.loads(kube.kubectl("get", "crd", CRD, "-o", "json").stdout)
    kept = {
        key: live["metadata"][key] for key in ("name", "annotations", "labels") if key in live["metadata"]
    }
    manifest = {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": kept,
        "spec": live["spec"],
    }
    back = threading.Event()

    def restore() -> None:
        kube.kubectl("apply", "--server-side", "--field-manager=tests", "-f", "-", stdin=manifest)
        kube.established(CRD)
        # It would notice by itself, at its next resync.
        restart_program(kube, OPERATOR)
        back.set()

    kube.kubectl("delete", "crd", CRD)
    try:
        yield restore
    finally:
        if not back.is_set():
            restore()


def waits(kube: Kube, namespace: str, verdict: str) -> Manifest:
    """Wait until the canary says this; return its status."""
    canary: Manifest = until(
        f"the canary says {verdict}",
        lambda: (
            (canary := kube.status(namespace).get("canary", {})).get("verdict") == verdict
            and canary.get("stepStartedAt")
            and canary
        ),
    )
    return canary


@pytest.mark.disruptive
@pytest.mark.lengthy
def test_the_gateway_api_goes_and_comes_back(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """A canary loses its weight and is promoted by its label alone; the next, judged, waits for routes and has them.

    No request inside the cluster is lost, and each revision answers there from its switch on, never before.
    """
    host = f"{namespace}.example.com"
    first = first_revision(kube, namespace, web_service(host=host))
    attempt = canary_at_step(kube, namespace, web_service(version="2", host=host))
    second = attempt.split("-")[0]
    with InsideClient(kube, namespace, "digits") as client:
        with without_routes(kube) as restore:
            canary = waits(kube, namespace, "WaitingForPromotion")
            until("its weight is gone", lambda: kube.status(namespace)["canary"].get("weight") == 0)
            status = kube.status(namespace)
            assert canary["id"] == attempt
            assert CRD in condition(status, "RouteProgrammed")["message"]
            assert condition(status, "RouteProgrammed")["reason"] == "GatewayAPIMissing"
            assert condition(status, "Servable")["reason"] == "StableServiceOnly"
            assert status["url"] == f"http://digits.{namespace}.svc"
            assert set(client.revisions) == {first}

            kube.label(namespace, "digits", promote=attempt)
            committed(kube, namespace, attempt)
            seen = len(client.revisions)
            until("the client goes on", lambda: len(client.revisions) > seen + 10)
            assert client.revisions == sorted(client.revisions, key=[first, second].index)
            assert set(client.revisions[seen:]) == {second}

            kube.apply(namespace, judged(host, "3", 20))
            third = waits(kube, namespace, "GatewayAPIMissing")
            assert third["weight"] == 0
            assert CRD in condition(kube.status(namespace), "Stalled")["message"]

            restore()
        until("it has a route again", lambda: holds(kube.status(namespace), "RouteProgrammed"))
        assert kube.status(namespace)["canary"]["id"] == third["id"]
        with Load(cluster, host, rate=20) as load:
            until(
                "the canary has its step",
                lambda: (
                    canary_weight(kube.get(kinds.HTTP_ROUTE, namespace, "digits") or {}, third["id"]) >= 20
                ),
            )
            committed(kube, namespace, third["id"])
    assert client.failures == []
    assert load.bad() == []
    assert client.revisions == sorted(client.revisions, key=[first, second, third["revision"]].index)

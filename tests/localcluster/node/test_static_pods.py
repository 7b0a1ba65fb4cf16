"""Components that are shown as static pods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from localcluster.api import Api
from localcluster.cluster import Cluster, NodeCapacity
from localcluster.node.addresses import Addresses, listen_address
from localcluster.node.static_pods import is_static, keep, static_pods

CLUSTER = Cluster(
    run_dir=Path("/run"),
    cache_dir=Path("/cache"),
    kubeconfig=Path("/run/kubeconfig"),
    api_port=1,
    etcd_port=2,
    etcd_peer_port=3,
    controller_manager_port=4,
    scheduler_port=5,
    gateway_http_port=6,
    envoy_admin_port=7,
    prometheus_port=8,
    dcgm_port=9,
    model_server_python=Path("/python"),
    node=NodeCapacity(cpu="2", memory="4Gi", gpus=0),
)


def test_prometheus_finds_them_like_any_pod_and_reaches_the_component() -> None:
    """Annotated with a port that the pod declares, at an address that is dialled where the component listens."""
    pods = static_pods(CLUSTER, "local")
    places = []
    for pod in pods:
        annotations, (container,) = pod["metadata"]["annotations"], pod["spec"]["containers"]
        assert annotations["prometheus.io/scrape"] == "true"
        (port,) = (declared["containerPort"] for declared in container["ports"])
        assert annotations["prometheus.io/port"] == str(port)
        places.append((listen_address(pod["status"]["podIP"]), port, annotations["prometheus.io/path"]))

    assert places == [
        (CLUSTER.envoy_admin_host, CLUSTER.envoy_admin_port, "/stats/prometheus"),
        (CLUSTER.dcgm_host, CLUSTER.dcgm_port, "/metrics"),
    ]
    assert all(host.startswith("127.244.") for host, _, _ in places)


def test_no_other_pod_gets_their_addresses() -> None:
    """The agent hands out every address but theirs."""
    addresses = Addresses(CLUSTER.run_dir)
    handed_out = {addresses.allocate() for _ in range(256 * 254 - 2)}
    assert not handed_out & {pod["status"]["podIP"] for pod in static_pods(CLUSTER, "local")}


def test_the_agent_can_tell_them() -> None:
    """They carry the annotation of a kubelet's own pods; others, with or without annotations, do not."""
    assert all(is_static(pod) for pod in static_pods(CLUSTER, "local"))
    assert not is_static({"metadata": {}})
    assert not is_static({"metadata": {"annotations": {"prometheus.io/scrape": "true"}}})


class Store:
    """Notes the calls that it gets; each look at the collection shows the next of the given events."""

    def __init__(self, *events: tuple[bool, dict[str, Any]]) -> None:
        self.calls: list[tuple[str, str]] = []
        self._events = list(events)

    async def call(self, method: str, path: str, *_: object) -> dict[str, Any]:
        self.calls.append((method, path.rpartition("/pods/")[2]))
        return {}

    async def follow(self, _: str, **query: str) -> AsyncIterator[tuple[bool, dict[str, Any]]]:
        assert query == {"fieldSelector": "metadata.name=envoy-local"}
        while self._events:
            yield self._events.pop(0)
        await asyncio.Event().wait()


async def published(*events: tuple[bool, dict[str, Any]]) -> list[tuple[str, str]]:
    """The calls that these events lead to."""
    store = Store(*events)
    task = asyncio.create_task(keep(cast("Api", store), static_pods(CLUSTER, "local")[0]))
    for _ in range(50):
        await asyncio.sleep(0)
    task.cancel()
    return store.calls


PUBLISHED = [("PATCH", "envoy-local"), ("PATCH", "envoy-local/status")]
SEEN = (True, {"metadata": {}})


@pytest.mark.parametrize(
    ("events", "calls"),
    [
        ([SEEN, SEEN], PUBLISHED),
        (
            [SEEN, (True, {"metadata": {"deletionTimestamp": "now"}}), SEEN],
            [*PUBLISHED, ("DELETE", "envoy-local"), *PUBLISHED],
        ),
        ([SEEN, (False, {"metadata": {}}), SEEN], [*PUBLISHED, *PUBLISHED]),
    ],
)
async def test_a_deleted_one_comes_back(
    events: list[tuple[bool, dict[str, Any]]], calls: list[tuple[str, str]]
) -> None:
    """Published once, and again after each deletion, which the agent itself has to complete."""
    assert await published(*events) == calls

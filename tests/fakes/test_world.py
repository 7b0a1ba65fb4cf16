"""The simulated rest of the cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serving_io import kinds
from tests.contract.questions import Manifest, deployment
from tests.fakes.kube import FakeKube
from tests.fakes.waiting import until
from tests.fakes.world import World


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    """A fake API server."""
    with FakeKube() as started:
        started.namespace("ns")
        yield started


def _in_ns(manifest: Manifest) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": "ns"}}


def _service() -> Manifest:
    spec = {"selector": {"app": "d"}, "ports": [{"port": 80}]}
    return _in_ns({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec})


def _autoscaler() -> Manifest:
    return _in_ns(
        {
            "apiVersion": "serving-operator.dev/v1alpha1",
            "kind": "InferenceAutoscaler",
            "metadata": {"name": "d"},
            "spec": {
                "scaleTargetRef": {"name": "d"},
                "minReplicas": 2,
                "maxReplicas": 5,
                "objective": {"indicator": "RequestLatency", "thresholdMilliseconds": 300, "percent": 99},
                "signals": {"profile": "mlserver"},
                "share": {"of": ["d"], "weightPercent": 0, "reservePercent": 50},
            },
        }
    )


def _route() -> Manifest:
    spec = {"parentRefs": [{"name": "g"}], "rules": [{"backendRefs": [{"name": "s", "port": 80}]}]}
    return _in_ns(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "r"},
            "spec": spec,
        }
    )


def test_deployment_gets_pods_and_endpoints(fake: FakeKube) -> None:
    """Some or all pods become ready, the Service's endpoints follow, and fewer replicas mean fewer pods."""
    world = World(fake)
    fake.write(_service())
    fake.write(_in_ns(deployment(replicas=3)))
    world.make_ready("d", "ns", ready=1)
    some = fake.get(kinds.DEPLOYMENT, "d", "ns")["status"]
    world.make_ready("d", "ns")
    every = fake.get(kinds.DEPLOYMENT, "d", "ns")["status"]
    (slice_,) = fake.objects(kinds.ENDPOINT_SLICE, "ns")
    fake.write(_in_ns(deployment(replicas=1)))
    world.make_ready("d", "ns")

    assert (some["readyReplicas"], some["unavailableReplicas"], every["readyReplicas"]) == (1, 2, 3)
    assert [e["conditions"]["ready"] for e in slice_["endpoints"]] == [True] * 3
    assert len(fake.objects(kinds.POD, "ns")) == 1


def test_route_is_acknowledged_at_its_generation(fake: FakeKube) -> None:
    """Parents accept the present generation only."""
    world = World(fake)
    fake.write(_route())
    world.acknowledge("r", "ns")
    (parent,) = fake.get(kinds.HTTP_ROUTE, "r", "ns")["status"]["parents"]

    assert parent["parentRef"]["name"] == "g"
    assert {c["type"]: (c["status"], c["observedGeneration"]) for c in parent["conditions"]} == {
        "Accepted": ("True", 1),
        "ResolvedRefs": ("True", 1),
    }


def test_reserve_is_answered_and_scaled_to(fake: FakeKube) -> None:
    """The answer counts ready replicas; the Deployment gets the need through /scale."""
    world = World(fake)
    fake.write(_in_ns(deployment(replicas=1)))
    fake.write(_autoscaler())
    world.make_ready("d", "ns")
    world.answer_reserve("d", "ns", replicas=4)
    reserve = fake.get(kinds.INFERENCE_AUTOSCALER, "d", "ns")["status"]["reserve"]

    assert (reserve["replicas"], reserve["readyReplicas"], reserve["carriesPercent"]) == (4, 1, 12)
    assert fake.get(kinds.DEPLOYMENT, "d", "ns")["spec"]["replicas"] == 4


async def test_automatic_settles(fake: FakeKube) -> None:
    """Everything becomes ready by itself, and then nothing is written any more."""
    world = World(fake)

    def reserve() -> Manifest:
        status = fake.get(kinds.INFERENCE_AUTOSCALER, "d", "ns").get("status") or {}
        return status.get("reserve") or {"readyReplicas": 0}

    async with world.automatic():
        fake.write(_service())
        fake.write(_in_ns(deployment(replicas=1)))
        fake.write(_autoscaler())
        fake.write(_route())
        await until(lambda: reserve()["readyReplicas"] == 2)
        await until(lambda: "status" in fake.get(kinds.HTTP_ROUTE, "r", "ns"))
    for _ in range(3):
        fake.do(world._settle)
    version = fake.store.version
    fake.do(world._settle)

    assert reserve()["carriesPercent"] == 50
    assert fake.store.version == version

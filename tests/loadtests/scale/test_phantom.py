"""What is said in the place of node, gateway and autoscaler is said once, and fits what was asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from loadtests.scale import phantom
from loadtests.scale.offering import at_rate, changes, creations, insist, service
from loadtests.scale.surroundings import Surroundings
from localcluster.api import ApiError
from serving_api.autoscaler import Reserve
from serving_api.service import InferenceService


def pod(**metadata: Any) -> dict[str, Any]:
    """A pod that waits for a node."""
    return {
        "metadata": {"namespace": "scale", "name": "scale-00000-x", "uid": "u"} | metadata,
        "spec": {"containers": [{"name": "model", "image": "example/server:1"}]},
    }


class Recorder:
    """An API that takes everything and remembers it."""

    def __init__(self, *refusals: int) -> None:
        self.asked: list[str] = []
        self.refusals = list(refusals)

    async def call(self, method: str, path: str, body: Any = None, *_: Any) -> dict[str, Any]:
        """Remember a request, or refuse it as told."""
        self.asked.append(f"{method} {path.rpartition('/')[2]}")
        if self.refusals and (code := self.refusals.pop(0)):
            raise ApiError(code, "refused")
        return {}

    async def call_unless(self, codes: Any, *arguments: Any) -> dict[str, Any]:
        """The same."""
        return await self.call(*arguments)


async def test_a_pod_is_bound_and_ready_once() -> None:
    """A second look at it, bound or not, asks nothing; when it is to go, it goes at once."""
    api = Recorder()
    surroundings = Surroundings(api)  # type: ignore[arg-type]

    await surroundings._pod(pod())
    await surroundings._pod(pod())
    await surroundings._pod(pod(deletionTimestamp="2026-01-01T00:00:00Z"))

    assert api.asked == ["POST binding", "PATCH status", "DELETE scale-00000-x"]


async def test_a_route_is_accepted_as_it_is_now() -> None:
    """A route that is accepted at its generation is left alone; a younger one is accepted again."""
    api = Recorder()
    surroundings = Surroundings(api)  # type: ignore[arg-type]
    route = {
        "metadata": {
            "namespace": "scale",
            "name": "scale-00000",
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"parentRefs": [{"name": phantom.NAME}, {"name": "another"}]},
    }

    await surroundings._route(route)
    accepted = route | {"status": phantom.accepted(route)}
    await surroundings._route(accepted)
    await surroundings._route(accepted | {"metadata": route["metadata"] | {"generation": 2}})  # type: ignore[operator]

    assert api.asked == ["PATCH status", "PATCH status"]
    assert len(phantom.accepted(route)["parents"]) == 1


async def test_a_reserve_answers_the_generation_that_asks() -> None:
    """And the target's replicas are owned once."""
    api = Recorder()
    surroundings = Surroundings(api)  # type: ignore[arg-type]
    asks = {
        "metadata": {"namespace": "scale", "name": "scale-00000-x", "uid": "u", "generation": 3},
        "spec": {"share": {"reservePercent": 100}, "scaleTargetRef": {"name": "scale-00000-x"}},
    }
    said = phantom.reserve(asks)

    await surroundings._autoscaler(asks)
    await surroundings._autoscaler(asks | {"status": {"reserve": said}})

    assert api.asked == ["PATCH status", "PATCH scale"]
    assert Reserve.model_validate(said).observed_generation == 3


def test_each_pod_has_an_address_of_its_own() -> None:
    """All are such as the local cluster's pods have: whoever dials one there dials loopback."""
    addresses = [phantom.address(number) for number in (*range(300), 63_999)]

    assert len(set(addresses)) == len(addresses)
    assert addresses[0] == "10.244.255.1"
    assert addresses[-1] == "10.244.0.250"
    assert all(one.startswith("10.244.") for one in addresses)


def test_the_services_are_valid_and_changes_differ() -> None:
    """Each change of a service says something else than its creation, and than the change before."""
    bodies: list[Any] = []
    api = Recorder()
    api.call = lambda *arguments: bodies.append(arguments[2])  # type: ignore[method-assign,assignment,return-value]

    for work in (*creations(api, "scale", 2), *changes(api, "scale", 2, 4)):  # type: ignore[arg-type]
        work()

    named = service("scale", 0)
    named["metadata"] |= {"namespace": "scale", "uid": "u"}
    assert InferenceService.parse(named).spec.predictor.max_replicas == 4
    assert [one["spec"]["predictor"]["maxReplicas"] for one in bodies] == [4, 4, 5, 5, 4, 4]
    assert [one["metadata"]["name"] for one in bodies[:2]] == ["scale-00000", "scale-00001"]


@pytest.mark.looptime
async def test_an_overloaded_server_is_asked_again() -> None:
    """Trouble of its own and 429 are asked again; what is gone or done is left; a refusal is an error."""
    api = Recorder(503, 429, 500, 409)

    await insist(lambda: api.call("POST", "x"))
    assert len(api.asked) == 4

    with pytest.raises(ApiError):
        await insist(lambda: Recorder(403).call("POST", "x"))


@pytest.mark.looptime
async def test_works_begin_when_they_are_due() -> None:
    """However long the ones before take."""
    loop, began = asyncio.get_running_loop(), []

    async def slow() -> None:
        began.append(loop.time())
        await asyncio.sleep(60)

    start = loop.time()
    await at_rate(10, [slow] * 4)

    assert [round(at - start, 2) for at in began] == [0, 0.1, 0.2, 0.3]


def test_a_pod_becomes_ready_again() -> None:
    """Where the node controller has said otherwise in between, each condition is stated once."""
    made = pod()
    made["status"] = phantom.ready(made, "10.0.0.1", "2026-01-01T00:00:00Z")
    unready = [said | {"status": "False"} for said in made["status"]["conditions"]]
    scheduled = {"type": "PodScheduled", "status": "True"}
    made["status"]["conditions"] = [*unready, scheduled]

    again = phantom.ready(made, "10.0.0.1", "2026-01-01T00:00:00Z")["conditions"]

    assert {said["type"]: said["status"] for said in again} == dict.fromkeys(
        ("PodScheduled", "Initialized", "ContainersReady", "Ready"), "True"
    )
    assert len(again) == 4

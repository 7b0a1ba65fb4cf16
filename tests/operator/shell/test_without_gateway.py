"""Blue/green through the whole operator: where no route weighs the traffic, and when one begins or ends to."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving_io.kinds import DEPLOYMENT, HTTP_ROUTE, INFERENCE_SERVICE, SERVICE
from serving_operator.children.route import weights
from serving_operator.world import Manifest
from tests.fakes.kube import FakeKube
from tests.fakes.kube.resources import built_in
from tests.operator.shell.surroundings import (
    NAMESPACE,
    WAIT_SECONDS,
    condition,
    external,
    operator,
    process,
    quiet,
    until,
)
from tests.operator.shell.test_rollout import label, settled, shipped_rules, status


@pytest.fixture
def bare() -> Iterator[FakeKube]:
    """A fake API server without the Gateway API, with the namespace of the tests."""
    with FakeKube(gateway=False) as server:
        server.namespace(NAMESPACE)
        yield server


def selected(fake: FakeKube) -> str:
    """The revision that the stable Service selects."""
    service = fake.get(SERVICE, "llama", NAMESPACE)
    return str(service["spec"]["selector"]["serving-operator.dev/revision"])


def unrouted(image: str) -> Manifest:
    """A service that asks for no route."""
    made = external(image=image)
    del made["spec"]["route"]
    return made


def waits(fake: FakeKube) -> dict[str, Any] | None:
    """The canary, once it waits for its label."""
    canary = dict(status(fake).get("canary") or {})
    return canary if canary.get("verdict") == "WaitingForPromotion" else None


async def test_a_canary_is_promoted_by_one_write_of_the_selector(
    bare: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready, it waits without traffic; its label switches the stable Service, once; the old one goes."""
    bare.write(external())
    async with operator(bare, tmp_path, monkeypatch):
        await until(lambda: settled(bare), bare)
        old = selected(bare)
        bare.write(external(image="example.com/llm:2"))
        canary = await until(lambda: waits(bare), bare)
        assert (selected(bare), canary["weight"]) == (old, 0)
        assert "httproutes" in condition(bare, "UpToDate")["message"]
        label(bare, "promote", canary["id"])
        await until(lambda: settled(bare) and status(bare)["stable"]["id"] == canary["id"], bare)
        await until(lambda: bare.get(DEPLOYMENT, f"llama-{old}", NAMESPACE) is None, bare)
        await quiet(bare, 1)

    assert selected(bare) == canary["revision"]
    versions = [change.new for change in bare.store.history if change.new is not None]
    services = [
        found for found in versions if found.get("kind") == "Service" and found["metadata"]["name"] == "llama"
    ]
    revisions = [found["spec"]["selector"]["serving-operator.dev/revision"] for found in services]
    assert [name for name, _ in itertools.groupby(revisions)] == [old, canary["revision"]]
    assert condition(bare, "RouteProgrammed")["reason"] == "GatewayAPIMissing"


async def test_an_abort_removes_the_canary_alone(
    bare: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stable Service is not written for it."""
    bare.write(external())
    async with operator(bare, tmp_path, monkeypatch):
        await until(lambda: settled(bare), bare)
        bare.write(external(image="example.com/llm:2"))
        canary = await until(lambda: waits(bare), bare)
        service = bare.get(SERVICE, "llama", NAMESPACE)
        label(bare, "abort", canary["id"])
        await until(lambda: bare.get(DEPLOYMENT, f"llama-{canary['revision']}", NAMESPACE) is None, bare)
        await quiet(bare, 1)

    assert [entry["id"] for entry in status(bare)["rejected"]] == [canary["id"]]
    assert bare.get(SERVICE, "llama", NAMESPACE) == service


async def test_a_gateway_api_that_comes_gives_a_waiting_canary_its_step(
    bare: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next process makes the route with all of the traffic at stable, and then goes through the steps."""
    bare.write(external())
    running = process(bare, tmp_path, monkeypatch, resync_seconds=0.5)
    task = asyncio.create_task(running.run())
    await until(lambda: settled(bare), bare)
    old = selected(bare)
    bare.write(external(image="example.com/llm:2"))
    canary = await until(lambda: waits(bare), bare)
    present = {resource.kind for resource in bare.store.objects}
    for resource in built_in(gateway=True, keda=False):
        if resource.kind not in present:
            bare.do(bare.requests.serve, resource)
    assert await asyncio.wait_for(task, WAIT_SECONDS) == 0

    def routed() -> dict[str, int]:
        return weights(bare.get(HTTP_ROUTE, "llama", NAMESPACE) or {"metadata": {"name": "llama"}})

    seen: list[dict[str, int]] = []

    def at_the_step() -> bool:
        if routed() and routed() not in seen:
            seen.append(routed())
        return (status(bare).get("canary") or {}).get("weight") == 10

    async with operator(bare, tmp_path, monkeypatch):
        await until(at_the_step, bare)

    assert status(bare)["canary"]["id"] == canary["id"]
    assert selected(bare) == old
    assert routed() == {old: 90, canary["revision"]: 10}
    assert all(found[old] >= 90 for found in seen)


async def test_a_route_is_made_and_removed_as_the_spec_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the roles of the base install; without a route nothing is said of one, and the service serves on."""
    with FakeKube() as fake:
        fake.namespace(NAMESPACE)
        fake.knobs.rules["operator"] = shipped_rules()
        fake.write(unrouted("example.com/llm:1"))
        async with operator(fake, tmp_path, monkeypatch):
            await until(lambda: settled(fake), fake)
            assert fake.get(HTTP_ROUTE, "llama", NAMESPACE) is None
            assert condition(fake, "RouteProgrammed") == {}
            fake.write(external())
            await until(lambda: condition(fake, "RouteProgrammed").get("status") == "True", fake)
            fake.write(unrouted("example.com/llm:1"))
            await until(lambda: fake.get(HTTP_ROUTE, "llama", NAMESPACE) is None, fake)
            await until(lambda: condition(fake, "RouteProgrammed") == {}, fake)
            await quiet(fake, 1)
        service = fake.get(INFERENCE_SERVICE, "llama", NAMESPACE)
        assert service["status"]["url"] == f"http://llama.{NAMESPACE}.svc"
        assert condition(fake, "Ready")["status"] == "True"

"""The operator against the fake API server, with what a cluster would do around it: pods, endpoints, a gateway."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from serving_io.kinds import DEPLOYMENT, HTTP_ROUTE, INFERENCE_SERVICE, SERVICE
from serving_operator.config import parse
from serving_operator.program import Operator
from serving_operator.world import Manifest
from tests.fakes.kube import FakeKube
from tests.operator.children.services import raw

WAIT_SECONDS = 120.0
NAMESPACE = "team"
FLAGS = [
    "--listen=127.0.0.1:0",
    "--propagation-delay-seconds=0",
    "--min-ready-seconds=0",
    "--drain-seconds=1",
]


def external(name: str = "llama", image: str = "example.com/llm:1", **spec: Any) -> Manifest:
    """An InferenceService of class External with one replica, which needs no autoscaler."""
    made = raw()
    made["metadata"] = {"name": name, "namespace": NAMESPACE}
    made["spec"] = {
        "predictor": {"container": {"image": image}, "timeout": 1},
        "scaling": {"class": "External", "external": {"replicas": 1}},
        "rollout": {"soakSeconds": 0},
        "route": {"parentRefs": [{"name": "gw", "namespace": "infra"}], "hostnames": [f"{name}.example.com"]},
    } | spec
    return made


def start_pods(fake: FakeKube) -> None:
    """Do once what the controllers and the kubelets do: every pod runs, is ready, and is an endpoint."""
    running: dict[str, int] = {}
    for deployment in fake.objects(DEPLOYMENT):
        metadata, replicas = deployment["metadata"], deployment["spec"].get("replicas", 1)
        running[metadata["name"]] = replicas
        status = {"replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas}
        if {k: (deployment.get("status") or {}).get(k) for k in status} != status:
            _write(fake, "apps/v1", "Deployment", metadata, {"status": status}, "status")
        for index in range(replicas):
            name = f"{metadata['name']}-pod-{index}"
            pod = {"name": name, "namespace": metadata["namespace"], "labels": metadata["labels"]}
            container = {"name": "model", "image": "x"}
            _write(fake, "v1", "Pod", pod, {"spec": {"containers": [container]}})
            ready = {"conditions": [{"type": "Ready", "status": "True"}]}
            _write(fake, "v1", "Pod", pod, {"status": ready}, "status")
    for service in fake.objects(SERVICE):
        metadata = service["metadata"]
        revision = service["spec"]["selector"].get("serving-operator.dev/revision")
        name = (metadata.get("labels") or {}).get("serving-operator.dev/service")
        if name is None:
            continue
        slice_ = {
            "name": f"{metadata['name']}-slice",
            "namespace": metadata["namespace"],
            "labels": metadata["labels"] | {"kubernetes.io/service-name": metadata["name"]},
        }
        pod = {"kind": "Pod", "namespace": metadata["namespace"]}
        endpoints = [
            {
                "addresses": [f"10.244.0.{index + 1}"],
                "conditions": {"ready": True},
                "targetRef": pod | {"name": f"{name}-{revision}-pod-{index}"},
            }
            for index in range(max(1, running.get(f"{name}-{revision}", 1)))
        ]
        _write(
            fake,
            "discovery.k8s.io/v1",
            "EndpointSlice",
            slice_,
            {"addressType": "IPv4", "endpoints": endpoints},
        )


def acknowledge_routes(fake: FakeKube) -> None:
    """Do once what a gateway's controller does: every route is in force."""
    if all(resource.kind != HTTP_ROUTE for resource in fake.store.objects):
        return
    for route in fake.objects(HTTP_ROUTE):
        generation = route["metadata"]["generation"]
        parents = [
            {
                "parentRef": parent,
                "controllerName": "example.com/gateway",
                "conditions": [
                    {
                        "type": kind,
                        "status": "True",
                        "reason": kind,
                        "message": "",
                        "lastTransitionTime": "2026-01-01T00:00:00Z",
                        "observedGeneration": generation,
                    }
                    for kind in ("Accepted", "ResolvedRefs")
                ],
            }
            for parent in route["spec"]["parentRefs"]
        ]
        _write(
            fake,
            "gateway.networking.k8s.io/v1",
            "HTTPRoute",
            route["metadata"],
            {"status": {"parents": parents}},
            "status",
        )


def _write(
    fake: FakeKube, api_version: str, kind: str, metadata: Manifest, content: Manifest, subresource: str = ""
) -> None:
    identity = {key: metadata[key] for key in ("name", "namespace")}
    if not subresource and "labels" in metadata:
        identity["labels"] = metadata["labels"]
    manifest = {"apiVersion": api_version, "kind": kind, "metadata": identity} | content
    fake.write(manifest, manager="cluster", subresource=subresource)


async def until(what: Callable[[], Any], fake: FakeKube | None = None) -> Any:
    """Wait until `what()` is true, letting the cluster around act meanwhile; fails after a generous bound."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        if fake is not None:
            start_pods(fake)
            acknowledge_routes(fake)
        if found := what():
            return found
        if time.monotonic() > end:
            pytest.fail(f"waited {WAIT_SECONDS:g} s in vain")
        await asyncio.sleep(0.05)


async def quiet(fake: FakeKube, seconds: float = 1.5) -> int:
    """Wait until no write has come for so long; returns how many there are."""
    count, since, end = len(fake.writes("operator")), time.monotonic(), time.monotonic() + WAIT_SECONDS
    while time.monotonic() - since < seconds:
        await asyncio.sleep(0.1)
        if (now := len(fake.writes("operator"))) != count:
            count, since = now, time.monotonic()
        assert time.monotonic() < end, f"still writing: {fake.writes('operator')[-3:]}"
    return count


def condition(fake: FakeKube, kind: str, name: str = "llama") -> Manifest:
    """A condition of a service; empty without it."""
    service = fake.get(INFERENCE_SERVICE, name, NAMESPACE) or {}
    for entry in (service.get("status") or {}).get("conditions") or ():
        if entry["type"] == kind:
            return dict(entry)
    return {}


def process(fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **config: Any) -> Operator:
    """An operator that is yet to be run; `config` replaces fields of its configuration."""
    monkeypatch.setenv("KUBECONFIG", str(fake.kubeconfig(tmp_path / "kubeconfig", "operator")))
    return Operator(dataclasses.replace(parse(FLAGS, {}), **config))


@contextlib.asynccontextmanager
async def operator(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **config: Any
) -> AsyncIterator[Operator]:
    """Run the operator, whole, while the block lasts; it must not fail, and end well when told to stop."""
    async with run(process(fake, tmp_path, monkeypatch, **config)) as running:
        yield running


@contextlib.asynccontextmanager
async def run(running: Operator) -> AsyncIterator[Operator]:
    """Run an operator while the block lasts, as above."""
    task = asyncio.create_task(running.run())
    try:
        yield running
        running.stop()
        assert await asyncio.wait_for(task, WAIT_SECONDS) == 0
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

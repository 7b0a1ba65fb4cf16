"""Open-loop load through the gateway while weights flip and pods come and go; every response is counted.

    .venv/bin/python -m tests.localcluster.gateway.load_proof --run-dir DIR

needs an API server, the gateway's controller and Envoy of that run directory.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import logging
import statistics
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from localcluster.api import Api, ApiError, connect
from localcluster.cluster import Cluster
from localcluster.gateway.controller import GATEWAY_API, GATEWAY_NAMESPACE

HOST = "load-proof.example.com"
KEEP_ALIVE_SECONDS = 5.0
SERVES_AFTER_LEAVING_SECONDS = 5.0
PORT = 8080


@dataclass
class Result:
    """What the load generator and the writer of routes saw."""

    requests: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    acknowledged_seconds: list[float] = field(default_factory=list)
    route_writes: int = 0
    endpoint_writes: int = 0
    settled: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Responses by (weight of revision a, revision): sent and answered while that weight was acknowledged."""

    def summary(self) -> dict[str, Any]:
        """The figures, as JSON."""
        acknowledged = sorted(self.acknowledged_seconds)
        latencies = sorted(self.latencies)
        shares = {}
        for weight in sorted({weight for weight, _ in self.settled}):
            a, b = self.settled[weight, "a"], self.settled[weight, "b"]
            shares[weight] = f"{a}/{a + b}"
        return {
            "requests": self.requests,
            "codes": dict(self.codes),
            "bad": len(self.bad),
            "first_bad": self.bad[:5],
            "latency_milliseconds_p50_p99_max": [
                round(1000 * value, 1)
                for value in (
                    statistics.median(latencies),
                    latencies[int(len(latencies) * 0.99)],
                    latencies[-1],
                )
            ],
            "route_writes": self.route_writes,
            "endpoint_writes": self.endpoint_writes,
            "acknowledged_seconds_p50_max": [
                round(statistics.median(acknowledged), 3),
                round(acknowledged[-1], 3),
            ],
            "responses_of_a_by_its_weight": shares,
        }


class Pods:
    """Two revisions of tiny HTTP servers, and their EndpointSlices as the control plane would write them."""

    def __init__(self, api: Api, namespace: str, result: Result, serves_after_leaving: float) -> None:
        self._api = api
        self._namespace = namespace
        self._result = result
        self._serves_after_leaving = serves_after_leaving
        self._runners: dict[tuple[str, str], web.AppRunner] = {}
        self._conditions: dict[str, dict[str, str]] = {"a": {}, "b": {}}
        self._count = 0

    async def start(self, revision: str) -> str:
        """Start a pod, and once it answers, list it as ready."""

        async def handle(_: web.Request) -> web.Response:
            await asyncio.sleep(0.01)
            return web.Response(text=revision, headers={"x-revision": revision})

        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", handle)
        runner = web.AppRunner(app, keepalive_timeout=KEEP_ALIVE_SECONDS, access_log=None)
        await runner.setup()
        ip = await self._listen(runner)
        self._runners[revision, ip] = runner
        self._conditions[revision][ip] = "ready"
        await self._publish(revision)
        return ip

    async def _listen(self, runner: web.AppRunner) -> str:
        """Listen at the next address that no other proof on this machine has."""
        while True:
            self._count += 1
            ip = f"10.244.255.{self._count % 250 + 1}"
            try:
                await web.TCPSite(runner, ip.replace("10.", "127.", 1), PORT).start()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return ip

    async def stop(self, revision: str, ip: str) -> None:
        """Terminate a pod: it leaves the slice, serves on for a few seconds, then is gone."""
        self._conditions[revision][ip] = "terminating"
        await self._publish(revision)
        await asyncio.sleep(self._serves_after_leaving)
        del self._conditions[revision][ip]
        await self._publish(revision)
        await self._runners[revision, ip].cleanup()
        del self._runners[revision, ip]

    def ready(self, revision: str) -> list[str]:
        """Addresses that take new requests."""
        return [ip for ip, state in self._conditions[revision].items() if state == "ready"]

    async def close(self) -> None:
        """Stop every server."""
        for runner in self._runners.values():
            await runner.cleanup()

    async def _publish(self, revision: str) -> None:
        endpoints = [
            {
                "addresses": [ip],
                "conditions": {
                    "ready": state == "ready",
                    "serving": True,
                    "terminating": state == "terminating",
                },
            }
            for ip, state in self._conditions[revision].items()
        ]
        await _apply(
            self._api,
            f"/apis/discovery.k8s.io/v1/namespaces/{self._namespace}/endpointslices/{revision}-1",
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": f"{revision}-1", "labels": {"kubernetes.io/service-name": revision}},
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": PORT, "protocol": "TCP"}],
                "endpoints": endpoints,
            },
        )
        self._result.endpoint_writes += 1


async def _apply(api: Api, path: str, manifest: dict[str, Any]) -> dict[str, Any]:
    query = {"fieldManager": "load-proof", "force": "true"}
    return await api.call("PATCH", path, manifest, "application/apply-patch+yaml", query)


async def _route(api: Api, namespace: str, weights: dict[str, int]) -> float:
    """Write the route's weights; seconds until the gateway acknowledged them."""
    path = f"{GATEWAY_API}/namespaces/{namespace}/httproutes/proof"
    refs = [{"name": name, "port": 80, "weight": weight} for name, weight in weights.items()]
    started = time.monotonic()
    written = await _apply(
        api,
        path,
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "proof"},
            "spec": {
                "parentRefs": [{"name": "local", "namespace": GATEWAY_NAMESPACE}],
                "hostnames": [HOST],
                "rules": [{"backendRefs": refs, "timeouts": {"request": "10s"}}],
            },
        },
    )
    generation = written["metadata"]["generation"]
    while time.monotonic() - started < 30:
        stored = await api.call("GET", path)
        for parent in stored.get("status", {}).get("parents", []):
            conditions = {item["type"]: item for item in parent["conditions"]}
            if all(
                conditions[name]["status"] == "True" and conditions[name]["observedGeneration"] >= generation
                for name in ("Accepted", "ResolvedRefs")
            ):
                return time.monotonic() - started
        await asyncio.sleep(0.01)
    raise TimeoutError(f"route not acknowledged: {json.dumps(stored.get('status'))}")


async def prove(
    run_dir: Path, seconds: float, rate: float, serves_after_leaving: float = SERVES_AFTER_LEAVING_SECONDS
) -> Result:
    """Run the load against the cluster in `run_dir`; requests are sent at `rate` per second, come what may."""
    cluster = Cluster.load(run_dir)
    result = Result()
    # A name of its own for each run: the namespace of the one before may still be terminating.
    namespace = f"load-proof-{uuid.uuid4().hex[:8]}"
    async with connect(cluster.kubeconfig) as api:
        await _apply(
            api,
            f"/api/v1/namespaces/{namespace}",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        )
        for name in ("a", "b"):
            port = {"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"}
            await _apply(
                api,
                f"/api/v1/namespaces/{namespace}/services/{name}",
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": name},
                    "spec": {"ports": [port]},
                },
            )
        pods = Pods(api, namespace, result, serves_after_leaving)
        try:
            for revision in ("a", "a", "b"):
                await pods.start(revision)
            result.acknowledged_seconds.append(await _route(api, namespace, {"a": 100, "b": 0}))
            await _load_with_changes(cluster, api, namespace, pods, result, seconds, rate)
        finally:
            await pods.close()
            for left in (
                f"{GATEWAY_API}/namespaces/{namespace}/httproutes/proof",
                f"/api/v1/namespaces/{namespace}",
            ):
                with contextlib.suppress(ApiError):  # what went wrong before tells more
                    await api.call("DELETE", left)
    return result


async def _load_with_changes(
    cluster: Cluster,
    api: Api,
    namespace: str,
    pods: Pods,
    result: Result,
    seconds: float,
    rate: float,
) -> None:
    # (number of the write, weight of a) while a weight is acknowledged; None from a write to its acknowledgement.
    phase: list[tuple[int, int] | None] = [(0, 100)]

    async def request(session: aiohttp.ClientSession) -> None:
        phase_sent = phase[0]
        sent = time.monotonic()
        try:
            async with session.post(
                f"{cluster.gateway_url}/v2/infer", data=b"{}", headers={"Host": HOST}
            ) as answer:
                body = await answer.text()
                code, revision = str(answer.status), answer.headers.get("x-revision", "")
        except (aiohttp.ClientError, TimeoutError) as error:
            code, revision, body = type(error).__name__, "", str(error)
        result.latencies.append(time.monotonic() - sent)
        result.codes[code] += 1
        if code != "200":
            result.bad.append(f"{time.strftime('%H:%M:%S')} {code} {body[:100]}")
        elif phase_sent is not None and phase_sent == phase[0]:
            result.settled[phase_sent[1], revision] += 1

    async def weights() -> None:
        for step in range(1_000_000):
            await asyncio.sleep(1.5)
            value = (90, 50, 0, 50, 100, 0, 100)[step % 7]
            phase[0] = None
            result.acknowledged_seconds.append(await _route(api, namespace, {"a": value, "b": 100 - value}))
            result.route_writes += 1
            await asyncio.sleep(0.1)
            phase[0] = (result.route_writes, value)

    async def endpoints() -> None:
        # Whoever cancels this cancels the stops under way: what they leave is closed with the rest.
        async with asyncio.TaskGroup() as stopping:
            for step in range(1_000_000):
                revision = "ab"[step % 2]
                oldest = pods.ready(revision)[0]
                await pods.start(revision)
                stopping.create_task(pods.stop(revision, oldest))
                await asyncio.sleep(1.0)

    timeout = aiohttp.ClientTimeout(total=15)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        changes = [asyncio.create_task(weights()), asyncio.create_task(endpoints())]
        requests = []
        started = time.monotonic()
        for number in range(int(seconds * rate)):
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
            requests.append(asyncio.create_task(request(session)))
            for change in changes:
                if change.done():
                    change.result()
        await asyncio.gather(*requests)
        result.requests = len(requests)
        for change in changes:
            change.cancel()
        await asyncio.gather(*changes, return_exceptions=True)


def main() -> int:
    """Run the proof and print its figures; exit status 1 if any response was bad."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run-dir", type=Path, required=True, help="run directory of the cluster")
    parser.add_argument("--seconds", type=float, default=60.0, help="length (default: %(default)s)")
    parser.add_argument(
        "--rate", type=float, default=200.0, help="requests per second (default: %(default)s)"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    result = asyncio.run(prove(arguments.run_dir, arguments.seconds, arguments.rate))
    print(json.dumps(result.summary(), indent=1))
    return 1 if result.bad else 0


if __name__ == "__main__":
    sys.exit(main())

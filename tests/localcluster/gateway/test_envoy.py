"""The translation against a real Envoy: everything that can be written is taken, and answers as promised."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from localcluster import binaries
from localcluster.files import replace_file
from localcluster.gateway.admin import EnvoyAdmin, EnvoyNotRunningError, in_force
from localcluster.gateway.buckets import buckets
from localcluster.gateway.envoy import bootstrap, command_line
from localcluster.gateway.statuses import InForce
from localcluster.gateway.translate import ClusterNaming, Layout, Translation
from localcluster.gateway.xds_files import XdsFiles
from tests.localcluster.gateway.objects import (
    PREFIX,
    endpoint,
    endpoint_slice,
    gateway,
    named,
    route,
    rule,
    translated,
)

pytestmark = pytest.mark.system
POD = "127.244.254.1"
ADMIN = "127.244.254.2"


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@dataclass
class Gateway:
    """A running Envoy and its files."""

    directory: Path
    admin_port: int
    http_port: int

    @property
    def files(self) -> XdsFiles:
        """Its files."""
        return XdsFiles(Layout(self.directory, self.directory / "access.log"))

    async def program(self, translation: Translation) -> tuple[InForce, frozenset[str]]:
        """Write a translation and wait until Envoy has taken or refused it."""
        files = self.files
        files.write_endpoints(translation)
        files.write_clusters(translation, 0)
        files.write_routes(translation)
        admin = EnvoyAdmin(ADMIN, self.admin_port, self.directory / "envoy.log")
        try:
            while True:
                try:
                    stats = await admin.stats()
                except EnvoyNotRunningError:
                    await asyncio.sleep(0.05)
                    continue
                force, refused = in_force(stats, files.versions(translation), {}, {})
                served = all(force.serves(name) for name in translation.routes)
                if refused or (served and force.endpoints >= set(translation.endpoints)):
                    return force, refused
                await asyncio.sleep(0.05)
        finally:
            await admin.close()


async def ask_admin(envoy: Gateway, path: str) -> httpx.Response:
    """A page of Envoy's admin port."""
    async with httpx.AsyncClient(base_url=f"http://{ADMIN}:{envoy.admin_port}") as client:
        return await client.get(path)


@pytest.fixture
def envoy(tmp_path: Path) -> Iterator[Gateway]:
    """A fresh Envoy."""
    made = Gateway(tmp_path, free_port(ADMIN), free_port())
    made.files.create_if_absent()
    replace_file(
        tmp_path / "bootstrap.json", json.dumps(bootstrap(made.files, ADMIN, made.admin_port, buckets([35])))
    )
    command = command_line(binaries.envoy(), tmp_path / "bootstrap.json", 1)
    with (tmp_path / "envoy.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    yield made
    process.terminate()
    process.wait()


@pytest.fixture
async def pod() -> AsyncIterator[int]:
    """The port of a server at POD that answers 200."""
    port = free_port(POD)

    async def handle(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/{tail:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, POD, port).start()
    yield port
    await runner.cleanup()


@pytest.mark.parametrize("naming", list(ClusterNaming))
async def test_a_missing_service_gets_500_and_an_empty_one_503(
    envoy: Gateway, pod: int, naming: ClusterNaming
) -> None:
    """Shares of the missing are answered 500, Services without pods 503, host names unknown 404."""
    shop = route(
        rule(("a", 1), ("gone", 1)),
        rule(("b", 1), matches=[{"path": {"type": "PathPrefix", "value": "/empty"}}]),
        rule(("a", 0), matches=[{"path": {"type": "Exact", "value": "/nothing"}}]),
        rule(
            ("a", 1),
            matches=[
                {
                    "method": "GET",
                    "headers": [{"name": "x-a", "value": "1"}],
                    "queryParams": [{"name": "q", "value": "1"}],
                }
            ],
            timeouts={"request": "1m"},
        ),
        name="iris.v1",
        hostnames=["iris.example.com", "*.shop.example.com"],
    )
    translation = translated(
        shop,
        layout=envoy.files.layout,
        gateways=[named(gateway(port=envoy.http_port), naming)],
        slices=[endpoint_slice("a", endpoint(POD.replace("127.", "10.", 1)), port=pod)],
    )
    force, refused = await envoy.program(translation)
    assert refused == frozenset()
    assert force.endpoints == set(translation.clusters)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{envoy.http_port}") as client:

        async def ask(path: str, host: str = f"iris.example.com:{envoy.http_port}", **headers: str) -> int:
            answer = await client.get(path, headers={"Host": host, **headers})
            return answer.status_code

        codes = Counter([await ask("/v2/infer") for _ in range(100)])
        assert set(codes) == {200, 500}
        assert await ask("/empty/x", "any.shop.example.com") == 503
        assert await ask("/nothing") == 500
        assert await ask("/", "elsewhere.example.com") == 404
        assert {await ask("/?q=1", **{"x-a": "1"}) for _ in range(20)} == {200}
    page = (await ask_admin(envoy, "/stats/prometheus")).text
    name = "httproute/shop/iris_v1/rule/0" + ("/backend/a" if naming is ClusterNaming.PER_BACKEND else "")
    assert f'envoy_cluster_upstream_rq_time_bucket{{envoy_cluster_name="{name}",le="35"}}' in page


async def test_a_port_in_use_is_refused_and_the_others_serve(envoy: Gateway, pod: int) -> None:
    """Envoy's reason is known for the listener that it could not open."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        translation = translated(
            layout=envoy.files.layout,
            gateways=[gateway(port=envoy.http_port), gateway("other", port=port)],
        )
        force, refused = await envoy.program(translation)
        assert refused >= {"lds"}
        admin = EnvoyAdmin(ADMIN, envoy.admin_port, envoy.directory / "envoy.log")
        errors = await admin.listener_errors()
        await admin.close()
    assert list(errors) == [f"http-{port}"]
    assert "cannot bind" in errors[f"http-{port}"]
    assert f"http-{envoy.http_port}" in force.listeners


async def test_a_refusal_is_known_with_its_reason(envoy: Gateway) -> None:
    """What Envoy will not take is told from what it has not yet taken."""
    good = translated(
        route(rule(("a", 1))), layout=envoy.files.layout, gateways=[gateway(port=envoy.http_port)]
    )
    name = f"http-{envoy.http_port}"
    await envoy.program(good)
    good.routes[name]["virtual_hosts"][0]["routes"][0]["match"] = {"path_separated_prefix": "/a?b"}
    force, refused = await envoy.program(good)
    assert (refused, force.serves(name)) == ({name}, False)
    admin = EnvoyAdmin(ADMIN, envoy.admin_port, envoy.directory / "envoy.log")
    assert "does not match regex" in admin.last_refusal()
    await admin.close()


async def test_least_request_looks_at_every_pod(envoy: Gateway) -> None:
    """The clusters that Envoy holds compare all pods, not two at random."""
    translation = translated(
        route(rule(("a", 1))), layout=envoy.files.layout, gateways=[gateway(port=envoy.http_port)]
    )
    await envoy.program(translation)
    dump = (await ask_admin(envoy, "/config_dump?resource=dynamic_active_clusters")).json()
    [cluster] = [item["cluster"] for item in dump["configs"]]
    [policy] = cluster["load_balancing_policy"]["policies"]
    assert cluster["name"] == f"{PREFIX}/backend/a"
    assert policy["typed_extension_config"]["typed_config"]["selection_method"] == "FULL_SCAN"

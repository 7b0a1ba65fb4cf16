"""The same questions to the fake and to a real API server, each in a namespace of its own.

The real one: `KUBECONFIG_CONTRACT`, else the local cluster that the test ladder started.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from kubernetes.aio.client import ApiClient

from localcluster.cluster import Cluster as LocalCluster
from localcluster.cluster import ClusterNotFoundError
from serving_io import connection
from serving_io.transport import Transport
from tests.clusters import own_run_dir
from tests.contract.prometheus import running
from tests.contract.questions import WIDGET_CRD, WIDGETS, Api
from tests.fakes.kube import FakeKube


@pytest.fixture(scope="session")
def fake_server() -> Iterator[FakeKube]:
    """One fake for all questions."""
    with FakeKube() as fake:
        yield fake


@pytest.fixture(scope="session")
def real_kubeconfig() -> str:
    """Of a real API server; its absence is a failure, never a silent skip."""
    if path := os.environ.get("KUBECONFIG_CONTRACT"):
        return path
    try:
        return str(LocalCluster.load(own_run_dir()).kubeconfig)
    except ClusterNotFoundError as error:
        pytest.fail(f"no real API server to ask: {error}, or set KUBECONFIG_CONTRACT", pytrace=False)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.real_api)])
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Api]:
    """One API server and a fresh namespace."""
    is_fake = request.param == "fake"
    if is_fake:
        fake: FakeKube = request.getfixturevalue("fake_server")
        path = str(fake.kubeconfig(tmp_path / "kubeconfig", "admin"))
    else:
        path = request.getfixturevalue("real_kubeconfig")
    client = await connection.api_client("contract", {"KUBECONFIG": path})
    async with _http(client) as http:
        api = Api(http, Transport(client), f"c-{uuid.uuid4().hex[:8]}", is_fake)
        await _set_up(api)
        try:
            yield api
        finally:
            await api.ask("DELETE", f"/api/v1/namespaces/{api.namespace}")
            await client.close()  # type: ignore[no-untyped-call]


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    """The address of an empty Prometheus."""
    with running(tmp_path) as url:
        yield url


def _http(client: ApiClient) -> httpx.AsyncClient:
    configuration = client.configuration
    verify: object = True
    if configuration.host.startswith("https"):
        verify = client.rest_client.ssl_context
    token = configuration.api_key.get("BearerToken")
    headers = {"Authorization": token} if token else {}
    return httpx.AsyncClient(
        base_url=configuration.host,
        verify=verify,  # type: ignore[arg-type]
        headers=headers,
        timeout=10,
        trust_env=False,
    )


async def _set_up(api: Api) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": api.namespace}}
    assert (await api.ask("POST", "/api/v1/namespaces", namespace)).status == 201
    name = WIDGET_CRD["metadata"]["name"]
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
    await api.ask("PATCH", path, WIDGET_CRD, "apply", fieldManager="contract", force="true")
    await api.until(
        f"{WIDGETS} is served", lambda: api.ask("GET", api.path("widgets")), lambda r: r.status == 200
    )

"""The endpoint of a program."""

from __future__ import annotations

import socket

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from serving_io import endpoint, listen_address


async def test_metrics_and_health() -> None:
    """Metrics are those of the registry; a check's sentence is the body of a 503."""
    registry = CollectorRegistry()
    Counter("tried", "Things tried.", registry=registry).inc(3)
    wrong: list[str | None] = [None]
    serve = endpoint("127.0.0.1", 0, registry=registry, healthy=lambda: wrong[0], ready=lambda: "not leading")
    async with serve as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        metrics = await http.get("/metrics")
        well = await http.get("/healthz")
        wrong[0] = "no pass for 5 minutes"
        ill = await http.get("/healthz")
        ready = await http.get("/readyz")
    samples = {
        s.name: s.value for family in text_string_to_metric_families(metrics.text) for s in family.samples
    }

    assert samples["tried_total"] == 3
    assert samples["process_resident_memory_bytes"] > 1e6
    assert samples["process_open_fds"] > 2
    assert 1 <= samples["asyncio_tasks"] < 20
    assert metrics.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert (well.status_code, well.text) == (200, "ok\n")
    assert (ill.status_code, ill.text) == (503, "no pass for 5 minutes\n")
    assert (ready.status_code, ready.text) == (503, "not leading\n")


async def test_without_an_address_both_families_are_answered() -> None:
    """In a cluster of IPv6 alone the kubelet asks by IPv6."""
    families = ["127.0.0.1", "[::1]"] if socket.has_dualstack_ipv6() else ["127.0.0.1"]
    async with endpoint("", 0, registry=CollectorRegistry()) as port:
        for host in families:
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False) as http:
                assert (await http.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("stated", "environ", "expected"),
    [
        (None, {}, ("", 8080)),
        (None, {"LISTEN_ADDRESS": "127.0.0.1"}, ("127.0.0.1", 8080)),
        ("127.0.0.1:9000", {"LISTEN_ADDRESS": "10.0.0.1"}, ("127.0.0.1", 9000)),
        (":9000", {}, ("", 9000)),
        ("[::1]:9000", {}, ("::1", 9000)),
    ],
)
def test_listen_address(stated: str | None, environ: dict[str, str], expected: tuple[str, int]) -> None:
    """The flag comes before the environment."""
    assert listen_address(stated, 8080, environ) == expected


@pytest.mark.parametrize("stated", ["9000", "localhost", "a:b", "a:99999"])
def test_listen_address_that_is_none(stated: str) -> None:
    """The error shows the form."""
    with pytest.raises(ValueError, match="expected ADDRESS:PORT"):
        listen_address(stated, 8080, {})

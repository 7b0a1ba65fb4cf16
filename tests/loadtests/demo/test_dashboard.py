"""Which panels have data, as the demo asks for it."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from loadtests.demo.dashboard import Query, panels_with_data, queries

ANSWERS = {"full": ["3.5"], "partly": ["NaN", "0"], "undefined": ["NaN"], "empty": []}


@pytest.fixture
async def prometheus() -> AsyncIterator[str]:
    """The address of a server that knows the queries of ANSWERS and refuses all others."""

    async def query(request: web.Request) -> web.Response:
        values = ANSWERS.get(request.query["query"])
        if values is None:
            return web.Response(status=400)
        return web.json_response({"data": {"result": [{"value": [0, value]} for value in values]}})

    app = web.Application()
    app.router.add_get("/api/v1/query", query)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


async def test_a_panel_has_data_if_each_of_its_queries_has_a_number(prometheus: str) -> None:
    """No series, only undefined values, or a refusal leave a panel without data, whatever its other queries say."""
    asked = {
        "good": ["full", "partly"],
        "undefined": ["full", "undefined"],
        "empty": ["empty", "full"],
        "refused": ["nonsense"],
    }
    found = await panels_with_data(
        prometheus, [Query(panel, promql) for panel, lines in asked.items() for promql in lines]
    )
    assert found == {"good": True, "undefined": False, "empty": False, "refused": False}


async def test_without_prometheus_no_panel_has_data() -> None:
    """The demo then still comes to its summary."""
    assert await panels_with_data("http://127.0.0.1:1", [Query("Demand", "up")]) == {"Demand": False}


def test_queries_ask_for_the_service_alone() -> None:
    """Every panel is asked for, and no variable is left for Grafana to fill in."""
    found = queries("demo", "digits")
    assert len({query.panel for query in found}) == 9
    assert all("$" not in query.promql for query in found)
    assert all("demo" in query.promql and "digits" in query.promql for query in found)

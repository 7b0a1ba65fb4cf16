"""The shipped dashboards, asked of a Prometheus: which of their panels have data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import aiohttp

from loadtests.demo.commands import REPOSITORY
from loadtests.preview import answers

DASHBOARDS = REPOSITORY / "manifests/dashboards"
_HALF_AN_HOUR = answers.Range(0.0, 1800.0)
_ANSWER_SECONDS = 10.0


class Query(NamedTuple):
    """One line of a panel."""

    panel: str
    promql: str


def filled(promql: str, namespace: str, service: str) -> str:
    """Return a query with the variables that Grafana replaces."""
    return answers.filled(promql, {"namespace": namespace, "service": service}, _HALF_AN_HOUR)


def dashboard(name: str) -> dict[str, Any]:
    """Return a dashboard as Grafana loads it, by the name of its file."""
    loaded: dict[str, Any] = json.loads((DASHBOARDS / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def queries(namespace: str, service: str, name: str = "scaling") -> list[Query]:
    """Return all lines of all panels of a dashboard, for one service."""
    return [
        Query(panel["title"], filled(target["expr"], namespace, service))
        for panel in dashboard(name)["panels"]
        for target in panel.get("targets", ())
    ]


async def panels_with_data(prometheus_url: str, asked: Iterable[Query]) -> Mapping[str, bool]:
    """Ask each query once; return by panel whether all of them were answered with a number."""
    found: dict[str, bool] = {}
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for query in asked:
            has_data = await _has_data(session, prometheus_url, query.promql)
            found[query.panel] = found.get(query.panel, True) and has_data
    return found


async def _has_data(session: aiohttp.ClientSession, prometheus_url: str, promql: str) -> bool:
    try:
        async with session.get(f"{prometheus_url}/api/v1/query", params={"query": promql}) as answer:
            answer.raise_for_status()
            series = (await answer.json())["data"]["result"]
    except (aiohttp.ClientError, TimeoutError):
        return False
    return any(one["value"][1] != "NaN" for one in series)

"""What a Prometheus answers to the queries of a dashboard, over a range of time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import aiohttp

from manifests.dashboards.parts import Board, Marker, Panel

POINTS = 240
"""Of a line, at most about so many."""
LEAST_STEP_SECONDS = 5.0
RATE_INTERVAL_SECONDS = 60
AT_ONCE = 8


class UnansweredError(Exception):
    """A query was not answered; the message names it and what Prometheus said."""


@dataclass(frozen=True)
class Range:
    """From when to when, in Unix seconds, and the time between two points."""

    begin: float
    end: float

    @property
    def step(self) -> float:
        """Seconds from a point to the next."""
        return max(LEAST_STEP_SECONDS, round((self.end - self.begin) / POINTS))


@dataclass(frozen=True)
class Line:
    """One series: its labels, and seconds since the begin of the range with the value that was there."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Answered:
    """A dashboard's panels with the lines of each query, and when its markers fired."""

    board: Board
    lines: Mapping[str, Sequence[Sequence[Line]]]
    """By the panel's title, a list for each query."""
    marks: Sequence[tuple[float, Marker]] = ()


def filled(promql: str, variables: Mapping[str, str], over: Range) -> str:
    """Return a query with what Grafana would put in the place of its variables."""
    seconds = max(1, round(over.end - over.begin))
    grafana = {
        "__rate_interval": f"{RATE_INTERVAL_SECONDS}s",
        "__range_s": str(seconds),
        "__range": f"{seconds}s",
    }
    for name, value in {**grafana, **variables}.items():
        promql = promql.replace(f"${name}", value)
    return promql


async def answered(
    prometheus_url: str, boards: Iterable[Board], variables: Mapping[str, str], over: Range
) -> list[Answered]:
    """Ask everything. Raises `UnansweredError`."""
    gate = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:

        async def ask(promql: str, *, at_the_end: bool = False) -> list[Line]:
            async with gate:
                return await _ask(session, prometheus_url, filled(promql, variables, over), over, at_the_end)

        async def panel(one: Panel) -> tuple[str, list[list[Line]]]:
            at_the_end = one.kind in ("numbers", "table")
            asked = (ask(query.promql, at_the_end=at_the_end) for query in one.queries)
            return one.title, list(await asyncio.gather(*asked))

        async def board(one: Board) -> Answered:
            lines = dict(await asyncio.gather(*(panel(each) for each in one.panels)))
            fired = await asyncio.gather(*(ask(marker.promql) for marker in one.markers))
            marks = [
                (seconds, marker)
                for marker, found in zip(one.markers, fired, strict=True)
                for line in found
                for seconds in _begins(line, over.step)
            ]
            return Answered(one, lines, sorted(marks, key=lambda mark: mark[0]))

        return list(await asyncio.gather(*(board(one) for one in boards)))


def _begins(line: Line, step: float) -> list[float]:
    """When a marker fired: the first of each run of points."""
    times = [seconds for seconds, _ in line.points]
    return [
        now
        for before, now in zip([None, *times], times, strict=False)
        if before is None or now - before > 1.5 * step
    ]


async def _ask(
    session: aiohttp.ClientSession, prometheus_url: str, promql: str, over: Range, at_the_end: bool
) -> list[Line]:
    if at_the_end:
        path, asked = "query", {"query": promql, "time": str(over.end)}
    else:
        path = "query_range"
        asked = {"query": promql, "start": str(over.begin), "end": str(over.end), "step": str(over.step)}
    try:
        async with session.post(f"{prometheus_url.rstrip('/')}/api/v1/{path}", data=asked) as answer:
            said: dict[str, Any] = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise UnansweredError(f"{prometheus_url} does not answer {promql}: {error!r}") from error
    if said.get("status") != "success":
        raise UnansweredError(f"{prometheus_url} refuses {promql}: {said.get('error', said)}")
    return [
        Line(
            {key: value for key, value in one["metric"].items() if key != "__name__"},
            [
                (float(at) - over.begin, float(value))
                for at, value in one.get("values") or [one["value"]]
                if isfinite(float(value))
            ],
        )
        for one in said["data"]["result"]
    ]

"""Questions to Prometheus. Every way to get no usable answer is one error, and nothing is retried here:
the caller's loop asks again anyway, and a late answer is worth less than none.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util.retry import Retry

from serving_api.headers import UnusableHeader
from serving_io.errors import SignalUnavailable
from serving_io.labels import ours, renamed
from serving_io.prometheus_session import AnswerTooLarge, BoundedSession


@dataclass(frozen=True)
class PrometheusAccess:
    """Where Prometheus is and how to reach it. Limits bound what one answer may cost."""

    url: str
    bearer_token_file: Path | None = None
    """Read at each request: tokens are rotated in place."""
    ca_file: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = 5.0
    """For a whole query, from connecting to the last byte."""
    max_answer_bytes: int = 64 * 1024 * 1024
    max_series: int = 200_000
    """Ten thousand targets have six to thirteen each in the largest answer."""
    connections: int = 4
    """Queries in flight at the same time."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that its series have under other names than queries use: ours to theirs."""


class Sample(NamedTuple):
    """A finite number: `timestamp` in seconds since 1970, `value` in the metric's own unit."""

    labels: Mapping[str, str]
    timestamp: float
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """Finite numbers over time: (timestamp in seconds since 1970, value), oldest first."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Samples of an instant query; iterating and `len` are over them."""

    samples: tuple[Sample, ...]
    not_finite: int = 0
    """Values that were NaN, infinite or a native histogram: absent from `samples`, not zero."""
    not_finite_of: tuple[Mapping[str, str], ...] = ()
    """Their labels."""

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """Series of a range query; iterating and `len` are over them."""

    series: tuple[Series, ...]
    not_finite: int = 0

    def __iter__(self) -> Iterator[Series]:
        return iter(self.series)

    def __len__(self) -> int:
        return len(self.series)


class Prometheus:
    """Asks in threads of its own, each with its own connection. Close it at the end."""

    def __init__(self, access: PrometheusAccess) -> None:
        if not access.url.startswith(("http://", "https://")):
            raise ValueError(f"Prometheus URL {access.url!r}: expected http://HOST:PORT or https://HOST:PORT")
        self._access = access
        self._threads = ThreadPoolExecutor(access.connections, thread_name_prefix="prometheus")
        self._local = threading.local()

    async def query(self, promql: str, at: float | None = None) -> Answer:
        """Instant query, now or at a time (seconds since 1970). Raises `SignalUnavailable`."""
        params = {} if at is None else {"time": f"{at:.3f}"}
        promql = renamed(promql, self._access.labels)

        def ask(client: PrometheusConnect) -> Any:
            return client.custom_query(promql, params=params)

        result = await self._ask(promql, ask)
        if len(result) == 2 and not isinstance(result[0], dict):  # a scalar: one bare [timestamp, value]
            result = [{"metric": {}, "value": result}]
        with _understanding(promql):
            return _answer(result, self._access.labels)

    async def query_range(self, promql: str, start: float, end: float, step_seconds: float) -> RangeAnswer:
        """Range query; `start`, `end` in seconds since 1970, rounded. Raises `SignalUnavailable`."""
        first, last = (datetime.fromtimestamp(round(t), UTC) for t in (start, end))
        promql = renamed(promql, self._access.labels)

        def ask(client: PrometheusConnect) -> Any:
            return client.custom_query_range(promql, first, last, f"{step_seconds:g}")

        result = await self._ask(promql, ask)
        with _understanding(promql):
            return _range_answer(result, self._access.labels)

    def close(self) -> None:
        """Drop the queries that have not started; connections end with their threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, promql: str, ask: Callable[[PrometheusConnect], Any]) -> list[Any]:
        def in_thread() -> tuple[Any, tuple[str, ...]]:
            session, client = self._client()
            return ask(client), session.warnings

        try:
            result, warnings = await asyncio.get_running_loop().run_in_executor(self._threads, in_thread)
        except requests.exceptions.Timeout as error:
            raise SignalUnavailable(promql, "Timeout", _brief(error)) from error
        except AnswerTooLarge as error:
            raise SignalUnavailable(promql, "AnswerTooLarge", str(error)) from error
        except PrometheusApiClientException as error:
            raise SignalUnavailable(promql, "QueryRefused", _brief(error)) from error
        except UnusableHeader as error:
            raise SignalUnavailable(promql, "Unreachable", str(error)) from error
        except (KeyError, TypeError, ValueError) as error:
            # requests' own JSONDecodeError is a ValueError too: a login page, or `status: error` with 200
            raise SignalUnavailable(promql, "Unreadable", _no_answer(error)) from error
        except (requests.exceptions.RequestException, OSError) as error:
            raise SignalUnavailable(promql, "Unreachable", _brief(error)) from error
        if not isinstance(result, list):
            raise SignalUnavailable(promql, "Unreadable", f"the result is a {type(result).__name__}")
        if len(result) > self._access.max_series:
            limit = f"{len(result)} series, at most {self._access.max_series} are read: narrow the query"
            raise SignalUnavailable(promql, "AnswerTooLarge", limit)
        # Notes of the evaluation itself are none: they say that a series is odd, not that one may be absent.
        partial = [warning for warning in warnings if not warning.startswith("PromQL ")]
        if partial:
            raise SignalUnavailable(promql, "PartialAnswer", "; ".join(partial)[:500])
        return result

    def _client(self) -> tuple[BoundedSession, PrometheusConnect]:
        if not hasattr(self._local, "client"):
            self._local.session = BoundedSession(
                ca_file=self._access.ca_file,
                bearer_token_file=self._access.bearer_token_file,
                total_timeout_seconds=self._access.timeout_seconds,
                max_answer_bytes=self._access.max_answer_bytes,
            )
            self._local.client = PrometheusConnect(
                self._access.url.rstrip("/"),
                headers=dict(self._access.headers),
                session=self._local.session,
                retry=Retry(total=0, redirect=0),
                timeout=self._access.timeout_seconds,
                method="POST",
            )
        return self._local.session, self._local.client


@contextlib.contextmanager
def _understanding(promql: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SignalUnavailable(promql, "Unreadable", _no_answer(error)) from error


def _answer(result: list[Any], names: Mapping[str, str]) -> Answer:
    samples, not_finite_of = [], []
    for series in result:
        labels = ours(series["metric"], names) if names else series["metric"]
        if "value" not in series and "histogram" in series:
            not_finite_of.append(labels)
            continue
        timestamp, value = map(float, series["value"])
        if math.isfinite(value):
            samples.append(Sample(labels, timestamp, value))
        else:
            not_finite_of.append(labels)
    return Answer(tuple(samples), len(not_finite_of), tuple(not_finite_of))


def _range_answer(result: list[Any], names: Mapping[str, str]) -> RangeAnswer:
    all_series, not_finite = [], 0
    for series in result:
        points = [(float(t), float(value)) for t, value in series.get("values") or ()]
        finite = tuple(point for point in points if math.isfinite(point[1]))
        not_finite += len(points) - len(finite) + len(series.get("histograms") or ())
        if finite:
            all_series.append(Series(ours(series["metric"], names), finite))
    return RangeAnswer(tuple(all_series), not_finite)


def _no_answer(error: Exception) -> str:
    # The words of an error that nobody foresaw may hold anything: a header, or a whole answer.
    return f"not an answer of Prometheus ({type(error).__name__})"


def _brief(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:500]

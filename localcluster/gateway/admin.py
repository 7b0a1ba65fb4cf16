"""What Envoy says about itself on its admin port."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from localcluster.gateway.resources import stat_name
from localcluster.gateway.statuses import InForce
from localcluster.gateway.xds_files import Versions

_FILTER = (
    r"^(cluster_manager\.(cds\.(version_text|update_rejected)|warming_clusters)"
    r"|listener_manager\.lds\.(version_text|update_rejected)"
    r"|http\..*\.rds\..*\.(version_text|update_rejected)"
    r"|cluster\..*\.version_text)$"
)
_REFUSAL = re.compile(r"config update (?:rejected|failure): (.*?)(?=\n\[\d{4}-|\Z)", re.DOTALL)
_CRASH = re.compile(r"\[critical\]\[assert\] \[.*?\] (.*)")
_LOG_TAIL_BYTES = 200_000

Stats = Mapping[str, Any]


class EnvoyNotRunningError(Exception):
    """Nothing listens on Envoy's admin port."""


class EnvoyAdmin:
    """Client of the admin port; Envoy's log is read for the reason of a refusal."""

    def __init__(self, host: str, port: int, log_file: Path) -> None:
        self._url = f"http://{host}:{port}"
        self._session: aiohttp.ClientSession | None = None
        self._log_file = log_file

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def stats(self) -> Stats:
        """The statistics that tell versions in force; raises EnvoyNotRunningError."""
        answer = await self._get("/stats", format="json", filter=_FILTER)
        return {item["name"]: item["value"] for item in answer["stats"] if "name" in item}

    async def listener_errors(self) -> dict[str, str]:
        """Envoy's message for every listener that it refused."""
        answer = await self._get("/config_dump", resource="dynamic_listeners")
        return {
            item["error_state"]["failed_configuration"]["name"]: str(item["error_state"]["details"])
            for item in answer.get("configs", [])
            if "error_state" in item
        }

    def last_refusal(self) -> str:
        """The last line of the last refusal in Envoy's log (a dump of the configuration precedes it)."""
        found = _REFUSAL.findall(self._end_of_log())
        return found[-1].strip().splitlines()[-1].lstrip(": ")[:1000] if found else "see Envoy's log"

    def last_crash(self) -> str:
        """What Envoy said last as it gave up; empty if it did not."""
        found = _CRASH.findall(self._end_of_log())
        return found[-1] if found else ""

    def _end_of_log(self) -> str:
        try:
            with self._log_file.open("rb") as log:
                log.seek(max(0, self._log_file.stat().st_size - _LOG_TAIL_BYTES))
                return log.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    async def _get(self, path: str, **params: str) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=5), raise_for_status=True
            )
        try:
            async with self._session.get(self._url + path, params=params) as response:
                return await response.json()
        except aiohttp.ClientConnectorError as error:
            raise EnvoyNotRunningError(f"{error} {self.last_crash()}".strip()) from error


def rejected_counts(stats: Stats) -> dict[str, int]:
    """How often Envoy has refused clusters, listeners, and each route configuration, since it started."""
    result = {}
    for name, value in stats.items():
        if name.endswith(".update_rejected"):
            result[name.removesuffix(".update_rejected").rpartition(".")[2]] = int(value)
    return result


def in_force(
    stats: Stats, versions: Versions, rejected_before: Mapping[str, int], listener_errors: Mapping[str, str]
) -> tuple[InForce, frozenset[str]]:
    """What Envoy serves of `versions`, and which of `cds`, `lds` and route configurations it refused.

    A refusal is a version that is not in force while the count of refusals is higher than before its write.
    """
    rejected = rejected_counts(stats)

    def refused(name: str) -> bool:
        before = rejected_before.get(name, 0)
        count = rejected.get(name, 0)
        return count > (before if before <= count else 0)

    clusters = stats.get("cluster_manager.cds.version_text") == versions.clusters
    listeners = stats.get("listener_manager.lds.version_text") == versions.listeners
    routes = frozenset(
        name
        for name, version in versions.routes.items()
        if stats.get(f"http.{name}.rds.{name}.version_text") == version
    )
    endpoints = frozenset(
        name
        for name, version in versions.endpoints.items()
        if stats.get(f"cluster.{stat_name(name)}.version_text") == version
    )
    refusals = {name for name in versions.routes if name not in routes and refused(name)}
    refusals |= {"cds"} if not clusters and refused("cds") else set()
    refusals |= {"lds"} if not listeners and refused("lds") else set()
    serving = frozenset(name for name in versions.routes if name not in listener_errors)
    known = serving if listeners or "lds" in refusals else frozenset()
    force = InForce(
        clusters=clusters,
        warming=bool(stats.get("cluster_manager.warming_clusters", 1)),
        listeners=known,
        routes=routes,
        endpoints=endpoints,
    )
    return force, frozenset(refusals)

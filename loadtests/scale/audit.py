"""The API server's audit log as data: who asked for what, and when."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
READS = ("get", "list", "watch")
_POD = "authentication.kubernetes.io/pod-name"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the API server recorded it at its end. Times in seconds since the epoch, by the server's clock."""

    user: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    received_seconds: float
    ended_seconds: float
    holds: frozenset[str] = frozenset()
    """Types of the conditions that the content, where it was recorded, says are True."""
    pod: str = ""
    """The pod whose token was shown; empty for tokens of no pod, and for certificates."""
    holder: str | None = None
    """Who holds the Lease by the content, empty for nobody; None of anything else."""
    selects: bool = False
    """Whether the content states which pods a Service selects."""

    @property
    def is_read(self) -> bool:
        """Whether it changed nothing."""
        return self.verb in READS


def read(path: Path, since: int = 0) -> tuple[list[Request], int]:
    """Return the requests recorded from a byte of the log on, and the byte to go on from.

    A line under way is left, and so is one that was under way at `since`: it began before.
    """
    return events(path, since, request_of)


class Log:
    """The audit log of a cluster from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._from = path.stat().st_size if path.exists() else 0

    def requests(self) -> list[Request]:
        """Return what has ended since this object was made."""
        return read(self._path, self._from)[0]


def events(path: Path, since: int, of: Callable[[Mapping[str, Any]], T]) -> tuple[list[T], int]:
    """Return what is made of each request that has ended since then, likewise."""
    found: list[T] = []
    if not path.exists():
        return found, since
    with path.open("rb") as log:
        log.seek(max(0, since - 1))
        if since and log.read(1) != b"\n":
            rest = log.readline()
            if not rest.endswith(b"\n"):
                return found, since
            since += len(rest)
        for line in log:
            if not line.endswith(b"\n"):
                break
            since += len(line)
            event = json.loads(line)
            if event.get("stage") == "ResponseComplete":
                found.append(of(event))
    return found, since


def request_of(event: Mapping[str, Any]) -> Request:
    """Return what an event says of its request."""
    reference = event.get("objectRef") or {}
    found = event.get("requestObject")
    content = found if isinstance(found, dict) else {}  # a JSON patch is a list
    status, spec = content.get("status"), content.get("spec")
    conditions = status.get("conditions") if isinstance(status, dict) else None
    stated = spec if isinstance(spec, dict) else {}
    resource = reference.get("resource", "")
    return Request(
        user=event["user"]["username"],
        verb=event["verb"],
        resource=resource,
        subresource=reference.get("subresource", ""),
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        received_seconds=_seconds(event["requestReceivedTimestamp"]),
        ended_seconds=_seconds(event["stageTimestamp"]),
        holds=frozenset(one["type"] for one in conditions or () if one.get("status") == "True"),
        pod=next(iter((event["user"].get("extra") or {}).get(_POD) or ()), ""),
        holder=(stated.get("holderIdentity") or "") if stated and resource == "leases" else None,
        selects=resource == "services" and "selector" in stated,
    )


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()

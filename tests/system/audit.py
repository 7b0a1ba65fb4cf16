"""The API server's audit log: who wrote what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from localcluster.cluster import Cluster


@dataclass(frozen=True)
class AuditedWrite:
    """One write as the API server recorded it."""

    user: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int


class Audit:
    """The audit log from now on."""

    def __init__(self, cluster: Cluster) -> None:
        self._path = cluster.audit_log
        self._from = self._path.stat().st_size if self._path.exists() else 0

    def writes(self, user: str = "") -> list[AuditedWrite]:
        """Writes since this object was made, Leases aside; `user` is part of the user's name."""
        return [write for write in self._all() if user in write.user and write.resource != "leases"]

    def _all(self) -> Iterator[AuditedWrite]:
        with self._path.open("rb") as log:
            log.seek(self._from)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                event = json.loads(line)
                if event.get("stage") != "ResponseComplete" or event["verb"] in ("get", "list", "watch"):
                    continue
                reference = event.get("objectRef", {})
                yield AuditedWrite(
                    user=event["user"]["username"],
                    verb=event["verb"],
                    resource=reference.get("resource", ""),
                    subresource=reference.get("subresource", ""),
                    namespace=reference.get("namespace", ""),
                    name=reference.get("name", ""),
                    code=event.get("responseStatus", {}).get("code", 0),
                )

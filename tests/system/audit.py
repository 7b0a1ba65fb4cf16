"""The API server's audit log: who wrote what."""

from __future__ import annotations

from loadtests.scale.audit import Log, Request
from localcluster.cluster import Cluster


class Audit:
    """The audit log from now on."""

    def __init__(self, cluster: Cluster) -> None:
        self._log = Log(cluster.audit_log)

    def writes(self, user: str = "") -> list[Request]:
        """Writes since this object was made, Leases aside; `user` is part of the user's name.

        In the order in which they were received: where the machine is busy, the log has them in another.
        """
        writes = [
            one
            for one in self._log.requests()
            if not one.is_read and one.resource != "leases" and user in one.user
        ]
        return sorted(writes, key=lambda one: one.received_seconds)

"""Which cluster and namespace a person means, and the connection to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from serving_io.cluster import Cluster
from serving_io.connection import ConfigurationError
from serving_io.errors import ServingIOError
from serving_io.kubeconfig import namespace_of, path_of
from servingctl.exits import stopped_by

FIELD_MANAGER = "servingctl"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Where:
    """The flags that kubectl has, too."""

    kubeconfig: str | None = None
    context: str | None = None
    stated_namespace: str | None = None
    timeout_seconds: float = 30.0

    @property
    def namespace(self) -> str:
        """The namespace as stated, else the context's. Raises `Stop`."""
        if self.stated_namespace:
            return self.stated_namespace
        try:
            return namespace_of(path_of(self.kubeconfig), self.context)
        except ConfigurationError as error:
            raise stopped_by(error) from None

    def ask(self, work: Callable[[Cluster], Awaitable[T]]) -> T:
        """Connect, do the work, disconnect. Raises `Stop` with the remedy where the cluster does not answer."""
        try:
            return asyncio.run(self._ask(work))
        except (ServingIOError, ConfigurationError) as error:
            raise stopped_by(error) from None

    async def _ask(self, work: Callable[[Cluster], Awaitable[T]]) -> T:
        path = path_of(self.kubeconfig)
        namespace_of(path, self.context)
        cluster = await Cluster.connect(
            field_manager=FIELD_MANAGER,
            request_timeout_seconds=self.timeout_seconds,
            kubeconfig=path,
            context=self.context,
        )
        async with cluster:
            return await work(cluster)

"""Names that the shell completes from the kubeconfig and the cluster. Whatever goes wrong there, nothing is offered."""

from __future__ import annotations

from typing import Any

import click

from serving_io.cluster import Cluster
from serving_io.connection import ConfigurationError
from serving_io.kinds import INFERENCE_SERVICE, NAMESPACE, Kind
from serving_io.kubeconfig import known_contexts, path_of
from servingctl.connecting import Where
from servingctl.exits import Stop

PATIENCE_SECONDS = 3.0


def complete_context(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Offer the contexts of the kubeconfig."""
    try:
        names = known_contexts(path_of(context.params.get("kubeconfig"))).described
    except ConfigurationError:
        return []
    return sorted(name for name in names if name.startswith(incomplete))


def complete_namespace(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Offer the cluster's namespaces."""
    return _listed(context.params, NAMESPACE, incomplete)


def complete_service(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Offer the services of the namespace."""
    return _listed(context.params, INFERENCE_SERVICE, incomplete)


def _listed(stated: dict[str, Any], kind: Kind, incomplete: str) -> list[str]:
    where = Where(stated.get("kubeconfig"), stated.get("context"), stated.get("namespace"), PATIENCE_SECONDS)

    async def names(cluster: Cluster) -> list[str]:
        found = await cluster.list(kind, where.namespace if kind.namespaced else None)
        return sorted(item["metadata"]["name"] for item in found.items)

    try:
        return [name for name in where.ask(names) if name.startswith(incomplete)]
    except Stop:
        return []

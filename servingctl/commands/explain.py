"""`servingctl explain`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from serving_api.names import SERVICE_LABEL, ServiceKey
from serving_io.cluster import Cluster
from serving_io.errors import NotFound
from serving_io.kinds import INFERENCE_AUTOSCALER
from serving_operator.world import Manifest
from servingctl.connecting import Where
from servingctl.exits import FOUND, OK, Stop
from servingctl.explanation import chain, text
from servingctl.observing import service
from servingctl.options import cluster_options, output_option, service_argument
from servingctl.output import show


@click.command()
@service_argument()
@output_option
@cluster_options
def command(name: str, output: str, where: Where) -> int:
    """Say why a service has so many replicas: from its demand to the last decision, one link a line.

    NAME is a service, or an InferenceAutoscaler of its own. The numbers are those that the last decision was made on.

    \b
    Examples:
      servingctl explain digits
      servingctl explain digits -o json
    """
    now, namespace = datetime.now(UTC), where.namespace

    async def work(cluster: Cluster) -> tuple[Manifest | None, list[Manifest]]:
        live = await service(cluster, ServiceKey(namespace, name))
        if live is None:
            try:
                return None, [await cluster.get(INFERENCE_AUTOSCALER, name, namespace)]
            except NotFound:
                return None, []
        listing = await cluster.list(
            INFERENCE_AUTOSCALER, namespace, label_selector=f"{SERVICE_LABEL}={name}"
        )
        return live, listing.items

    live, autoscalers = where.ask(work)
    if not autoscalers:
        raise Stop(_nothing(name, namespace, live), FOUND)
    roles = _roles(live or {})
    value = [
        {
            "autoscaler": found["metadata"]["name"],
            "role": _role(found, roles),
            "chain": [{"link": link, "words": words} for link, words in chain(found, now)],
            "status": found.get("status") or {},
        }
        for found in autoscalers
    ]
    show(value, output, "\n\n".join(text(found, _role(found, roles), now) for found in autoscalers))
    return OK


def _roles(live: Manifest) -> dict[str, str]:
    status = live.get("status") or {}
    return {(status.get(role) or {}).get("revision", ""): role for role in ("stable", "canary")}


def _role(autoscaler: Manifest, roles: dict[str, str]) -> str:
    return roles.get(str(autoscaler["metadata"]["name"]).rpartition("-")[2], "")


def _nothing(name: str, namespace: str, live: Manifest | None) -> str:
    if live is None:
        return f"there is no InferenceService or InferenceAutoscaler {name} in namespace {namespace}; see servingctl status"
    if (live["spec"].get("scaling") or {}).get("class") == "External":
        return f"{namespace}/{name}: somebody else sets the replicas (scaling.class External); see kubectl get hpa,scaledobject"
    return (
        f"{namespace}/{name} has no InferenceAutoscaler yet; servingctl status {name} says what it waits for"
    )

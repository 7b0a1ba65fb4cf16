"""`servingctl status`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from serving_api.names import ServiceKey
from serving_io.cluster import Cluster
from serving_io.kinds import INFERENCE_SERVICE
from serving_operator.world import Manifest
from servingctl.connecting import Where
from servingctl.exits import FOUND, OK, Stop
from servingctl.observing import service
from servingctl.options import cluster_options, output_option, service_argument
from servingctl.output import show, width
from servingctl.overview import described, listed


@click.command()
@service_argument(required=False)
@click.option("-A", "--all-namespaces", is_flag=True, help="Services of all namespaces.")
@output_option
@cluster_options
def command(name: str | None, all_namespaces: bool, output: str, where: Where) -> int:
    """Show services, or one service with its attempts, evidence, commands and conditions.

    \b
    Examples:
      servingctl status
      servingctl status -A
      servingctl status digits -o yaml
    """
    now = datetime.now(UTC)
    if name is not None:
        if all_namespaces:
            raise click.UsageError(
                "a NAME is looked for in one namespace; leave out --all-namespaces, or the name"
            )
        found = where.ask(lambda cluster: service(cluster, ServiceKey(where.namespace, name)))
        if found is None:
            raise Stop(
                f"there is no InferenceService {name} in namespace {where.namespace}; see servingctl status -A",
                FOUND,
            )
        show(_status(found), output, described(found, now, width=width()))
        return OK

    async def work(cluster: Cluster) -> list[Manifest]:
        listing = await cluster.list(INFERENCE_SERVICE, None if all_namespaces else where.namespace)
        return sorted(
            listing.items, key=lambda item: (item["metadata"]["namespace"], item["metadata"]["name"])
        )

    services = where.ask(work)
    place = "any namespace" if all_namespaces else f"namespace {where.namespace}"
    nothing = f"no InferenceServices in {place}"
    show(
        [_status(item) for item in services],
        output,
        listed(services, now, namespaces=all_namespaces) if services else nothing,
    )
    return OK


def _status(manifest: Manifest) -> Manifest:
    metadata = manifest["metadata"]
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "status": manifest.get("status") or {},
    }

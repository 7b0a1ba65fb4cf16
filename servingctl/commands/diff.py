"""`servingctl diff`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
from pydantic import ValidationError

from serving_api.names import SYSTEM_NAMESPACE, ServiceKey
from serving_io.cluster import Cluster
from serving_operator.runtimes.catalogue import Unresolved
from serving_operator.world import Manifest, Settings
from servingctl.changes import Changes, changes
from servingctl.configured import configured
from servingctl.connecting import Where
from servingctl.exits import FOUND, OK, USAGE, Stop
from servingctl.observing import observe, service
from servingctl.options import cluster_options, output_option, service_argument
from servingctl.output import show
from servingctl.reading import read
from servingctl.rendering import placed
from servingctl.services import valid_services

Result = tuple[ServiceKey, bool, Changes]


@click.command()
@service_argument(required=False)
@click.option(
    "-f", "--filename", "files", multiple=True, type=click.Path(exists=True, allow_dash=True), metavar="FILE",
    help="What applying this file would change; may be repeated, - is stdin.",
)  # fmt: skip
@click.option(
    "--system-namespace",
    default=SYSTEM_NAMESPACE,
    show_default=True,
    metavar="NAME",
    help="Where the operator is installed.",
)
@output_option
@cluster_options
def command(
    name: str | None, files: tuple[str, ...], system_namespace: str, output: str, where: Where
) -> int:
    """Show what the operator would change in a cluster, by the operator's own decisions.

    With -f: what applying the file would do: whether it is a new revision, by which fields, and the writes that are due
    first. With NAME: what it would put back of a live service. Nothing is written.

    \b
    Examples:
      servingctl diff -f service.yaml
      servingctl diff digits

    Exits with 0 if there is no difference, with 1 if there is one.
    """
    if bool(name) == bool(files):
        raise Stop("name a service, or a file by -f", USAGE)
    documents = valid_services(read(files)) if files else []

    async def work(cluster: Cluster) -> list[Result]:
        try:
            told = await configured(cluster, system_namespace)
        except ValueError as error:
            raise Stop(str(error), FOUND) from None
        if not told.is_known:
            click.echo(f"warning: {told.source}; what the administrator set is not shown", err=True)
        if name is not None:
            return [await _drift(cluster, ServiceKey(where.namespace, name), told.settings)]
        return [await _applied(cluster, document.value, where, told.settings) for document in documents]

    try:
        results = where.ask(work)
    except Unresolved as error:
        raise Stop(str(error), FOUND) from None
    except ValidationError as error:
        raise Stop(
            f"the service in the cluster cannot be read by this version: {error.errors()[0]['msg']}", FOUND
        ) from None
    show([_wire(result) for result in results], output, "\n\n".join(_text(result) for result in results))
    return FOUND if any(_differs(result) for result in results) else OK


async def _drift(cluster: Cluster, key: ServiceKey, settings: Settings) -> Result:
    live = await service(cluster, key)
    if live is None:
        raise Stop(
            f"there is no InferenceService {key.name} in namespace {key.namespace}; see servingctl status",
            FOUND,
        )
    return key, True, changes(await observe(cluster, live, settings), live, datetime.now(UTC), settings)


async def _applied(cluster: Cluster, stated: Manifest, where: Where, settings: Settings) -> Result:
    namespace = where.stated_namespace or stated["metadata"].get("namespace") or where.namespace
    key = ServiceKey(namespace, stated["metadata"]["name"])
    live = await service(cluster, key)
    made = placed(stated | {"metadata": stated["metadata"] | {"namespace": namespace}}, namespace)
    if live is not None:
        metadata = dict(live["metadata"])
        for field in ("labels", "annotations"):
            metadata[field] = (metadata.get(field) or {}) | (stated["metadata"].get(field) or {})
        made = live | {"metadata": metadata, "spec": _with_replicas_kept(stated["spec"], live["spec"])}
    world = await observe(cluster, made, settings)
    return key, live is not None, changes(world, live, datetime.now(UTC), settings)


def _with_replicas_kept(spec: Manifest, live: Manifest) -> Manifest:
    # What an HPA writes by the scale subresource is not taken away by a file that leaves it out.
    scaling = spec.get("scaling") or {}
    external, kept = scaling.get("external"), (live.get("scaling") or {}).get("external")
    if external is None or kept is None:
        return spec
    return spec | {"scaling": scaling | {"external": kept | external}}


def _differs(result: Result) -> bool:
    _, exists, found = result
    return not exists or bool(found.due or found.fields)


def _wire(result: Result) -> dict[str, Any]:
    key, exists, found = result
    return {
        "service": str(key),
        "exists": exists,
        "committedRevision": found.revision_now,
        "wantedRevision": found.revision_wanted,
        "fields": list(found.fields),
        "due": [change.wire() for change in found.due],
        "then": list(found.then),
    }


def _text(result: Result) -> str:
    key, exists, found = result
    if not exists:
        lines = [f"{key}: new; its first revision is {found.revision_wanted}"]
    elif found.revision_now is None:
        lines = [f"{key}: no revision is committed yet; the spec asks for {found.revision_wanted}"]
    elif found.revision_now == found.revision_wanted:
        lines = [f"{key}: revision {found.revision_now}, no pod is replaced"]
    else:
        lines = [
            f"{key}: revision {found.revision_now} is committed, {found.revision_wanted} becomes a canary"
        ]
    lines += [f"  {field}" for field in found.fields]
    for change in found.due:
        lines += ["", f"{change.verb} {change.object}  ({change.why})", change.difference]
    if found.then:
        lines += ["", "then, each when what comes before it was seen: " + ", ".join(found.then)]
    if not _differs(result):
        lines.append("  nothing to change")
    return "\n".join(lines)

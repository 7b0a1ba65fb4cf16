"""`servingctl render`."""

from __future__ import annotations

from pathlib import Path

import click

from serving_api.names import SYSTEM_NAMESPACE
from serving_io import configuration
from serving_operator.administered import settings_of
from serving_operator.runtimes.catalogue import Unresolved
from servingctl.exits import FOUND, OK, USAGE, Stop
from servingctl.options import files_argument
from servingctl.output import show
from servingctl.reading import read
from servingctl.rendering import identities, render
from servingctl.services import catalogue, valid_runtimes, valid_services
from servingctl.yaml_text import as_yaml


@click.command()
@files_argument
@click.option(
    "-n", "--namespace", default="default", show_default=True, metavar="NAME", help="Where a file says none."
)
@click.option(
    "--without-gateway-api", is_flag=True, help="As in a cluster without the Gateway API: no HTTPRoute."
)
@click.option(
    "--config", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
    help="The administrator's configuration, as the key config.yaml of the ConfigMap; without it all is default.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Choice(["yaml", "json", "name"]), default="yaml", show_default=True,
    help="YAML with comments, JSON, or the names alone.",
)  # fmt: skip
def command(
    files: tuple[str, ...], namespace: str, without_gateway_api: bool, config: str | None, output: str
) -> int:
    """Print the objects that the operator would make of a service, by the operator's own code.

    It is the first revision once it serves all of the traffic. The revision's name is the hash of all that shapes its
    pods: two files with the same name differ in nothing that would replace a pod. Runtimes among the files are used.
    Nothing is applied, and applying it by hand is no use: the operator leaves objects alone that it has not made.

    \b
    Examples:
      servingctl render service.yaml
      servingctl render service.yaml -o name
    """
    documents = list(read(files))
    runtimes = valid_runtimes(documents)
    try:
        settings = settings_of(configuration.read(Path(config) if config else None), SYSTEM_NAMESPACE)
    except ValueError as error:
        raise Stop(str(error), USAGE) from None
    try:
        made = [
            render(
                document.value,
                namespace,
                routes_served=not without_gateway_api,
                runtimes=catalogue(runtimes, document, namespace),
                settings=settings,
            )
            for document in valid_services(documents)
        ]
    except Unresolved as error:
        raise Stop(f"{error} Here the files that are given are looked at.", FOUND) from None
    children = [child for rendered in made for child in rendered.children]
    if output == "name":
        click.echo("\n".join(identities(children)))
    elif output == "json":
        show({"apiVersion": "v1", "kind": "List", "items": children}, "json", "")
    else:
        for rendered in made:
            click.echo(
                f"# revision {rendered.revision}; owner references are left out: their uid is the server's to give"
            )
            click.echo("---\n".join(as_yaml(child) for child in rendered.children), nl=False)
            click.echo("---" if rendered is not made[-1] else "", nl=rendered is not made[-1])
    return OK

"""`servingctl convert`."""

from __future__ import annotations

from typing import Any

import click

from servingctl.conversion import scorecard
from servingctl.conversion.convert import KSERVE_API_VERSION, Options, convert, is_kserve
from servingctl.conversion.scaling import Objective
from servingctl.conversion.traffic import Route
from servingctl.exits import FOUND, OK, USAGE, Stop
from servingctl.options import files_argument
from servingctl.output import show, width
from servingctl.reading import read
from servingctl.yaml_text import as_yaml


@click.command()
@files_argument
@click.option(
    "--objective-milliseconds", type=click.IntRange(1, 600000), metavar="N",
    help="Let our autoscaler hold this latency; without it replicas are scaled as KServe scaled them.",
)  # fmt: skip
@click.option(
    "--objective-percent", type=click.IntRange(50, 99), default=99, show_default=True, metavar="N",
    help="Share of the requests within it.",
)  # fmt: skip
@click.option("--gateway", metavar="NAMESPACE/NAME", help="Make a route on this Gateway; takes --hostname.")
@click.option(
    "--hostname", metavar="TEMPLATE", help="Host name of the route, such as '{name}-{namespace}.example.com'."
)
@click.option(
    "--drop", multiple=True, metavar="PATH", help="Give up a field that is refused; may be repeated."
)
@click.option("--all-fields", is_flag=True, help="Account for what is simply carried, too.")
@click.option(
    "-o", "--output", type=click.Choice(["yaml", "scorecard", "json"]), default="yaml", show_default=True,
    help="yaml: manifests on stdout, the account on stderr. scorecard: the account alone. json: both.",
)  # fmt: skip
def command(
    files: tuple[str, ...],
    objective_milliseconds: int | None,
    objective_percent: int,
    gateway: str | None,
    hostname: str | None,
    drop: tuple[str, ...],
    all_fields: bool,
    output: str,
) -> int:
    """Turn KServe's v1beta1 InferenceServices into ours, with an account of every field.

    Every field of the input is carried, so anyway, named in a note, or refused with the reason and the way out; nothing
    is dropped silently. Of a service with a refused field nothing is made, until the field is changed or given up by --drop.

    \b
    Examples:
      servingctl convert isvc.yaml -o scorecard
      servingctl convert kserve/ --objective-milliseconds 300 > ours.yaml
      servingctl convert isvc.yaml --gateway infra/public --hostname '{name}.{namespace}.example.com'
      servingctl convert isvc.yaml --drop spec.predictor.logger

    Exits with 1 if anything is refused. docs/kserve-migration.md says what becomes of each field.
    """
    options = Options(
        objective=None
        if objective_milliseconds is None
        else Objective(objective_milliseconds, objective_percent),
        route=_route(gateway, hostname),
        drop=frozenset(drop),
    )
    manifests = [document.value for document in read(files)]
    conversions = [convert(manifest, options) for manifest in manifests if is_kserve(manifest)]
    passed_over = [_named(manifest) for manifest in manifests if not is_kserve(manifest)]
    if not conversions:
        raise Stop(
            f"there is no InferenceService of {KSERVE_API_VERSION} in what was given (there is: {', '.join(passed_over)})",
            USAGE,
        )
    account = scorecard.text(conversions, passed_over, every_field=all_fields, width=width())
    if output == "json":
        show(scorecard.wire(conversions, passed_over), "json", "")
    elif output == "scorecard":
        click.echo(account)
    else:
        made = [manifest for conversion in conversions for manifest in conversion.manifests]
        click.echo("---\n".join(as_yaml(manifest) for manifest in made), nl=False)
        click.echo(account, err=True)
    return FOUND if any(conversion.verdict == "Refused" for conversion in conversions) else OK


def _route(gateway: str | None, hostname: str | None) -> Route | None:
    if gateway is None and hostname is None:
        return None
    namespace, slash, name = (gateway or "").partition("/")
    if not (slash and namespace and name and hostname):
        raise Stop("a route takes both: --gateway NAMESPACE/NAME and --hostname TEMPLATE", USAGE)
    try:
        hostname.format(name="a", namespace="b")
    except (KeyError, IndexError, ValueError):
        raise Stop(
            f"--hostname {hostname}: only {{name}} and {{namespace}} may stand in braces", USAGE
        ) from None
    return Route(namespace, name, hostname)


def _named(manifest: Any) -> str:
    if not isinstance(manifest, dict):
        return "something that is no object"
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{manifest.get('apiVersion', '?')} {manifest.get('kind', '?')} {name or ''}".rstrip()

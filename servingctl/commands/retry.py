"""`servingctl retry`."""

from __future__ import annotations

import click

from servingctl.connecting import Where
from servingctl.labelling import command_options, give
from servingctl.options import cluster_options, output_option, service_argument


@click.command()
@service_argument()
@command_options
@output_option
@cluster_options
def command(
    name: str, attempt: str | None, wait_seconds: float, dry_run: bool, output: str, where: Where
) -> int:
    """Try the rejected attempt again that the spec asks for, under a new id.

    \b
    Examples:
      servingctl retry digits
      servingctl retry digits --dry-run

    Exits with 1, and says why, where it cannot be done.
    """
    return give(
        "Retry",
        name,
        where,
        attempt=attempt,
        wait_seconds=wait_seconds,
        dry_run=dry_run,
        output=output,
    )

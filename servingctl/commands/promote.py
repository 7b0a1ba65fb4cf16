"""`servingctl promote`."""

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
    """Give the canary all of the traffic: straight to 100 percent.

    Remaining steps, pauses and evidence are skipped; capacity, the Gateway's acknowledgement and the soak are not. The label
    names the attempt, so that nothing else is promoted by it.

    \b
    Examples:
      servingctl promote digits
      servingctl promote digits --attempt 3f9c2a71-2

    Exits with 1, and says why, where it cannot be done.
    """
    return give(
        "Promote",
        name,
        where,
        attempt=attempt,
        wait_seconds=wait_seconds,
        dry_run=dry_run,
        output=output,
    )

"""`servingctl abort`."""

from __future__ import annotations

import click

from servingctl.connecting import Where
from servingctl.labelling import command_options, give
from servingctl.options import cluster_options, output_option, service_argument


@click.command()
@service_argument()
@click.option("--committed", is_flag=True, help="Go back from the committed revision.")
@command_options
@output_option
@cluster_options
def command(
    name: str,
    committed: bool,
    attempt: str | None,
    wait_seconds: float,
    dry_run: bool,
    output: str,
    where: Where,
) -> int:
    """Take the traffic back from the canary; its attempt is rejected.

    With --committed: go back from the committed revision to the one before it, within its rollback window. The label names
    the attempt, so that nothing else is aborted by it.

    \b
    Examples:
      servingctl abort digits
      servingctl abort digits --committed

    Exits with 1, and says why, where it cannot be done.
    """
    return give(
        "Abort",
        name,
        where,
        attempt=attempt,
        committed=committed,
        wait_seconds=wait_seconds,
        dry_run=dry_run,
        output=output,
    )

"""`servingctl replay`: the autoscaler's own command, under one roof with the others."""

from __future__ import annotations

import click

from autoscaler.replay.command import main


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Hand everything over: the options are the autoscaler's."""
    return main(arguments)

"""`servingctl completion`."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from servingctl.cli import COMPLETE, PROGRAM, cli
from servingctl.exits import OK

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> int:
    """Print the completion script of a shell.

    \b
    Examples:
      source <(servingctl completion bash)                                      for this shell
      servingctl completion bash > ~/.local/share/bash-completion/completions/servingctl
      servingctl completion zsh > "${fpath[1]}/_servingctl"
      servingctl completion fish > ~/.config/fish/completions/servingctl.fish

    `kubectl serving` is completed by kubectl itself, which asks kubectl_complete-serving.
    """
    found = get_completion_class(shell)
    assert found is not None
    # Not the class's own `source`: it runs bash to ask for its version.
    click.echo(ShellComplete.source(found(cli, {}, PROGRAM, COMPLETE)))
    return OK

"""Entry points: `servingctl`, `kubectl serving`, and what kubectl asks for completions of the latter."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from click.shell_completion import ShellComplete

from servingctl.cli import COMPLETE, PROGRAM, cli
from servingctl.exits import INTERRUPTED, OK, Stop

NO_FILES = ":4"
"""How a plugin tells kubectl not to offer files."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    name = Path(sys.argv[0]).name
    program = {"kubectl-serving": "kubectl serving"}.get(name, PROGRAM)
    if COMPLETE in os.environ:
        cli.main(arguments, prog_name=PROGRAM, complete_var=COMPLETE)
    try:
        code = cli.main(arguments, prog_name=program, standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        code = INTERRUPTED
    except KeyboardInterrupt:
        code = INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = error.exit_code
    except Stop as error:
        error.show()
        code = error.code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BrokenPipeError:
        # Whoever reads the output has seen enough; nothing more may be written, at the exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = OK
    sys.exit(code if isinstance(code, int) else OK)


def complete_for_kubectl() -> None:
    """Complete `kubectl serving …`: kubectl runs `kubectl_complete-serving` with the words so far."""
    *words, incomplete = sys.argv[1:] or [""]
    for item in ShellComplete(cli, {}, PROGRAM, COMPLETE).get_completions(words, incomplete):
        click.echo(item.value)
    click.echo(NO_FILES)


if __name__ == "__main__":
    main()

"""The command line: which subcommands there are. A new one is a module in `commands` with a `command`, and a line here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click
from click.shell_completion import CompletionItem

from servingctl.exits import MEANING

PROGRAM = "servingctl"
COMPLETE = "_SERVINGCTL_COMPLETE"
"""The variable by which a completion script asks."""

COMMANDS: Mapping[str, str] = {
    "check": "Look whether everything that services need is there, and name what is missing.",
    "lint": "Find what the API server would refuse, and what would surprise, without a cluster.",
    "render": "Print the objects that the operator would make of a service.",
    "diff": "Show what the operator would change in a cluster.",
    "convert": "Turn KServe's InferenceServices into ours, with an account of every field.",
    "status": "Show services, or one service with its conditions.",
    "explain": "Say why a service has so many replicas.",
    "replay": "Say what the autoscaler would have done on recorded data, beside HPA and KEDA.",
    "promote": "Give the canary all of the traffic.",
    "abort": "Take the traffic back from the canary.",
    "retry": "Try a rejected attempt again.",
    "completion": "Print the completion script of a shell.",
}
"""In the order in which `--help` lists them; each is loaded only when it is used."""


class Commands(click.Group):
    """Subcommands by name, loaded late: completion and `--help` stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a subcommand."""
        if cmd_name not in COMMANDS:
            return None
        found = importlib.import_module(f"servingctl.commands.{cmd_name}").command
        assert isinstance(found, click.Command)
        return found

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the subcommands without loading them."""
        names = [
            CompletionItem(name, help=words)
            for name, words in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=MEANING,
)
@click.version_option(package_name="serving-operator", prog_name="servingctl")
def cli() -> None:
    """Everything about InferenceServices that kubectl does not say.

    \b
    Examples:
      servingctl lint service.yaml             before it is applied
      servingctl diff -f service.yaml          what applying it would change
      servingctl check digits                  why it does not scale or roll out
      servingctl explain digits                why it has so many replicas
      servingctl promote digits                the canary gets all of the traffic
      servingctl convert kserve/ > ours.yaml   from KServe

    As a kubectl plugin it is `kubectl serving`. Each command has a --help of its own.
    """

"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from servingctl.connecting import Where
from servingctl.naming import complete_context, complete_namespace, complete_service

Command = Callable[..., Any]


def cluster_options(function: Command) -> Command:
    """Add kubectl's flags; the command gets them as `where`."""

    @click.option(
        "--kubeconfig", metavar="FILE", help="Kubeconfig; without it KUBECONFIG, then ~/.kube/config."
    )
    @click.option(
        "--context", metavar="NAME", shell_complete=complete_context, help="Context of the kubeconfig."
    )
    @click.option(
        "-n",
        "--namespace",
        metavar="NAME",
        shell_complete=complete_namespace,
        help="Namespace; without it the context's.",
    )
    @click.option(
        "--request-timeout", type=click.FloatRange(0.1, 600), default=30.0, show_default=True, metavar="SECONDS",
        help="How long one request may take.",
    )  # fmt: skip
    @functools.wraps(function)
    def wrapped(
        kubeconfig: str | None,
        context: str | None,
        namespace: str | None,
        request_timeout: float,
        **rest: Any,
    ) -> Any:
        return function(where=Where(kubeconfig, context, namespace, request_timeout), **rest)

    return wrapped


def output_option(function: Command) -> Command:
    """Add `-o`; the command gets it as `output`."""
    return click.option(
        "-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True,
        help="A table for people, or JSON or YAML for programs.",
    )(function)  # fmt: skip


def files_argument(function: Command) -> Command:
    """Take files as arguments; `-` is stdin, a folder is every .yaml, .yml and .json in it."""
    return click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True))(
        function
    )


def service_argument(*, required: bool = True) -> Callable[[Command], Command]:
    """Take the name of a service as `name`, completed from the cluster."""
    return click.argument(
        "name", required=required, metavar="NAME" if required else "[NAME]", shell_complete=complete_service
    )

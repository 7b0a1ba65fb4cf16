"""What a command shows: a table for people, or the same as JSON or YAML for programs."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

import click

from servingctl.yaml_text import as_yaml


def show(value: Any, form: str, text: str) -> None:
    """Print `value` as JSON or YAML, or `text` for people."""
    if form == "json":
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    elif form == "yaml":
        click.echo(as_yaml(value), nl=False)
    else:
        click.echo(text)


def width() -> int:
    """Columns of the terminal; 0 where there is none, so that nothing is wrapped."""
    return shutil.get_terminal_size((0, 0)).columns if sys.stdout.isatty() else 0

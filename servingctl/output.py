"""What a command shows: a table for people, or the same as JSON or YAML for programs."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

import click
import yaml


def show(value: Any, form: str, text: str) -> None:
    """Print `value` as JSON or YAML, or `text` for people."""
    if form == "json":
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    elif form == "yaml":
        click.echo(as_yaml(value), nl=False)
    else:
        click.echo(text)


def as_yaml(value: Any) -> str:
    """Spell a value as YAML, fields in their order."""
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110))


def width() -> int:
    """Columns of the terminal; 0 where there is none, so that nothing is wrapped."""
    return shutil.get_terminal_size((0, 0)).columns if sys.stdout.isatty() else 0

"""Every trace in a directory: files are known by their names, or by the names in their first line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from loadtests.traces.envelopes import (
    DIGITISED_COLUMNS,
    FUNCTIONS_COLUMNS,
    SERVEGEN_COLUMNS,
    read_counts,
    read_digitised,
    read_functions,
    read_servegen,
)
from loadtests.traces.recordings import (
    AZURE_COLUMNS,
    BURSTGPT_COLUMNS,
    MOONCAKE_COLUMNS,
    read_azure,
    read_burstgpt,
    read_mooncake,
)
from loadtests.traces.table import TraceError, opened
from loadtests.traces.trace import Trace

_SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz")
"""Of files whose first line is looked at."""
_FIRST_LINE_LIMIT = 65_536


@dataclass(frozen=True)
class Format:
    """A kind of file: what it is called, whose first line has which names, and what reads it."""

    title: str
    file_names: tuple[str, ...]
    """Patterns; a file that fits one and is of another form is refused. Each is tried with .gz too."""
    columns: tuple[str, ...]
    """Columns or keys that tell a file by its first line; none: such files are known by name alone."""
    read: Callable[[Path], list[Trace]]

    def is_named(self, path: Path) -> bool:
        """Whether the name alone says that a file is of this form."""
        name = path.name.removesuffix(".gz")
        return any(fnmatchcase(name, pattern) for pattern in self.file_names)


FORMATS: Final = (
    Format("Azure LLM inference", ("AzureLLMInferenceTrace_*.csv",), AZURE_COLUMNS, read_azure),
    Format(
        "Azure LLM inference 2024, digitised", ("azure_llm_2024_*.csv",), DIGITISED_COLUMNS, read_digitised
    ),
    Format("Azure Functions 2019", ("azure_functions_2019_*.csv",), FUNCTIONS_COLUMNS, read_functions),
    Format("ServeGen aggregates", ("*-aggregate-*.csv",), SERVEGEN_COLUMNS, read_servegen),
    Format("Mooncake", ("*conversation_trace.jsonl",), MOONCAKE_COLUMNS, read_mooncake),
    Format("BurstGPT", ("BurstGPT_*.csv",), BURSTGPT_COLUMNS, read_burstgpt),
    Format("counts of seconds", ("*.counts", "workload*.txt"), (), read_counts),
)


def load(directory: Path) -> list[Trace]:
    """Read all traces below a directory, in the order of their paths; files of no known form are left alone.

    Raises TraceError, which names file and line: for a file that is known and cannot be read, for two traces of one
    name, and for a directory without any trace.
    """
    if not directory.is_dir():
        raise TraceError(f"{directory} is no directory; name one that holds {_known()}")
    sources: dict[str, Path] = {}
    traces: list[Trace] = []
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        form = format_of(path)
        for trace in form.read(path) if form else []:
            if trace.name in sources:
                raise TraceError(
                    f"{path} and {sources[trace.name]} both hold {trace.name}; rename or remove one"
                )
            sources[trace.name] = path
            traces.append(trace)
    if not traces:
        raise TraceError(f"{directory} holds no file of a known form; known are {_known()}")
    return traces


def format_of(path: Path) -> Format | None:
    """The form of a file, by its name or else by its first line; None if it is not known."""
    named = next((form for form in FORMATS if form.is_named(path)), None)
    if named or not path.name.endswith(_SUFFIXES):
        return named
    names = _names(path)
    return next((form for form in FORMATS if form.columns and names.issuperset(form.columns)), None)


def _names(path: Path) -> frozenset[str]:
    """Columns of a header or keys of a JSON object in the first line, as far as there are any."""
    try:
        with opened(path) as file:
            first = file.readline(_FIRST_LINE_LIMIT)
        if first.startswith("{"):
            return frozenset(json.loads(first))
        return frozenset(name.strip() for name in next(csv.reader([first]), []))
    except (TraceError, json.JSONDecodeError, csv.Error):
        return frozenset()


def _known() -> str:
    return "; ".join(f"{form.title} ({' or '.join(form.file_names)})" for form in FORMATS)

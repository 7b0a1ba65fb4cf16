"""Public traces of single requests, with their tokens: a file in, traces out.

Rates are counts a minute; the requests themselves are in `Trace.recorded`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from loadtests.traces.table import Table, read_csv, read_json_lines, stem, wrong
from loadtests.traces.trace import DAY_SECONDS, MINUTE_SECONDS, Floats, Ints, Recorded, Trace

AZURE_COLUMNS: Final = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
MOONCAKE_COLUMNS: Final = ("timestamp", "input_length", "output_length")
BURSTGPT_COLUMNS: Final = ("Timestamp", "Model", "Request tokens", "Response tokens")


def read_azure(path: Path) -> list[Trace]:
    """Azure LLM inference 2023, and the original of 2024: a date and time a request. The first one comes at 0.

    Raises TraceError.
    """
    table = read_csv(path, AZURE_COLUMNS)
    times = [_moment(table, row, text.strip()) for row, text in enumerate(table.texts("TIMESTAMP"))]
    first = min(times)
    seconds = np.array([(time - first).total_seconds() for time in times])
    tokens = table.wholes("ContextTokens"), table.wholes("GeneratedTokens")
    return [_counted(stem(path), seconds, tokens, float(seconds.max()))]


def read_mooncake(path: Path) -> list[Trace]:
    """Mooncake: milliseconds since the beginning; requests come in batches of about three seconds, as recorded.

    Raises TraceError.
    """
    table = read_json_lines(path, MOONCAKE_COLUMNS)
    seconds = table.numbers("timestamp") / 1000
    tokens = table.wholes("input_length"), table.wholes("output_length")
    return [_counted(stem(path), seconds, tokens, float(seconds.max()))]


def read_burstgpt(path: Path) -> list[Trace]:
    """BurstGPT: seconds since a midnight. A trace per model, all from the midnight before the first request on.

    Requests that failed have no response tokens; they arrived all the same, and are kept. Raises TraceError.
    """
    table = read_csv(path, BURSTGPT_COLUMNS)
    seconds = table.numbers("Timestamp")
    seconds = seconds - seconds.min() // DAY_SECONDS * DAY_SECONDS
    models = np.array(table.texts("Model"))
    tokens = table.wholes("Request tokens"), table.wholes("Response tokens")
    traces = []
    for model in dict.fromkeys(models.tolist()):
        rows = models == model
        own = tokens[0][rows], tokens[1][rows]
        traces.append(_counted(f"{stem(path)}/{model}", seconds[rows], own, float(seconds.max())))
    return traces


def _moment(table: Table, row: int, text: str) -> datetime:
    """A date and time; one that names no zone is in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise wrong(
            table.path, table.lines[row], "a date and time like 2023-11-16 18:17:03.97996", text
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _counted(name: str, seconds: Floats, tokens: tuple[Ints, Ints], last_seconds: float) -> Trace:
    """A trace of the minutes up to the one that holds `last_seconds`."""
    order = np.argsort(seconds, kind="stable")
    recorded = Recorded(seconds[order], tokens[0][order], tokens[1][order])
    minutes = int(last_seconds // MINUTE_SECONDS) + 1
    counts = np.bincount((seconds // MINUTE_SECONDS).astype(np.int64), minlength=minutes)
    return Trace(name, MINUTE_SECONDS, counts / MINUTE_SECONDS, recorded)

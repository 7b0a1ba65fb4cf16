"""What is aimed at, for 10,000 InferenceAutoscalers on a small machine."""

from __future__ import annotations

from typing import Any, Final

from loadtests.scale.targets import Target, below

MOST_CPU_SECONDS: Final = 1.0
MOST_QUERIES: Final = 6
MOST_HISTORY_BYTES: Final = 8 * 1024


def targets(tick_seconds: float) -> tuple[Target, ...]:
    """Return the targets at an interval of ticks."""
    return (
        Target(
            "the autoscaler's own CPU for one tick, median (s)",
            ("ticks", "cpu_seconds"),
            f"< {MOST_CPU_SECONDS:g}",
            below(MOST_CPU_SECONDS),
        ),
        Target(
            "from a tick's begin to its last write, median (s)",
            ("ticks", "seconds_to_last_write"),
            f"< {tick_seconds:g}",
            below(tick_seconds),
        ),
        Target(
            "Prometheus' time for a tick's queries together (s)",
            ("ticks", "prometheus_query_seconds"),
            f"< {tick_seconds:g}",
            below(tick_seconds),
        ),
        Target(
            "queries of a tick, at most", ("ticks", "queries_most"), f"≤ {MOST_QUERIES}", _most(MOST_QUERIES)
        ),
        Target(
            "history of one (bytes)",
            ("page", "history_bytes_of_one"),
            f"≤ {MOST_HISTORY_BYTES}",
            _most(MOST_HISTORY_BYTES),
        ),
        Target(
            "status writes of one for its numbers alone in 10 minutes, at most",
            ("statuses", "refreshes_of_one_most"),
            "≤ 1",
            _most(1),
        ),
    )


def _most(limit: float) -> Any:
    return lambda value: value <= limit

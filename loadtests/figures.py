"""Figures of a load: from records to numbers, with nothing rounded away before the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from loadtests.record import Record


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of the values do not exceed (nearest rank); 0.0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def late_fraction(records: Sequence[Record], threshold_seconds: float) -> float:
    """Return the share of requests that were late or failed; 0.0 of nothing."""
    return sum(record.is_late(threshold_seconds) for record in records) / len(records) if records else 0.0


def outcomes(records: Iterable[Record]) -> dict[str, int]:
    """Count requests by status, or by failure where no whole answer came."""
    return dict(sorted(Counter(record.failure or str(record.status) for record in records).items()))


def not_2xx_by_revision(records: Iterable[Record]) -> dict[str, int]:
    """Count bad answers by the revision header they carried; '' for those that carried none."""
    return dict(sorted(Counter(record.revision for record in records if not record.is_success).items()))


@dataclass(frozen=True)
class Interval:
    """Figures of the requests that were due in [begin_seconds, end_seconds)."""

    begin_seconds: float
    end_seconds: float
    requests: int
    rate_per_second: float
    not_2xx: int
    late_fraction: float
    p50_seconds: float
    p99_seconds: float


def interval(
    records: Iterable[Record], begin_seconds: float, end_seconds: float, threshold_seconds: float
) -> Interval:
    """Return the figures of one interval of the schedule; percentiles are those of whole answers."""
    inside = [record for record in records if begin_seconds <= record.scheduled_seconds < end_seconds]
    latencies = [record.latency_seconds for record in inside if record.status]
    return Interval(
        begin_seconds,
        end_seconds,
        len(inside),
        len(inside) / (end_seconds - begin_seconds),
        sum(not record.is_success for record in inside),
        late_fraction(inside, threshold_seconds),
        percentile(latencies, 50),
        percentile(latencies, 99),
    )


def intervals(
    records: Iterable[Record], width_seconds: float, end_seconds: float, threshold_seconds: float
) -> list[Interval]:
    """Return the figures interval by interval from second 0 to `end_seconds`."""
    count = max(1, ceil(end_seconds / width_seconds))
    groups: list[list[Record]] = [[] for _ in range(count)]
    for record in records:
        index = int(record.scheduled_seconds / width_seconds)
        if index < count:
            groups[index].append(record)
    return [
        interval(group, index * width_seconds, (index + 1) * width_seconds, threshold_seconds)
        for index, group in enumerate(groups)
    ]


def summary(
    records: Sequence[Record], sent: int, seconds: float, threshold_seconds: float
) -> dict[str, object]:
    """Return the figures of a whole load; the keys are documented in loadtests/README.md."""
    latencies = [record.latency_seconds * 1000 for record in records if record.status]
    responses = [record.response_seconds * 1000 for record in records if record.status]
    not_2xx = sum(not record.is_success for record in records)
    return {
        "requests": sent,
        "seconds": round(seconds, 3),
        "rate_per_second": round(sent / seconds, 3) if seconds > 0 else 0.0,
        "outcomes": outcomes(records),
        "not_2xx": not_2xx,
        "not_2xx_fraction": not_2xx / len(records) if records else 0.0,
        "not_2xx_by_revision": not_2xx_by_revision(records),
        "requests_by_revision": dict(sorted(Counter(record.revision for record in records).items())),
        "objective_milliseconds": threshold_seconds * 1000,
        "late_fraction": late_fraction(records, threshold_seconds),
        "latency_milliseconds": _spread(latencies),
        "response_milliseconds": _spread(responses),
        "send_delay_milliseconds": _spread(
            [(record.sent_seconds - record.scheduled_seconds) * 1000 for record in records]
        ),
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    points = {f"p{percent:g}": round(percentile(values, percent), 3) for percent in (50, 90, 95, 99, 99.9)}
    return points | {"max": round(max(values, default=0.0), 3)}

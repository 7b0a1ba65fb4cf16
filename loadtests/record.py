"""What is known of one request once it has ended, and the file that holds all of them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Failure = Literal["", "timeout", "refused", "reset", "invalid", "aborted"]
"""Why there is no whole answer. timeout: none within the limit; refused: no connection; reset: the
connection broke; invalid: an answer that is not HTTP; aborted: the generator itself gave up at its end."""

CSV_COLUMNS = (
    "number",
    "scheduled_seconds",
    "sent_seconds",
    "ended_seconds",
    "latency_milliseconds",
    "response_milliseconds",
    "status",
    "failure",
    "revision",
)


@dataclass(frozen=True, slots=True)
class Record:
    """One request. Times are seconds since the start of the load; `status` is 0 without a whole answer."""

    number: int
    scheduled_seconds: float
    sent_seconds: float
    ended_seconds: float
    status: int
    failure: Failure
    revision: str
    """Value of the response header `x-serving-revision`, empty if it did not come."""

    @property
    def latency_seconds(self) -> float:
        """Time from when the request was due, so that a slow sender cannot hide a slow server."""
        return self.ended_seconds - self.scheduled_seconds

    @property
    def response_seconds(self) -> float:
        """Time from when the request was sent."""
        return self.ended_seconds - self.sent_seconds

    @property
    def is_success(self) -> bool:
        """Whether the answer came whole and was of class 2xx."""
        return 200 <= self.status < 300

    def is_late(self, threshold_seconds: float) -> bool:
        """Whether it took longer than the threshold, or never ended well."""
        return not self.is_success or self.latency_seconds > threshold_seconds


def write_csv(records: Iterable[Record], path: Path) -> None:
    """Write one row per request, in the order of their schedule."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(CSV_COLUMNS)
        for record in sorted(records, key=lambda one: one.number):
            rows.writerow(
                (
                    record.number,
                    f"{record.scheduled_seconds:.4f}",
                    f"{record.sent_seconds:.4f}",
                    f"{record.ended_seconds:.4f}",
                    f"{record.latency_seconds * 1000:.1f}",
                    f"{record.response_seconds * 1000:.1f}",
                    record.status,
                    record.failure,
                    record.revision,
                )
            )

"""Figures: records in, numbers out."""

import csv
import math
from pathlib import Path

import pytest

from loadtests.figures import interval, intervals, late_fraction, percentile, summary
from loadtests.record import CSV_COLUMNS, Record, write_csv


def made(
    number: int, due: float, latency: float, status: int = 200, failure="", revision: str = "a"
) -> Record:
    return Record(number, due, due + 0.01, due + latency, status, failure, revision)


RECORDS = [
    made(1, 0.0, 0.1),
    made(2, 0.5, 0.4),
    made(3, 1.0, 0.2, 500, revision="b"),
    made(4, 1.5, 2.0, 0, "timeout", ""),
]


@pytest.mark.parametrize(("percent", "wanted"), [(50, 2.0), (51, 3.0), (100, 4.0), (0.1, 1.0)])
def test_percentile_is_a_value_that_occurred(percent: float, wanted: float) -> None:
    """The nearest rank is taken; nothing is interpolated."""
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == wanted


def test_late_counts_failures() -> None:
    """A fast failure and a time-out are as late as a slow answer."""
    assert late_fraction(RECORDS, 0.3) == 0.75
    assert late_fraction([], 0.3) == 0.0


def test_latency_runs_from_the_schedule() -> None:
    """A request that was sent late has waited, whoever is to blame."""
    record = Record(1, 2.0, 5.0, 5.1, 200, "", "")
    assert record.latency_seconds == pytest.approx(3.1)
    assert record.response_seconds == pytest.approx(0.1)


def test_an_interval_holds_what_was_due_in_it() -> None:
    """Requests belong to the interval of their schedule, its end excluded."""
    one = interval(RECORDS, 0.5, 1.5, 0.3)
    assert (one.requests, one.not_2xx, one.late_fraction, one.rate_per_second) == (2, 1, 1.0, 2.0)


def test_intervals_lose_nothing() -> None:
    """The intervals together hold every request, also of an interval cut short."""
    rows = intervals(RECORDS, 0.8, 1.6, 0.3)
    assert [row.requests for row in rows] == [2, 2]
    assert math.isclose(rows[-1].end_seconds, 1.6)


def test_summary_accounts_for_every_request() -> None:
    """Outcomes add up to the requests, and bad ones are named by revision."""
    figures = summary(RECORDS, 4, 2.0, 0.3)
    assert figures["requests"] == 4
    assert figures["outcomes"] == {"200": 2, "500": 1, "timeout": 1}
    assert figures["not_2xx"] == 2
    assert figures["not_2xx_by_revision"] == {"": 1, "b": 1}
    assert figures["requests_by_revision"] == {"": 1, "a": 2, "b": 1}
    assert figures["rate_per_second"] == 2.0
    assert figures["latency_milliseconds"] == {
        "p50": 200,
        "p90": 400,
        "p95": 400,
        "p99": 400,
        "p99.9": 400,
        "max": 400,
    }


def test_every_key_of_the_summary_is_documented() -> None:
    """loadtests/README.md names each key of summary.json and each column of requests.csv."""
    text = (Path(__file__).parents[2] / "loadtests/README.md").read_text()
    for name in (*summary(RECORDS, 4, 2.0, 0.3), *CSV_COLUMNS):
        assert f"`{name}`" in text, name


def test_csv_has_a_row_per_request_in_order(tmp_path: Path) -> None:
    """Rows come in the order of the schedule, whatever the order of the answers."""
    write_csv(reversed(RECORDS), tmp_path / "requests.csv")
    with (tmp_path / "requests.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[3]["failure"] == "timeout"
    assert rows[1]["latency_milliseconds"] == "400.0"

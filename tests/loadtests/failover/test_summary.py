"""The figures of a run, what is missing in them, and the report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtests.failover.cases import Case
from loadtests.failover.report import markdown
from loadtests.failover.summary import Run, shortcomings, summarise
from tests.loadtests.failover.recorded import (
    BEGAN,
    FIRST,
    THIRD,
    answer,
    loss,
    renewal,
    request,
    run,
    with_loss,
)

README = Path(__file__).parents[3] / "loadtests" / "README.md"


def test_a_gap_is_counted_from_the_last_effective_renewal() -> None:
    """To the successor's first one, by the API server's clock, and to its first work."""
    summary = summarise(run())

    assert [one["lease_gap_seconds"] for one in summary["cases"]] == [16.25, 16.0]
    assert [one["work_gap_seconds"] for one in summary["cases"]] == [17.0, 16.5]
    assert (summary["longest_lease_gap_seconds"], summary["longest_work_gap_seconds"]) == (16.25, 17.0)


def test_late_writes_are_told_where_they_came_from() -> None:
    """With what became of them; once its pod leads again, writes are no longer late."""
    first, second = summarise(run())["cases"]

    assert first["wrote_late"] == [
        "operator-x: patch httproutes demo/digits: 409",
        "operator-x: create events demo/digits: 201",
    ]
    assert second["wrote_late"] == []


def test_late_writes_are_counted() -> None:
    """All of them, those that were refused, and those that overruled the successor."""
    summary = summarise(run())

    assert (summary["late_writes"], summary["late_writes_refused"]) == (2, 1)
    assert summary["overruling_writes"] == []


def test_a_course_has_the_requests_that_were_due_in_it() -> None:
    """And how it ended beside the one in which nobody was lost."""
    first, second = summarise(run())["courses"]

    assert (first["requests"], second["requests"]) == (1, 2)
    assert (first["cases"], second["cases"]) == (
        [],
        ["operator killed at created", "operator killed at committed"],
    )
    assert second["ended_as_without_loss"]
    assert second["seconds"] == 130.0


def test_a_run_that_shows_everything_lacks_nothing() -> None:
    """A refused late write, or one that overrules nobody, is nothing to complain of."""
    assert shortcomings(summarise(run())) == []


def overruled(found: Run) -> Run:
    """A late write takes effect on the route that the successor has written."""
    late = request("patch", "httproutes", BEGAN + 119, pod="operator-x")
    return replace(found, requests=[*found.requests, late])


def otherwise(found: Run) -> Run:
    """The second rollout ends in another way."""
    return replace(found, played=[found.played[0], replace(found.played[1], ending={"stable": "another"})])


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        (replace(run(), played=run().played[:1]), "no leader was lost"),
        (
            with_loss(run(), 1, loss("committed", "operator-y_2", BEGAN + 151, BEGAN + 170.1)),
            "a gap was longer",
        ),
        (with_loss(run(), 1, loss("committed", THIRD, BEGAN + 151, BEGAN + 166.5)), "a gap was longer"),
        (overruled(run()), "a late write took effect"),
        (replace(run(), records=[answer(1, 65, 503)]), "requests had bad responses"),
        (otherwise(run()), "a course did not end as without a loss"),
        (replace(run(), played=run().played[1:]), "a course did not end as without a loss"),
        (replace(run(), not_reached=[Case("abort", "operator", "killed")]), "phases were not reached"),
        (replace(run(), failures=["no cluster"]), "something failed"),
        (
            replace(run(), played=[replace(run().played[0], problem="not over"), *run().played]),
            "something failed",
        ),
    ],
)
def test_whatever_was_not_shown_is_named(found: Run, missing: str) -> None:
    """One thing is amiss, and it alone is named; a bad response between two courses is one, too."""
    (sentence,) = shortcomings(summarise(found))
    assert sentence.startswith(missing)


def test_the_report_says_what_was_lost_and_what_became_of_it() -> None:
    """Losses in the order of the phases, each course, and what was not shown."""
    text = markdown(summarise(overruled(run())))

    assert (
        "| created: the attempt is recorded, the candidate's objects are being created | operator | killed | 16.2 s | 17.0 s |"
        in text
    )
    assert text.index("| created:") < text.index("| committed:")
    assert "| promoted | none | 60 s | 1 | 0 | 0.0% |  |" in text
    assert "operator-x: patch httproutes demo/digits: 200" in text
    assert "**Not shown:** a late write took effect" in text
    assert "All of it was shown." in markdown(summarise(run()))


def test_what_followed_nobody_is_said() -> None:
    """A gap without an end has no number."""
    found = summarise(with_loss(run(), 0, loss("created", FIRST, BEGAN + 170, BEGAN + 171)))

    assert found["cases"][0]["lease_gap_seconds"] is None
    assert "none followed" in markdown(found)


def test_a_run_of_which_nothing_is_known_yet_has_a_report() -> None:
    """It is written from the first course on."""
    nothing = summarise(Run([], [renewal(BEGAN, FIRST)], [], BEGAN, 0.5))

    assert nothing["longest_lease_gap_seconds"] is None
    assert "0 leaders were lost" in markdown(nothing)


def keys(value: Any) -> Iterator[str]:
    """Every key of the summary, those of its lists' entries included."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key not in ("not_2xx_by_revision", "ending"):
                yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def test_every_key_is_documented() -> None:
    """In the section of the README that is about this command."""
    section = README.read_text().partition("-m loadtests.failover`")[2].partition("\n## ")[0]

    assert {key for key in keys(summarise(run())) if f"`{key}`" not in section} == set()

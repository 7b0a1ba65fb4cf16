"""What a soak says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.record import Failure, Record
from loadtests.soak.figures import markdown, shortcomings, summarise
from loadtests.soak.history import (
    LEASE_SECONDS,
    History,
    Struck,
    Told,
    Traffic,
    attributed,
    outlasting_leases,
)
from loadtests.soak.vitals import FEWEST, Vital, growth, vital

README = Path(__file__).parents[3] / "loadtests" / "README.md"
OPERATOR, AUTOSCALER = "serving-operator", "serving-autoscaler"


def request(at: float, status: int = 200, failure: Failure = "", revision: str = "a") -> Record:
    """One request, answered at once."""
    return Record(1, at, at, at + 0.01, status, failure, revision)


def vitals(program: str, *mebibytes: float, process: str = "1") -> list[Vital]:
    """Samples of one process, which holds so much memory."""
    return [
        Vital(15.0 * n, program, process, {"rss_mebibytes": held, "files": 20.0, "tasks": 30.0})
        for n, held in enumerate(mebibytes)
    ]


def history() -> History:
    """One in which all was well."""
    return History(
        told=[Told("east", "promoted")],
        struck=[Struck("model-killed", 30.0, 35.0, "east")],
        traffic={"east": Traffic([request(at) for at in range(60)], 60, 0.0, {"bad"})},
        vitals=[each for name in (OPERATOR, AUTOSCALER) for each in vitals(name, *([100.0] * FEWEST))],
        restarts={OPERATOR: 0, AUTOSCALER: 0},
        tracebacks={OPERATOR: 0, AUTOSCALER: 0},
        rest_seconds=60.0,
        rest_writes={OPERATOR: 0},
        seconds=120.0,
    )


def test_an_api_server_that_stays_away_explains_a_restart() -> None:
    """A leader ends when it cannot renew its Lease in time; a short absence, or another fault, is no reason."""
    times = [(5.0, 5.0 + LEASE_SECONDS + 1), (50.0, 50.0 + LEASE_SECONDS - 1)]
    struck = [Struck("api-server-killed", *each) for each in times]

    assert outlasting_leases([*struck, Struck("gateway-killed", 100.0, 200.0)]) == 1


def test_all_is_well() -> None:
    """The report says so."""
    summary = summarise(history(), seed=1)
    assert shortcomings(summary) == []
    assert "Everything ended as it should" in markdown(summary)


@pytest.mark.parametrize(
    ("why", "record", "expected"),
    [
        ("of a version that fails", request(10.0, 500, revision="bad"), (1, 0, 0)),
        ("while a killed pod was missed", request(34.0, 503, revision=""), (0, 1, 0)),
        ("sent before the kill, ended by it", Record(1, 25.0, 25.0, 31.0, 0, "reset", ""), (0, 1, 0)),
        ("long after it", request(60.0, 503, revision=""), (0, 0, 1)),
        ("a good version's error", request(10.0, 500), (0, 0, 1)),
        ("no answer", request(10.0, 0, "timeout", ""), (0, 0, 1)),
    ],
)
def test_whose_a_bad_response_is(why: str, record: Record, expected: tuple[int, int, int]) -> None:
    """Only what nothing explains counts against us."""
    seen = history()
    seen.traffic["east"].records.append(record)
    bad = attributed("east", seen)
    assert (bad.own, bad.of_lost_pods, len(bad.unexplained)) == expected, why


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda seen: seen.told.append(Told("east", "aborted", "it stayed")), "it stayed"),
        (lambda seen: seen.broken.append("two canaries"), "two canaries"),
        (lambda seen: seen.traffic["east"].records.append(request(90.0, 503)), "nothing explains"),
        (lambda seen: seen.traffic["east"].records.pop(), "not counted"),
        (lambda seen: seen.restarts.update({OPERATOR: 1}), "restarted"),
        (lambda seen: seen.tracebacks.update({AUTOSCALER: 2}), "tracebacks"),
        (lambda seen: seen.rest_writes.update({OPERATOR: 3}), "in the rest"),
        (lambda seen: seen.vitals.clear(), "long enough"),
        (lambda seen: seen.vitals.extend(vitals(OPERATOR, *range(100, 200))), "grows"),
    ],
)
def test_what_is_not_well_is_said(change: object, said: str) -> None:
    """In a sentence each."""
    seen = history()
    change(seen)  # type: ignore[operator]
    summary = summarise(seen, seed=1)
    assert any(said in one for one in shortcomings(summary))
    assert said in markdown(summary)


def test_an_interrupted_soak_is_reported() -> None:
    """With what there is: here nothing."""
    assert "did not come to a rest" in markdown(summarise(History(), seed=1))


def test_growth_is_of_one_process() -> None:
    """What an earlier one took is nothing to the last; its own first third is left out."""
    seen = [
        *vitals(OPERATOR, *([400.0] * 9)),
        *vitals(OPERATOR, 50, 80, 90, 100, 100, 101, 101, 102, 102, process="2"),
    ]
    grown = growth(seen, OPERATOR)
    assert grown is not None
    assert grown["rss_mebibytes"] == [100.0, 102.0]
    assert grown["leaks"] == []
    assert growth(seen[:5], OPERATOR) is None


def test_a_page_is_read() -> None:
    """Memory in MiB."""
    page = "process_resident_memory_bytes 1.048576e+08\nprocess_open_fds 21\nasyncio_tasks 33\nprocess_start_time_seconds 1.5\n"
    assert vital(OPERATOR, page, 3.0) == Vital(
        3.0, OPERATOR, "1.50", {"rss_mebibytes": 100.0, "files": 21.0, "tasks": 33.0}
    )


def test_every_key_is_documented() -> None:
    """In the section of the README that is about this command."""
    section = README.read_text().partition("-m loadtests.soak`")[2].partition("\n## ")[0]
    for key in summarise(history(), seed=1):
        assert f"`{key}`" in section, key

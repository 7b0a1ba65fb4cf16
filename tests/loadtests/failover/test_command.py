"""The command ends as it should, whatever happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loadtests.demo.setup import SetupError
from loadtests.failover import command
from loadtests.failover.cases import Case
from loadtests.failover.command import MOST_EMPTY, MOST_PROBLEMS, Findings
from loadtests.failover.phases import Course
from loadtests.failover.played import Loss, Played
from localcluster.progress import Progress
from tests.loadtests.setting_up import starting_raises, stopped_clusters


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Run directories whose cluster was stopped; nothing is."""
    return stopped_clusters(monkeypatch, command)


def run(tmp_path: Path, *arguments: str) -> int:
    """Run it on folders of its own."""
    return command.main([*arguments, "--run-dir", str(tmp_path / "cluster"), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "x"], "committed"),
        (["--fault", "x"], "frozen"),
        (["--program", "x"], "autoscaler"),
        (["--only", "rise", "--fault", "x"], "partitioned"),
    ],
)
def test_what_cannot_be_lost_is_refused(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what is possible instead."""
    with pytest.raises(SystemExit):
        run(tmp_path, *arguments)

    assert says in capsys.readouterr().err


def test_a_set_up_that_fails_is_said(
    tmp_path: Path,
    stopped: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit status 1, the cluster stopped."""
    starting_raises(monkeypatch, command, SetupError("no ports"))

    assert run(tmp_path) == 1
    assert "no ports" in capsys.readouterr().err
    assert stopped == [tmp_path / "cluster"] * 2


def test_an_interruption_tidies_up(
    tmp_path: Path, stopped: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 130, the cluster stopped."""
    starting_raises(monkeypatch, command, KeyboardInterrupt())

    assert run(tmp_path) == 130
    assert stopped[-1] == tmp_path / "cluster"


class Courses:
    """A player that plays as it is told."""

    def __init__(self, hits: bool = True, problem: str = "") -> None:
        self.hits, self.problem = hits, problem
        self.played: list[tuple[Course, list[Case]]] = []
        self.served_anew = 0

    async def play(self, course: Course, cases: list[Case]) -> Played:
        self.played.append((course, cases))
        losses = [Loss(case, "x_1", 1.0, 2.0) for case in cases] if self.hits else []
        return Played(course, 0.0, 1.0, losses, None if self.problem else {}, self.problem)

    async def serve_anew(self) -> None:
        self.served_anew += 1


async def play(tmp_path: Path, courses: Courses, pending: list[Case]) -> tuple[Findings, dict[str, Any]]:
    """What is found, and the summary that was written last."""

    async def first_answer() -> None:
        """It comes at once."""

    findings = Findings(tmp_path, pending=pending)
    await command._play(
        courses,  # type: ignore[arg-type]
        Progress(),
        findings,
        tmp_path / "audit.log",
        first_answer,
    )
    return findings, json.loads((tmp_path / "summary.json").read_text())


ABORTS = [Case("abort", "operator", "killed"), Case("abort", "operator", "frozen")]
SURGES = [Case("rise", "autoscaler", "killed")]


async def test_each_course_is_first_played_as_it_is(tmp_path: Path) -> None:
    """Then with leaders lost, until none is left to be lost; it is written down after each."""
    courses = Courses()

    findings, summary = await play(tmp_path, courses, [*ABORTS, *SURGES])

    assert courses.played == [
        ("aborted", []),
        ("aborted", ABORTS[:1]),
        ("aborted", ABORTS[1:]),
        ("surge", []),
        ("surge", SURGES),
    ]
    assert (findings.pending, summary["not_reached"], len(summary["courses"])) == ([], [], 5)
    assert (tmp_path / "report.md").exists()


async def test_what_is_never_reached_is_given_up(tmp_path: Path) -> None:
    """After some courses in a row; the rest goes on."""
    courses = Courses(hits=False)

    _, summary = await play(tmp_path, courses, [*ABORTS[:1], *SURGES])

    assert [course for course, _ in courses.played] == ["aborted"] * (1 + MOST_EMPTY) + ["surge"] * (
        1 + MOST_EMPTY
    )
    assert summary["not_reached"] == ["operator killed at abort", "autoscaler killed at rise"]


async def test_a_course_that_does_not_end_costs_its_service(tmp_path: Path) -> None:
    """A new one takes its place; after some of them the rest is given up."""
    courses = Courses(problem="not over")

    findings, summary = await play(tmp_path, courses, list(SURGES))

    assert courses.served_anew == MOST_PROBLEMS
    assert findings.pending == SURGES
    assert summary["failures"] == ["surge: not over"] * MOST_PROBLEMS

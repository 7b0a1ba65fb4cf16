"""The command ends as it should, whatever happens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.demo.setup import SetupError
from loadtests.soak import command
from loadtests.soak.history import History, Traffic
from loadtests.soak.stage import StoryError
from tests.loadtests.setting_up import starting_raises, stopped_clusters


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Run directories whose cluster was stopped; nothing is."""
    return stopped_clusters(monkeypatch, command)


def run(tmp_path: Path, *arguments: str) -> int:
    """Run it on folders of its own."""
    return command.main([*arguments, "--run-dir", str(tmp_path / "cluster"), "--out", str(tmp_path / "out")])


def test_no_time_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what is expected."""
    with pytest.raises(SystemExit):
        run(tmp_path, "--minutes", "0")
    assert "--minutes is more than 0" in capsys.readouterr().err


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


def test_what_ends_a_soak_early_leaves_a_report(
    tmp_path: Path, stopped: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1; what was seen in hours is not lost."""

    async def soak(_: command.Options, __: object, history: History) -> None:
        history.traffic["east"] = Traffic(sent=3)
        raise StoryError("it never became stable")

    monkeypatch.setattr(command, "_soak", soak)

    assert run(tmp_path) == 1
    assert "error: it never became stable" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["requests"] == 3


def test_an_interruption_leaves_a_report(
    tmp_path: Path, stopped: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 130, the cluster stopped, what was seen written down."""
    starting_raises(monkeypatch, command, KeyboardInterrupt())

    assert run(tmp_path, "--seed", "7") == 130
    assert "interrupted" in capsys.readouterr().err
    assert stopped == [tmp_path / "cluster"] * 2
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["seed"] == 7

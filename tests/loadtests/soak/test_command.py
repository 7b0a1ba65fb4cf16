"""The command ends as it should, whatever happens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.demo.setup import SetupError
from loadtests.soak import command


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Run directories whose cluster was stopped; nothing is."""
    found: list[Path] = []
    monkeypatch.setattr(command.setup, "stop_cluster", found.append)
    monkeypatch.setattr(command, "ignore", lambda: None)
    return found


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

    async def start(_: Path) -> None:
        raise SetupError("no ports")

    monkeypatch.setattr(command.setup, "start_cluster", start)

    assert run(tmp_path) == 1
    assert "no ports" in capsys.readouterr().err
    assert stopped == [tmp_path / "cluster"] * 2


def test_an_interruption_leaves_a_report(
    tmp_path: Path, stopped: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 130, the cluster stopped, what was seen written down."""

    async def start(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command.setup, "start_cluster", start)

    assert run(tmp_path, "--seed", "7") == 130
    assert "interrupted" in capsys.readouterr().err
    assert stopped == [tmp_path / "cluster"] * 2
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["seed"] == 7

"""The command ends as it should, whatever happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loadtests.scale import command, stage
from localcluster.up import StartError


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Run directories whose cluster was stopped; nothing is."""
    found: list[Path] = []

    def stop(run_dir: Path, _: Any) -> bool:
        found.append(run_dir)
        return True

    monkeypatch.setattr(command.running, "stop", stop)
    monkeypatch.setattr(command, "ignore", lambda: None)
    return found


def run(tmp_path: Path, *arguments: str) -> int:
    """Run it on folders of its own."""
    return command.main([*arguments, "--run-dir", str(tmp_path / "cluster"), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("arguments", "says"), [(["--services", "3"], "expected 16"), (["--only", "x"], "storm")]
)
def test_what_cannot_be_measured_is_refused(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the flag and what is expected instead."""
    with pytest.raises(SystemExit):
        run(tmp_path, *arguments)

    assert says in capsys.readouterr().err


def test_what_fails_is_reported_and_the_rest_goes_on(
    tmp_path: Path, stopped: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 1, both failures in the report, the cluster stopped."""

    def start(*_: Any) -> None:
        raise StartError("no ports")

    monkeypatch.setattr(stage, "start", start)

    assert run(tmp_path, "--only", "arrivals", "--only", "storm") == 1
    failures = json.loads((tmp_path / "out" / "summary.json").read_text())["failures"]
    assert failures == ["storm: no ports", "arrivals: no ports"]
    assert "no ports" in (tmp_path / "out" / "report.md").read_text()
    assert stopped[-1] == tmp_path / "cluster"


def test_an_interruption_tidies_up(
    tmp_path: Path, stopped: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 130, the cluster stopped, and what was measured before is kept."""

    def start(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "start", start)

    assert run(tmp_path, "--only", "storm") == 130
    assert stopped[-1] == tmp_path / "cluster"

"""The command: what it prints and writes, and what it says of input that it cannot use."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from autoscaler.replay.command import configure, main, run
from tests.autoscaler.replay.runs import simulated


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated run as a file, cut after ten minutes."""
    lines = simulated().lines
    cut = [number for number, line in enumerate(lines) if line.startswith('{"at"')][40]
    path = tmp_path_factory.mktemp("recording") / "run.jsonl"
    path.write_text("".join(lines[:cut]))
    return path


def test_a_recording_is_replayed_and_reported(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table, the model's assumptions, and four files."""
    assert main(["run", str(recording), "--out", str(tmp_path / "out"), "--verify"]) == 0
    printed = capsys.readouterr().out
    assert "sim/digits: 99% within 500 ms" in printed
    assert "40 decisions were recorded; 0 of them replay as other ones." in printed
    assert "are modelled, not known" in printed
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["decisions_compared"], summary["decisions_differing"]) == (40, 0)
    (target,) = summary["targets"]
    assert list(target["policies"]) == ["recorded", "serving-autoscaler", "hpa at 80%", "keda at 80%"]
    page = (tmp_path / "out" / "sim-digits.html").read_text()
    assert page.count("<svg") == 3
    assert "http" not in page.replace("http-equiv", "")
    decisions = (tmp_path / "out" / "decisions.txt").read_text().splitlines()
    assert len(decisions) == target["policies"]["serving-autoscaler"]["scalings"]
    assert all("→" in line for line in decisions)
    assert main(["run", str(recording), "--out", str(tmp_path / "out")]) == 0  # again, over what is there


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hpa-utilization-percent", "0"], "--hpa-utilization-percent 0: must be from 1 to 100"),
        (["--keda-requests-per-second", "0"], "--keda-requests-per-second 0: must be above 0"),
        (["--peer", "faro=1"], "--peer faro=1: must be one of aibrix-apa, "),
        (["--peer", "static"], "--peer static: must be NAME=NUMBER"),
        (["--warm-up-hours", "9"], "--warm-up-hours 9: the recording is not that long"),
    ],
)
def test_bad_options_are_named(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    """In one line, with exit code 2 and nothing written."""
    assert main(["run", str(recording), "--out", str(tmp_path / "out"), *options]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert not (tmp_path / "out").exists()


def test_a_bad_recording_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And one that is not there."""
    (tmp_path / "bad").write_text("x\n")
    assert main(["run", str(tmp_path / "bad")]) == 2
    assert main(["run", str(tmp_path / "none")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "bad, line 1: not JSON" in first
    assert "No such file" in second


GOOD = """\
apiVersion: serving-operator.dev/v1alpha1
kind: InferenceAutoscaler
metadata: {name: a}
spec:
  scaleTargetRef: {name: a}
  maxReplicas: 3
  objective: {thresholdMilliseconds: 100}
  signals: {profile: gateway}
"""


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (GOOD, ["--to", "2025-01-01T00:00:00Z"], "--to: must be after --from"),
        (GOOD, ["--step-seconds", "61"], "--step-seconds 61: must be from 1 to 60"),
        (GOOD, ["--prometheus-url", "prometheus"], "--prometheus-url 'prometheus': must be http"),
        ("kind: Pod\n", [], "every object must be an InferenceAutoscaler"),
        ("", [], "has no object"),
        ("a: [", [], "not YAML"),
        (GOOD.replace("maxReplicas: 3", "minReplicas: 0"), [], "maxReplicas"),
    ],
)
def test_what_cannot_be_exported_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, options: list[str], message: str
) -> None:
    """Before anything is asked or written."""
    (tmp_path / "a.yaml").write_text(text)
    arguments = {
        "--autoscaler": str(tmp_path / "a.yaml"),
        "--from": "2026-01-01T00:00:00Z",
        "--to": "2026-01-01T01:00:00Z",
        "--out": str(tmp_path / "out.jsonl"),
        "--prometheus-url": "http://127.0.0.1:9",
    } | dict(zip(options[::2], options[1::2], strict=True))
    assert main(["export", *(part for pair in arguments.items() for part in pair)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


def test_a_prometheus_that_does_not_answer_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 1, and no file that looks whole."""
    (tmp_path / "a.yaml").write_text(GOOD)
    times = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T01:00:00Z"]
    where = ["--prometheus-url", "http://127.0.0.1:9", "--out", str(tmp_path / "out.jsonl")]
    assert main(["export", "--autoscaler", str(tmp_path / "a.yaml"), *times, *where]) == 1
    assert capsys.readouterr().err.startswith("error: Prometheus: Unreachable")
    assert not (tmp_path / "out.jsonl").exists()


def test_another_command_line_can_hold_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a subcommand of its own."""
    parser = argparse.ArgumentParser()
    configure(parser.add_subparsers().add_parser("replay"))
    assert run(parser.parse_args(["replay", "run", str(tmp_path / "none")])) == 2
    assert "No such file" in capsys.readouterr().err

"""Runs of one code add up, and each failure is counted by its test."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

from tests.flake import CODE, Run, known, summary
from tests.ladder import ROOT

CLEAN = Run("abc", "system", 10.0, 5, [])
SHAKY = Run("abc", "system", 30.0, 4, ["tests.system.test_a.test_b"])
ALONE = Run("abc", "disruptive", 60.0, 1, [])
EARLIER = Run("abc", "system", 12.0, 5, [])
OTHER = Run("def", "system", 20.0, 5, [])


def test_only_runs_of_this_code_are_known(tmp_path: Path) -> None:
    """Of this clone and of others, each once; changed code, other rungs or no file begin anew."""
    path, kept = tmp_path / "runs.jsonl", tmp_path / "kept.jsonl"

    assert known((kept, path), "abc", ["system"]) == []

    path.write_text("".join(json.dumps(asdict(run)) + "\n" for run in (CLEAN, OTHER, ALONE, SHAKY)))
    kept.write_text("".join(json.dumps(asdict(run)) + "\n" for run in (CLEAN, EARLIER)))

    assert known((kept, path), "abc", ["system"]) == [CLEAN, EARLIER, SHAKY]
    assert known((path,), "abc", ["disruptive", "system"]) == [CLEAN, ALONE, SHAKY]
    assert known((path,), None, ["system"]) == []


def test_the_code_is_there() -> None:
    """Something is matched by each of the patterns."""
    for pattern in CODE:
        listed = subprocess.run(
            ["git", "ls-files", "--", pattern.removeprefix(":!")], cwd=ROOT, capture_output=True
        )
        assert listed.stdout, pattern


def test_the_summary_names_what_failed() -> None:
    """Its keys are what programs read: per rung how many runs, how many were clean, and what failed how often."""
    assert summary("abc", [CLEAN, SHAKY, ALONE, SHAKY]) == {
        "code": "abc",
        "runs": {"disruptive": 1, "system": 3},
        "runs_clean": {"disruptive": 1, "system": 1},
        "tests_passed": 14,
        "failures": {"tests.system.test_a.test_b": 2},
        "seconds_median": {"disruptive": 60.0, "system": 30.0},
    }

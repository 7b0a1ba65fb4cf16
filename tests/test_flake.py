"""Runs of one commit add up, and each failure is counted by its test."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from tests.flake import Run, known, summary

CLEAN = Run("abc", "system", 10.0, 5, [])
SHAKY = Run("abc", "system", 30.0, 4, ["tests.system.test_a.test_b"])
ALONE = Run("abc", "disruptive", 60.0, 1, [])
OTHER = Run("def", "system", 20.0, 5, [])


def test_only_runs_of_this_commit_are_known(tmp_path: Path) -> None:
    """An interrupted command goes on where it stopped; a changed tree, other rungs or no file begin anew."""
    path = tmp_path / "runs.jsonl"

    assert known(path, "abc", ["system"]) == []

    path.write_text("".join(json.dumps(asdict(run)) + "\n" for run in (CLEAN, OTHER, ALONE, SHAKY)))

    assert known(path, "abc", ["system"]) == [CLEAN, SHAKY]
    assert known(path, "abc", ["disruptive", "system"]) == [CLEAN, ALONE, SHAKY]
    assert known(path, "abc-dirty", ["system"]) == []


def test_the_summary_names_what_failed() -> None:
    """Its keys are what programs read: per rung how many runs, how many were clean, and what failed how often."""
    assert summary("abc", [CLEAN, SHAKY, ALONE, SHAKY]) == {
        "commit": "abc",
        "runs": {"disruptive": 1, "system": 3},
        "runs_clean": {"disruptive": 1, "system": 1},
        "tests_passed": 14,
        "failures": {"tests.system.test_a.test_b": 2},
        "seconds_median": {"disruptive": 60.0, "system": 30.0},
    }

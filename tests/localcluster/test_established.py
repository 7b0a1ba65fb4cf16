"""Waiting for CRDs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from localcluster import established

KUBECTL = """
import pathlib, sys
asked = pathlib.Path(sys.argv[1])
times = len(asked.read_text()) if asked.exists() else 0
asked.write_text("x" * (times + 1))
if times < int(sys.argv[2]):
    sys.exit("error: .status.conditions accessor error: <nil> is of the type <nil>, expected []interface{}")
if sys.argv[3] == "missing":
    sys.exit('Error from server (NotFound): "x" not found')
"""


def command(path: Path, failures: int, then: str) -> list[str]:
    """What stands in for kubectl, which says so often that there are no conditions yet."""
    return [sys.executable, "-c", KUBECTL, str(path), str(failures), then]


def test_a_crd_without_conditions_is_asked_again(tmp_path: Path) -> None:
    """The API server has stored it and not looked at it yet, for which kubectl gives up."""
    established.wait(command(tmp_path / "asked", 2, "there"), "crd/x")
    assert (tmp_path / "asked").read_text() == "xxx"


def test_another_complaint_is_told(tmp_path: Path) -> None:
    """At once, in kubectl's words."""
    with pytest.raises(TimeoutError, match="not found"):
        established.wait(command(tmp_path / "asked", 0, "missing"), "crd/x")


def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    """Nor where there never are any."""
    with pytest.raises(TimeoutError, match="accessor error"):
        established.wait(command(tmp_path / "asked", 99, "there"), "crd/x", seconds=0.1)

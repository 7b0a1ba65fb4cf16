"""The commands that are printed and documented work as they stand."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.demo.command import what_next
from localcluster.paths import REPOSITORY, this_python

BARE = re.compile(r"(?<![\w/}])python[\d.]* -m\b")
KINDS = (".md", ".py", ".yaml", ".toml")


def sources() -> Iterator[Path]:
    """Every text of ours that could name a command."""
    for top in REPOSITORY.iterdir():
        if top.is_dir() and not top.name.startswith(".") and top.name != "out":
            yield from (path for path in top.rglob("*") if path.suffix in KINDS)
        elif top.suffix in KINDS:
            yield top


def test_no_command_begins_with_a_bare_python() -> None:
    """The dependencies are in `.venv`: another Python than that knows none of them."""
    found = list(sources())
    assert len(found) > 200
    assert [str(path) for path in found if BARE.search(path.read_text(encoding="utf-8"))] == []


def test_this_python_is_relative_within_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the clone it is short; elsewhere it is absolute, and quoted where a shell asks for that."""
    python = tmp_path / "my clone" / ".venv" / "bin" / "python"
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.chdir(tmp_path)
    assert shlex.split(this_python()) == ["my clone/.venv/bin/python"]
    python.parent.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "my clone")
    assert this_python() == ".venv/bin/python"
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert this_python() == "/usr/bin/python3"


@pytest.mark.parametrize(
    ("run_dir", "flag"), [("out/cluster", ""), ("/somewhere/else", " --run-dir /somewhere/else")]
)
def test_the_demo_ends_with_commands_that_work(run_dir: str, flag: str) -> None:
    """Each hint names this interpreter, and the run directory where it is not the usual one."""
    text = what_next("http://127.0.0.1:1", "http://127.0.0.1:2", Path(run_dir).resolve())
    assert f'eval "$({this_python()} -m localcluster env{flag})"' in text
    assert text.endswith(f"{this_python()} -m localcluster down{flag}")

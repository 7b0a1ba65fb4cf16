"""The model server's interpreter: the machine's own, else uv's, else an error before anything is built."""

import io
import sys
from pathlib import Path

import pytest

from localcluster import binaries, environments
from localcluster.cluster import NodeCapacity
from localcluster.environments import EnvironmentBuildError, model_server_base
from localcluster.progress import Progress
from localcluster.up import start
from localcluster.versions import Version

REMEDY = r"Install one so that `python3\.11` or `python3\.12` is on PATH"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, of a machine whose every Python is 3.13."""
    found = tmp_path / "bin"
    found.mkdir()
    monkeypatch.setenv("PATH", str(found))
    monkeypatch.setattr(sys, "executable", str(found / "python3"))
    monkeypatch.setattr(environments, "version_of", lambda _: Version(3, 13))
    return found


def uv(folder: Path, script: str) -> None:
    """A uv beside this interpreter that notes what it is asked, and does as told."""
    path = folder / "uv"
    path.write_text(f'#!/bin/sh\necho "$*" >> {folder.parent}/asked\n{script}\n')
    path.chmod(0o755)


def test_the_machines_own_interpreter_is_taken(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one of a supported version is on PATH, uv is not asked."""
    uv(folder, "exit 1")
    (folder / "python3.12").write_text("")
    (folder / "python3.12").chmod(0o755)
    monkeypatch.setattr(environments, "version_of", lambda path: Version(3, int(path.name[-2:])))
    assert model_server_base(tmp_path, Progress(io.StringIO())) == folder / "python3.12"
    assert not (tmp_path / "asked").exists()


def test_uv_supplies_what_the_machine_lacks(folder: Path, tmp_path: Path) -> None:
    """It installs a Python that the model server supports, and says where that is."""
    uv(folder, 'test "$2" = install || echo /managed/bin/python3.12')
    said = io.StringIO()
    assert model_server_base(tmp_path, Progress(said)) == Path("/managed/bin/python3.12")
    assert "uv installs 3.12" in said.getvalue()
    assert (tmp_path / "asked").read_text().splitlines() == [
        "python install --no-progress --no-bin 3.12",
        "python find --managed-python 3.12",
    ]


@pytest.mark.parametrize(("script", "cause"), [("echo no network >&2; exit 2", "no network"), ("", "no uv")])
def test_without_either_the_remedy_is_named(folder: Path, tmp_path: Path, script: str, cause: str) -> None:
    """The message says what to install, and why uv could not help."""
    if script:
        uv(folder, script)
    with pytest.raises(EnvironmentBuildError, match=f"(?s){REMEDY}.*{cause}"):
        model_server_base(tmp_path, Progress(io.StringIO()))


def test_an_environment_that_is_there_needs_no_interpreter(folder: Path, tmp_path: Path) -> None:
    """Once it is built, the machine's Python may change."""
    directory = environments.environment_dir(tmp_path, "model-server", environments.MODEL_SERVER_LOCK)
    directory.mkdir(parents=True)
    (directory / "complete").touch()
    assert model_server_base(tmp_path, Progress(io.StringIO())) is None


def test_up_fails_before_it_builds(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for minutes of building in order to learn that an interpreter is missing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(binaries, "control_plane", lambda *_: pytest.fail("the control plane was asked for"))
    with pytest.raises(EnvironmentBuildError, match=REMEDY):
        start(tmp_path / "run", NodeCapacity(cpu="1", memory="1Gi", gpus=0), Progress(io.StringIO()))

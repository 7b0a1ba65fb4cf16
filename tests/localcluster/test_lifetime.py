"""A cluster's life: `up` twice is one cluster, and what `up` began is gone when it is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster import running, tether
from localcluster.paths import REPOSITORY
from tests.localcluster.waiting import alive, until

pytestmark = pytest.mark.system


def command(verb: str, run_dir: Path) -> list[str]:
    """A command line of the local cluster."""
    return [sys.executable, "-m", "localcluster", verb, "--run-dir", str(run_dir)]


def processes(run_dir: Path) -> set[int]:
    """Everything alive that belongs to the cluster in a run directory."""
    return {pid for pid in tether.marked_processes(run_dir) if alive(pid)}


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    """A run directory of the test's own, beside any other cluster's; nothing runs there afterwards."""
    path = tmp_path / "cluster"
    yield path
    subprocess.run(command("down", path), cwd=REPOSITORY, check=True)


def test_a_second_up_changes_nothing(run_dir: Path) -> None:
    """It returns well and leaves each process as it is."""
    subprocess.run(command("up", run_dir), cwd=REPOSITORY, check=True)
    status, before = running.read_status(run_dir), processes(run_dir)
    assert {entry["state"] for entry in status["components"].values()} == {"Ready"}

    subprocess.run(command("up", run_dir), cwd=REPOSITORY, check=True)

    assert running.read_status(run_dir) == status
    assert processes(run_dir) == before


def test_an_interrupted_up_leaves_no_process(run_dir: Path) -> None:
    """Ctrl-C while the components start, and a second one at once, end with none of them."""
    with subprocess.Popen(command("up", run_dir), cwd=REPOSITORY) as up:
        until(lambda: processes(run_dir), "components start")
        up.send_signal(signal.SIGINT)
        up.send_signal(signal.SIGINT)

    assert up.returncode == 130
    assert processes(run_dir) == set()
    assert not running.is_running(run_dir)

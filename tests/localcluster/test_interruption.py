"""Whoever ends a command, by Ctrl-C or by SIGTERM and however often, leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from localcluster.paths import REPOSITORY
from tests.localcluster.waiting import until

STAGES = """
import asyncio, pathlib, sys, time
here = pathlib.Path(sys.argv.pop())
def tidy_up(*_):
    (here / "tidying").touch()
    while not (here / "go").exists(): time.sleep(0.02)
    (here / "tidied").touch()
"""
BLOCK = """
from localcluster.interruption import first_only, ignore
with first_only():
    try:
        (here / "ready").touch()
        time.sleep(600)
    finally:
        ignore()
        tidy_up()
"""
DEMO = """
from loadtests.demo import command, setup
async def start_cluster(_):
    (here / "ready").touch()
    await asyncio.sleep(600)
setup.start_cluster, setup.stop_cluster = start_cluster, tidy_up
sys.exit(command.main(["--run-dir", str(here / "run"), "--out", str(here / "demo")]))
"""
LADDER = """
from tests import ladder
def cluster(verb, _):
    if verb == "down": tidy_up()
busy = "import pathlib, sys, time; pathlib.Path(sys.argv[1], 'ready').touch(); time.sleep(600)"
ladder.OUT, ladder.cluster = here, cluster
ladder.STEPS["contract"] = [[sys.executable, "-c", busy, str(here)]]
sys.argv[1:] = ["--only", "contract"]
sys.exit(ladder.main())
"""


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("script", "status"),
    [(BLOCK, -signal.SIGINT), (DEMO, 130), (LADDER, 130)],
    ids=["block", "demo", "ladder"],
)
def test_the_first_signal_begins_the_tidying_up_and_no_other_ends_it(
    script: str, status: int, first: signal.Signals, tmp_path: Path
) -> None:
    """Demo and test ladder stop their cluster after SIGTERM as after Ctrl-C, and go on with that after a second one."""
    command = [sys.executable, "-c", STAGES + script, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            until((tmp_path / "ready").exists, "ready")
            process.send_signal(first)
            until((tmp_path / "tidying").exists, "tidying up")
            for number in (signal.SIGINT, signal.SIGTERM):
                process.send_signal(number)
            (tmp_path / "go").touch()
            process.wait()
        finally:
            process.kill()
    assert (tmp_path / "tidied").exists()
    assert process.returncode == status

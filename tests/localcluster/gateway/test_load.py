"""No request is lost while routes and pods change, nor while the gateway's controller is killed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from localcluster.up import read_status
from tests.clusters import own_run_dir
from tests.localcluster.gateway.load_proof import Result, prove

pytestmark = pytest.mark.system
SECONDS = 15.0
RATE = 100.0


@pytest.fixture
def run_dir() -> Path:
    """The cluster that the ladder started, or the one that `make cluster-up` did."""
    return own_run_dir()


def check(result: Result) -> None:
    """Every request was answered, by the revisions that the acknowledged weights name."""
    assert result.bad == []
    assert result.codes == {"200": result.requests}
    assert result.route_writes > 0
    assert result.settled[0, "a"] == 0
    assert result.settled[100, "b"] == 0


async def test_no_request_is_dropped_while_weights_and_pods_change(run_dir: Path) -> None:
    """Weights flip and pods are replaced under open-loop load; every response is a 200 of the right revision."""
    check(await prove(run_dir, SECONDS, RATE))


@pytest.mark.disruptive
async def test_traffic_outlives_a_killed_controller(run_dir: Path) -> None:
    """After kill -9 Envoy serves on, and the next controller takes over what it finds.

    Pods that leave meanwhile serve on for longer than a controller takes to start on a busy machine.
    """
    before = read_status(run_dir)["components"]

    async def kill() -> None:
        await asyncio.sleep(SECONDS / 3)
        os.kill(before["gateway"]["pid"], signal.SIGKILL)

    result, _ = await asyncio.gather(prove(run_dir, SECONDS, RATE, serves_after_leaving=2 * SECONDS), kill())
    check(result)
    after = read_status(run_dir)["components"]
    assert after["gateway"]["restarts"] > before["gateway"]["restarts"]
    assert after["envoy"]["pid"] == before["envoy"]["pid"]

"""A real Prometheus of a test's own: the local cluster's binary, which scrapes nothing and takes what it is sent."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcluster.cluster import Cluster
from localcluster.ports import free_ports
from tests.clusters import own_run_dir


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Its address, while it runs; its files are in `folder`."""
    cluster = Cluster.load(own_run_dir())
    config = folder / "prometheus.yaml"
    config.write_text("global: {}\n")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program(cluster),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-remote-write-receiver",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        until_ready(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def program(cluster: Cluster) -> str:
    """The binary that the local cluster runs."""
    components = json.loads((cluster.run_dir / "components.json").read_text())
    (found,) = (component["argv"][0] for component in components if component["name"] == "prometheus")
    return str(found)


def until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until Prometheus answers."""
    while process.poll() is None:
        try:
            if httpx.get(f"{url}/-/ready").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("Prometheus has ended")


def queried(url: str, text: str, at: float) -> list[Any]:
    """An instant query."""
    answer = httpx.post(f"{url}/api/v1/query", data={"query": text, "time": str(at)})
    assert answer.is_success, answer.text
    result: list[Any] = answer.json()["data"]["result"]
    return result

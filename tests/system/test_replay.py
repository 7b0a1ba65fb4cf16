"""A live run, recorded: the same tick decides the same from the file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from autoscaler.loop import Loop
from autoscaler.metrics import Metrics
from autoscaler.replay.command import main
from autoscaler.replay.recording.recorder import Recorder
from localcluster.cluster import Cluster as LocalCluster
from serving_io.cluster import Cluster, Listing, WatchEvent
from serving_io.kinds import Kind
from serving_io.prometheus import Prometheus, PrometheusAccess
from tests.system.kube import Kube
from tests.system.load import Load
from tests.system.services import first_revision, web_service

RECORDED_SECONDS = 60.0
QUIET_RATE, HIGH_RATE = 2.0, 14.0


class ReadOnly:
    """A cluster whose objects are read, and that is left as it is."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.field_manager, self.instance = cluster.field_manager, cluster.instance

    async def served(self, kind: Kind) -> bool:
        return await self._cluster.served(kind)

    async def list(self, *arguments: Any, **more: Any) -> Listing:
        return await self._cluster.list(*arguments, **more)

    def watch(self, *arguments: Any) -> AsyncGenerator[WatchEvent, None]:
        return self._cluster.watch(*arguments)

    async def apply_scale(self, *arguments: Any, **more: Any) -> None:
        """Somebody else scales."""

    async def apply_status(self, manifest: Any) -> None:
        """Somebody else writes it."""

    async def create(self, manifest: Any) -> Any:
        """Somebody else tells of it."""
        return manifest


async def record(kube: Kube, cluster: LocalCluster, namespace: str, path: Path) -> None:
    """Let a second autoscaler look on for a while, from its first tick."""
    prometheus = Prometheus(PrometheusAccess(cluster.prometheus_url))
    recorder = Recorder(path, most_megabytes=50)
    async with await Cluster.connect(field_manager="looks-on", instance="looks-on") as connected:
        loop = Loop(
            ReadOnly(connected),  # type: ignore[arg-type]
            prometheus,
            Metrics(CollectorRegistry()),
            namespaces=[namespace],
            recording=recorder,
        )
        try:
            await asyncio.wait_for(loop.run(), RECORDED_SECONDS)
        except TimeoutError:
            pass
        finally:
            prometheus.close()
            recorder.close()


@pytest.mark.lengthy
def test_a_recorded_live_run_replays_to_identical_decisions(
    kube: Kube, cluster: LocalCluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real API server's objects and the real Prometheus' answers, while the load rises."""
    host = f"{namespace}.example.com"
    first_revision(kube, namespace, web_service(host=host))
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    path = tmp_path / "live.jsonl.gz"
    with Load(cluster, host, rate=QUIET_RATE) as load:
        load.set_rate(HIGH_RATE)
        asyncio.run(record(kube, cluster, namespace, path))
    assert main(["run", str(path), "--out", str(tmp_path / "replay"), "--verify"]) == 0

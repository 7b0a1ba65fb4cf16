"""The shell: list, ask, tick, write, in virtual time against an API server and a Prometheus in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import looptime
import pytest
from prometheus_client import CollectorRegistry

from autoscaler.loop import Loop
from autoscaler.metrics import Metrics
from autoscaler.replay.faithful import differences, replayed
from autoscaler.replay.recording.decode import Decoder
from serving_io.cluster import Listing, WatchEvent
from serving_io.errors import Conflict, Forbidden, Unavailable
from serving_io.kinds import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, INFERENCE_AUTOSCALER, Kind
from tests.autoscaler.replay.runs import Lines
from tests.autoscaler.world import EPOCH, FakePrometheus, Revision, World


class MemoryCluster:
    """Lists a world's objects and carries writes out on it."""

    field_manager = "serving-autoscaler"
    instance = "test"

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: list[tuple[Any, ...]] = []
        self.refusal: Exception | None = None
        self.silent: list[dict[str, Any]] | None = None
        """The Deployments as a watch told them before it fell silent."""
        self.event_refusal: Exception | None = None
        self.is_overtaken = False
        """Whether somebody else writes each InferenceAutoscaler as soon as it has been read."""

    async def served(self, kind: Kind) -> bool:
        return False

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        reduced: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> Listing:
        if isinstance(self.refusal, Unavailable):
            raise self.refusal
        objects = self.world.objects()
        if self.silent is not None:
            objects = replace(objects, deployments=self.silent)
        found = {
            INFERENCE_AUTOSCALER: objects.autoscalers,
            DEPLOYMENT: objects.deployments,
            HORIZONTAL_POD_AUTOSCALER: objects.horizontal_pod_autoscalers,
        }
        if self.is_overtaken and kind == INFERENCE_AUTOSCALER:
            for revision in self.world.revisions.values():
                revision.version += 1
        typed = {"apiVersion": kind.api_version, "kind": kind.name}
        return Listing([reduced(typed | dict(item)) for item in found[kind]], "1")

    async def watch(
        self, kind: Kind, version: str, namespace: str | None = None
    ) -> AsyncGenerator[WatchEvent, None]:
        """Break at once: what changes is listed again."""
        raise Unavailable(0, "NoAnswer", "no watches here")
        yield

    async def apply_scale(
        self,
        kind: Kind,
        name: str,
        namespace: str,
        replicas: int,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.calls.append(("scale", name, replicas, uid, resource_version))
        self.world.revisions[name].ours = True
        self.world.scale(name, replicas)

    async def apply_status(self, manifest: dict[str, Any]) -> None:
        if self.refusal is not None:
            raise self.refusal
        revision = self.world.revisions[manifest["metadata"]["name"]]
        if manifest["metadata"]["resourceVersion"] != str(revision.version):
            raise Conflict(409, "Conflict", "the object has been modified")
        self.calls.append(("status", manifest["metadata"]["name"], manifest["metadata"]["uid"]))
        revision.status = manifest["status"]
        revision.version += 1

    async def create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        if self.event_refusal is not None:
            raise self.event_refusal
        self.calls.append(("event", manifest["reason"], manifest["type"], manifest["note"]))
        return manifest

    def of(self, what: str) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0] == what]


Running = tuple[MemoryCluster, FakePrometheus, CollectorRegistry]


@asynccontextmanager
async def running(world: World, recording: Lines | None = None) -> AsyncIterator[Running]:
    """A loop that ticks while the world's seconds pass with the event loop's."""
    cluster, prometheus, registry = MemoryCluster(world), FakePrometheus(world), CollectorRegistry()
    started = asyncio.get_running_loop().time()

    def clock() -> float:
        return EPOCH + asyncio.get_running_loop().time() - started

    async def seconds() -> None:
        while True:
            await asyncio.sleep(1)
            world._second()

    loop = Loop(
        cluster,  # type: ignore[arg-type]
        prometheus,
        Metrics(registry),
        tick_seconds=5,
        recording=recording,
        clock=clock,
    )
    tasks = [asyncio.create_task(seconds()), asyncio.create_task(loop.run())]
    try:
        yield cluster, prometheus, registry
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def virtual(scenario: Callable[[], Any]) -> None:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        runner.run(scenario())


def test_the_loop_takes_over_scales_and_tells() -> None:
    """First the field at its number with what it was read at, then decisions by uid, each with its event."""

    async def scenario() -> None:
        world = World(Revision("digits", service_seconds=0.1), rate=lambda at: 1.0 if at < 60 else 15.0)
        async with running(world) as (cluster, prometheus, _):
            await asyncio.sleep(200)
            scales = cluster.of("scale")
            assert scales[0] == ("scale", "digits", 1, "deploy-digits", "1")
            assert all(call[3:] == ("deploy-digits", None) for call in scales[1:])
            assert world.revisions["digits"].ready >= 2
            told = [call for call in cluster.of("event") if call[1] == "ScaledUp"]
            assert len(told) == len(scales) - 1
            assert "→" in told[0][3]
            assert all(call[2] == "ia-digits" for call in cluster.of("status"))
            assert len(prometheus.asked) <= 6 * 41

    virtual(scenario)


def test_steady_state_asks_and_writes_nothing() -> None:
    """A minute of constant load: questions, and not one write."""

    async def scenario() -> None:
        world = World(Revision("digits", service_seconds=0.1), rate=lambda _: 3.0)
        async with running(world) as (cluster, prometheus, _):
            await asyncio.sleep(400)
            cluster.calls.clear()
            prometheus.asked.clear()
            await asyncio.sleep(60)
            assert cluster.calls == []
            assert len(prometheus.asked) >= 55

    virtual(scenario)


@pytest.mark.parametrize(
    "refusal",
    [Conflict(409, "Conflict", "uid"), Unavailable(0, "NoAnswer", "gone")],
    ids=["precondition", "no API server"],
)
def test_refused_writes_are_decided_again(refusal: Exception) -> None:
    """A refusal costs ticks, never the loop: afterwards the same decision is carried out."""

    async def scenario() -> None:
        world = World(Revision("digits", service_seconds=0.1), rate=lambda at: 1.0 if at < 60 else 15.0)
        async with running(world) as (cluster, _, _):
            await asyncio.sleep(58)
            cluster.refusal = refusal
            await asyncio.sleep(60)
            assert world.revisions["digits"].replicas == 1
            cluster.refusal = None
            await asyncio.sleep(40)
            assert world.revisions["digits"].replicas >= 2

    virtual(scenario)


def test_an_event_that_is_refused_is_told_as_that(caplog: pytest.LogCaptureFixture) -> None:
    """What it tells of is done: nobody is told that it was not written."""

    async def scenario() -> None:
        world = World(Revision("digits", service_seconds=0.1), rate=lambda at: 1.0 if at < 60 else 15.0)
        async with running(world) as (cluster, _, _):
            cluster.event_refusal = Forbidden(403, "Forbidden", "exceeded quota: events")
            await asyncio.sleep(100)
            assert world.revisions["digits"].replicas >= 2

    virtual(scenario)
    assert "event ScaledUp could not be posted" in caplog.text
    assert "not written" not in caplog.text


def test_a_scaling_that_the_watch_does_not_tell_is_done_and_told_once() -> None:
    """While the Deployments' watch is silent, what was written counts; when it speaks again, what it says."""

    async def scenario() -> None:
        world = World(Revision("digits", service_seconds=0.1), rate=lambda at: 1.0 if at < 60 else 15.0)
        async with running(world) as (cluster, _, _):
            await asyncio.sleep(58)
            cluster.silent = list(world.objects().deployments)
            await asyncio.sleep(60)
            written = [call[2] for call in cluster.of("scale")]
            assert len(written) == len(set(written)) > 1
            assert (
                len([call for call in cluster.of("event") if call[1].startswith("Scaled")])
                == len(written) - 1
            )

            world.scale("digits", 1)
            cluster.silent = None
            await asyncio.sleep(40)
            assert world.revisions["digits"].replicas >= 2

    virtual(scenario)


def test_a_status_that_was_decided_on_an_older_state_is_not_written() -> None:
    """What a deposed leader sends late must not replace what its successor has said; the next tick decides again."""

    async def scenario() -> None:
        world = World(Revision("digits", service_seconds=0.1), rate=lambda _: 3.0)
        async with running(world) as (cluster, _, _):
            cluster.is_overtaken = True
            await asyncio.sleep(30)
            assert cluster.of("status") == []
            cluster.is_overtaken = False
            await asyncio.sleep(10)
            assert world.revisions["digits"].status["conditions"]

    virtual(scenario)


def test_an_unreachable_prometheus_is_a_condition_and_a_count() -> None:
    """Failed questions are counted by reason, and status says so."""

    async def scenario() -> None:
        world = World(Revision("digits", service_seconds=0.1), rate=lambda _: 5.0)
        world.outage = "Unreachable"
        async with running(world) as (cluster, _, registry):
            await asyncio.sleep(30)
            counted = registry.get_sample_value("serving_autoscaler_queries_total", {"result": "Unreachable"})
            assert counted is not None
            assert counted >= 5
            reasons = {c["reason"] for c in world.revisions["digits"].status["conditions"]}
            assert "PrometheusUnreachable" in reasons
            told = {"namespace": "demo", "autoscaler": "digits", "service": "digits"}
            told |= {"condition": "SignalsAvailable", "reason": "PrometheusUnreachable"}
            assert registry.get_sample_value("serving_autoscaler_condition", told) == 0
            assert [call[2] for call in cluster.of("scale")] == [1]

    virtual(scenario)


def test_series_of_a_target_end_with_it() -> None:
    """Metrics name namespace, autoscaler and service, and vanish when the target does."""

    async def scenario() -> None:
        world = World(Revision("digits", service_seconds=0.1, gpu=0.5), rate=lambda _: 5.0)
        labels = {"namespace": "demo", "autoscaler": "digits", "service": "digits"}
        async with running(world) as (_, _, registry):
            await asyncio.sleep(120)
            found = {
                name: registry.get_sample_value(f"serving_autoscaler_{name}", labels)
                for name in (
                    "arrivals_per_second",
                    "forecast_per_second",
                    "service_time_seconds",
                    "desired_replicas",
                    "ready_replicas",
                    "reserve_replicas",
                    "carries_percent",
                    "late_ratio",
                    "failed_ratio",
                    "bad_allowed_ratio",
                    "objective_seconds",
                    "gpu_utilization_ratio",
                    "weight_percent",
                    "signal_age_seconds",
                )
            }
            assert None not in found.values(), found
            assert found["bad_allowed_ratio"] == pytest.approx(0.01)
            assert found["arrivals_per_second"] == pytest.approx(5, abs=0.1)
            assert found["service_time_seconds"] == pytest.approx(0.1, abs=0.01)
            world.revisions.clear()
            await asyncio.sleep(10)
            assert registry.get_sample_value("serving_autoscaler_desired_replicas", labels) is None
            ended = [
                s for m in registry.collect() for s in m.samples if s.labels.get("autoscaler") == "digits"
            ]
            assert ended == []

    virtual(scenario)


def test_a_recorded_loop_replays_to_identical_decisions() -> None:
    """Also while the watch is silent after a write, and through an outage of Prometheus: every decision again."""
    recording = Lines()

    async def scenario() -> None:
        world = World(Revision("digits", service_seconds=0.1), rate=lambda at: 1.0 if at < 60 else 15.0)
        async with running(world, recording) as (cluster, _, _):
            await asyncio.sleep(58)
            cluster.silent = list(world.objects().deployments)
            await asyncio.sleep(42)
            cluster.silent = None
            await asyncio.sleep(20)
            world.outage = "Unreachable"
            await asyncio.sleep(60)
            world.outage = None
            await asyncio.sleep(60)

    virtual(scenario)
    found = list(replayed(Decoder("loop").moments(recording.lines)))
    assert len(found) >= 45
    assert all(moment.decided for moment, _ in found)
    assert [difference for moment, result in found for difference in differences(moment, result)] == []
    assert len({said for moment, _ in found for said in moment.decided.values()}) > 3

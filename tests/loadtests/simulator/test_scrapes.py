"""What simulated pods and gateways expose is what the autoscaler's profiles ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from autoscaler.signals.profiles import BUILT_IN, ENVOY, Metric, Profile
from autoscaler.signals.views import Gate
from loadtests.simulator.engine import Engine, Tokens
from loadtests.simulator.gateway import Gateway
from loadtests.simulator.quantiles import Quantiles
from loadtests.simulator.requests import Count
from loadtests.simulator.service import Load, Service
from loadtests.simulator.starts import fixed_start
from loadtests.simulator.world import World
from tests.loadtests.simulator.test_world import service

ENCODER = Engine(fixed_seconds=0.02, seconds_per_item=0.01, largest_batch=16)
LLM = Engine(0.02, 0.0005, 1e-4, 1e-6, largest_batch=32, iteration_tokens=2048, cache_tokens=100_000)
CHAT = Tokens(Quantiles((0, 1), (50, 150)), Quantiles((0, 1), (10, 50)))


def encoder(rates: list[float], **options: object) -> Service:
    """A batching pod takes 30 to 180 ms."""
    return service(
        rates, engine=ENCODER, profile="triton", load=Load(np.array(rates), 300.0, 1.0, 0.0), **options
    )


def chat(rates: list[float], **options: object) -> Service:
    """An answer of thirty tokens takes a bit more than half a second alone."""
    load = Load(np.array(rates), 300.0, 1.0, 0.0, CHAT)
    return service(rates, engine=LLM, profile="vllm", load=load, objective_seconds=3.0, **options)


def read_by(profile: Profile) -> Iterator[Metric]:
    """Every metric that a profile names."""
    yield from profile.counters.values()
    yield from (profile.work.sum, profile.work.count, *profile.in_flight)
    if profile.buckets:
        yield profile.buckets


def matches(matchers: str, labels: Mapping[str, str]) -> bool:
    """Whether a series is chosen by the profile's matchers."""
    return all(
        re.fullmatch(pattern, labels.get(label, ""))
        for label, pattern in re.findall(r'(\w+)=~"([^"]*)"', matchers)
    )


@pytest.mark.parametrize("one", [service([5]), encoder([5]), chat([5])], ids=lambda one: one.profile)
def test_pods_expose_what_their_profile_reads(one: Service) -> None:
    """Every metric by its name, with a series that the matchers choose."""
    labels = one.pod_labels(0)
    for metric in read_by(BUILT_IN[one.profile]):
        assert any(matches(metric.matchers, series) for series in labels[metric.name]), metric.name
    values = one.pod_values(np.array([0]))
    assert {name: len(series) for name, series in labels.items()} == {n: len(v) for n, v in values.items()}


def test_a_gateway_exposes_what_is_read_of_it() -> None:
    """Each replica, all that it can count; nobody aborts here, and pods never answer with an error."""
    one = encoder([5], gateway=Gateway(replicas=2, retries=1))
    labels = one.gateway_labels()
    wanted = {metric.name for metric in read_by(ENVOY)} - {
        "envoy_cluster_upstream_rq_tx_reset",
        "envoy_cluster_upstream_rq_xx",
    }
    assert wanted <= set(labels[0])
    assert labels[0]["envoy_cluster_upstream_rq_total"] != labels[1]["envoy_cluster_upstream_rq_total"]


def test_the_autoscaler_sees_batches_as_triton_tells_of_them() -> None:
    """Work that holds the whole batch's time for each request, a GPU that is busy, and demand by the gateway."""
    world = World([encoder([40, 40], seed=1)])
    world.run(240)
    (report,) = world.tick().reports
    observation = report.observation
    assert (observation.pods.gate, observation.gateway.gate) == (Gate.OK, Gate.OK)
    assert observation.arrivals_base == pytest.approx(40, rel=0.1)
    lines = world.services[0].requests.lines  # type: ignore[union-attr]
    assert observation.pods.work_seconds == pytest.approx(
        lines["worked_seconds"].sum() / lines["done"].sum(), rel=0.2
    )
    assert observation.gpu_utilization is not None
    assert 0.2 < observation.gpu_utilization < 0.9


def test_the_autoscaler_sees_answers_as_vllm_tells_of_them() -> None:
    """Latencies at the pods that hold the wait, and what runs and waits."""
    world = World([chat([6, 6], seed=1, initial_replicas=2)])
    world.run(240)
    (report,) = world.tick().reports
    observation = report.observation
    assert (observation.pods.gate, observation.gateway.gate) == (Gate.OK, Gate.OK)
    assert observation.pods.arrivals_base == pytest.approx(6, rel=0.2)
    assert observation.pods.work_seconds == pytest.approx(observation.gateway.work_seconds, rel=0.05)
    assert observation.pods.in_flight == pytest.approx(6 * observation.gateway.work_seconds, rel=0.5)  # type: ignore[operator]
    assert set(observation.pods.within) == {3.0}


def test_kinds_of_pods_stand_side_by_side() -> None:
    """Each service is seen as it would be alone, with retries and two gateways beside one."""
    alone, together = (
        World([encoder([30], seed=2)]),
        World(
            [
                service([10], seed=3, gateway=Gateway(replicas=2, retries=1)),
                encoder([30], seed=2, name="e"),
                chat([3], seed=4, name="c"),
            ]
        ),
    )
    alone.run(200)
    together.run(200)
    first, second = alone.services[0].requests, together.services[1].requests
    assert first.counts.tolist() == second.counts.tolist()
    assert alone.state.targets["0"].own_base == pytest.approx(together.state.targets["1"].own_base)
    assert together.state.targets["0"].own_base == pytest.approx(10, rel=0.2)
    assert all(one.requests.counts[Count.RESPONDED] > 400 for one in together.services)


def test_an_unknown_profile_or_engine_is_refused() -> None:
    """Instead of numbers that nobody exposes."""
    with pytest.raises(KeyError, match="tgi"):
        World([service([5], profile="tgi")])
    with pytest.raises(TypeError, match="engine"):
        World([Service("s", Load(np.array([5.0]), 300.0, 0.1), 0.5, fixed_start(30.0), 5, profile="vllm")])

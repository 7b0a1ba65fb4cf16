"""The simulator's Prometheus and a real one, given the same samples, answer the autoscaler's questions alike."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from autoscaler.tick import ask
from loadtests.simulator.service import Load, Service
from loadtests.simulator.starts import fixed_start
from loadtests.simulator.store import Floats, Targets
from loadtests.simulator.world import EPOCH, World
from serving_io.prometheus import Prometheus, PrometheusAccess
from tests.contract.prometheus import queried
from tests.contract.remote_write import STALE, write

pytestmark = pytest.mark.real_api

Samples = dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]


def recorded(world: World, targets: Targets, into: Samples) -> None:
    """Keep every sample that a kind of targets is given from now on, and when each has ended."""
    scrape, end = targets.scrape, targets.end

    def series_of(slot: int, metric: str) -> list[tuple[tuple[str, str], ...]]:
        each = targets.each[metric]
        rows = targets.labels[metric][slot * each : (slot + 1) * each]
        return [tuple(sorted({"__name__": metric, **labels}.items())) for labels in rows]

    def scraped(slots: np.ndarray, now: float, values: dict[str, Floats]) -> None:
        scrape(slots, now, values)
        for metric, column in values.items():
            series = [one for slot in slots for one in series_of(int(slot), metric)]
            for one, value in zip(series, column.tolist(), strict=True):
                into[one].append((now, float(value)))

    def ended(slots: np.ndarray) -> None:
        for slot in slots[~targets.ended[slots]]:
            for metric in targets.labels:
                for one in series_of(int(slot), metric):
                    if into[one]:
                        into[one].append((EPOCH + world.now, STALE))
        end(slots)

    targets.scrape, targets.end = scraped, ended  # type: ignore[method-assign, assignment]


Asked = list[tuple[float, str, dict[Any, float]]]
"""When, what, and what the simulator answered."""
OTHERS = {"namespace": "kubernetes_namespace", "pod": "kubernetes_pod_name"}


@pytest.fixture(scope="module")
def simulated() -> tuple[Asked, Samples]:
    """Two services that scale up and down, with pods that come and go: every question all along, and all samples."""
    rates = np.array([5.0, 60.0, 60.0, 4.0, 4.0, 4.0])
    services = [
        Service("a", Load(rates, 100.0, 0.1), 0.5, fixed_start(20.0), 40, seed=1),
        Service("b", Load(rates[::-1], 100.0, 0.2), 1.0, fixed_start(20.0), 60, seed=2),
    ]
    world = World(services)
    for autoscaler in world.objects().autoscalers:
        autoscaler["spec"]["scaleDownHoldSeconds"] = 15
    samples: Samples = defaultdict(list)
    for kind in world.kinds:
        recorded(world, kind, samples)
    asked: Asked = []
    while world.now < 600:
        world.run(5)
        if world.now % 35 == 0:
            at = EPOCH + world.now
            for text in ask(world.objects(), world.state, at).values():
                answer = world.answers({"": text})[""]
                asked.append((at, text, elements((s.labels, s.value) for s in answer.samples)))  # type: ignore[union-attr]
    assert world.decisions["a"] >= 3
    assert any(value != value for _, values in samples.items() for _, value in values), "a pod has gone"
    return asked, samples


def test_the_same_samples_give_the_same_answers(prometheus: str, simulated: tuple[Asked, Samples]) -> None:
    """Every element of every answer."""
    asked, samples = simulated

    write(prometheus, [(dict(labels), values) for labels, values in samples.items()])
    compared = 0
    for at, text, wanted in asked:
        real = elements((one["metric"], float(one["value"][1])) for one in queried(prometheus, text, at))
        assert wanted == pytest.approx(real, rel=1e-9, abs=1e-12), text
        compared += len(real)
    assert compared > 500


async def test_labels_of_other_names_give_the_same_answers(
    prometheus: str, simulated: tuple[Asked, Samples]
) -> None:
    """Where the scrape configuration names namespace and pod otherwise, the programs see what they would see."""
    asked, samples = simulated
    theirs = [
        ({OTHERS.get(name, name): value for name, value in labels}, values)
        for labels, values in samples.items()
    ]
    write(prometheus, theirs)
    client = Prometheus(PrometheusAccess(prometheus, labels=OTHERS))
    compared = 0
    for at, text, wanted in asked[::5]:
        real = elements((sample.labels, sample.value) for sample in await client.query(text, at))
        assert wanted == pytest.approx(real, rel=1e-9, abs=1e-12), text
        compared += len(real)
    client.close()
    assert compared > 100


def elements(found: Any) -> dict[Any, float]:
    """Values by labels."""
    return {
        tuple(sorted((k, v) for k, v in labels.items() if k != "__name__")): value for labels, value in found
    }

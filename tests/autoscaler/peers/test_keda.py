"""KEDA: three triggers on the core of the HorizontalPodAutoscaler, and its own steps from and to none."""

import pytest

from autoscaler.peers.keda import KedaLatency, KedaQueue, KedaRate, KedaState
from autoscaler.peers.signals import Replicas
from tests.autoscaler.peers.fixed import Fixed


@pytest.mark.parametrize(
    ("policy", "signals", "replicas", "desired", "why"),
    [
        (KedaRate(8.0), Fixed(rate=50.0), Replicas(4, 1, 3), 7, "ceil(50 / 8), whoever is ready"),
        (KedaRate(8.0), Fixed(rate=34.0), Replicas(4, 4, 0), 4, "within a tenth of four times eight"),
        (KedaQueue(), Fixed(waiting=21.0), Replicas(3, 3, 0), 5, "ceil(21 / 5)"),
        (KedaQueue(hold_seconds=0), Fixed(), Replicas(3, 3, 0), 1, "served queues ask for the minimum"),
        (KedaLatency(0.5), Fixed(latency=0.8), Replicas(3, 3, 0), 5, "ceil(1.6 x 3)"),
        (KedaLatency(0.5, 0), Fixed(latency=None), Replicas(3, 3, 0), 1, "no responses count as no latency"),
        (KedaLatency(0.5, 0), Fixed(latency=9.0), Replicas(3, 0, 3), 1, "nobody ready: the minimum"),
    ],
)
def test_triggers(
    policy: KedaRate | KedaQueue | KedaLatency, signals: Fixed, replicas: Replicas, desired: int, why: str
) -> None:
    """The second decision after a start; the first one remembers what it found."""
    state = KedaState(policy.initial().horizontal, active_at=0.0)
    later = policy.decide(signals, replicas, state, 15.0)[1]
    assert policy.decide(signals, replicas, later, 30.0)[0] == desired, why


@pytest.mark.parametrize(
    ("rate", "wanted", "active_at", "now", "desired", "why"),
    [
        (0.1, 0, None, 500.0, 1, "any request activates"),
        (0.0, 0, None, 500.0, 0, "none keeps none"),
        (0.0, 1, 201.0, 500.0, 1, "not yet 300 s idle"),
        (0.0, 1, 200.0, 500.0, 0, "300 s idle"),
        (0.0, 4, 200.0, 500.0, 0, "from any number"),
        (0.0, 4, None, 500.0, 0, "never active: at once"),
        (0.1, 1, 200.0, 500.0, 1, "active again"),
    ],
)
def test_none(rate: float, wanted: int, active_at: float | None, now: float, desired: int, why: str) -> None:
    """With a minimum of none."""
    policy = KedaRate(8.0, min_replicas=0)
    state = KedaState(active_at=active_at)
    assert policy.decide(Fixed(rate=rate), Replicas(wanted, wanted, 0), state, now)[0] == desired, why

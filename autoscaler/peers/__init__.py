"""Autoscalers of peers as pure policies, to run beside ours on the same signals.

A constructor takes (knob, hold_seconds, min_replicas, max_replicas, service_seconds); WVA holds in both directions. The knob:

| peers | knob |
|---|---|
| static | replicas |
| hpa-utilization | busy share |
| hpa-concurrency, kpa, ray-serve, aibrix-kpa, aibrix-apa | requests in flight for each replica |
| keda-rate, dynamo-constant, dynamo-kalman | share of a replica's largest rate, 1 / service_seconds |
| keda-queue | requests waiting for each replica |
| keda-latency, dynamo-load, faro | seconds that a request may take |
| wva-v1 | busy share of a saturated pod |
| wva-v2 | share of the capacity above which replicas are added |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from autoscaler.peers.aibrix import AibrixApa, AibrixKpa
from autoscaler.peers.dynamo import DynamoLoad, DynamoThroughput
from autoscaler.peers.faro import Faro
from autoscaler.peers.hpa import HpaConcurrency, HpaUtilization
from autoscaler.peers.keda import KedaLatency, KedaQueue, KedaRate
from autoscaler.peers.kpa import Kpa
from autoscaler.peers.ray_serve import RayServe
from autoscaler.peers.signals import Replicas, Signals
from autoscaler.peers.static import Static
from autoscaler.peers.wva import WvaSaturation, WvaTokens


class Policy(Protocol):
    """An autoscaler with all its knobs set."""

    @property
    def period_seconds(self) -> float:
        """Between two decisions."""
        ...

    def initial(self) -> Any:
        """The state before the first decision."""
        ...

    def decide(self, signals: Signals, replicas: Replicas, state: Any, now: float) -> tuple[int, Any]:
        """Replicas wanted from now on, and the state for the next decision; `now` is in seconds."""
        ...


Constructor = Callable[[float, float, int, int, float], Policy]

PEERS: Final[dict[str, Constructor]] = {
    "static": lambda knob, hold, low, high, _: Static(knob, hold, low, high),
    "hpa-utilization": lambda knob, hold, low, high, _: HpaUtilization(knob, hold, low, high),
    "hpa-concurrency": lambda knob, hold, low, high, _: HpaConcurrency(knob, hold, low, high),
    "keda-rate": lambda knob, hold, low, high, work: KedaRate(knob / work, hold, low, high),
    "keda-queue": lambda knob, hold, low, high, _: KedaQueue(knob, hold, low, high),
    "keda-latency": lambda knob, hold, low, high, _: KedaLatency(knob, hold, low, high),
    "kpa": lambda knob, hold, low, high, _: Kpa(knob, hold, low, high),
    "ray-serve": lambda knob, hold, low, high, _: RayServe(knob, hold, low, high),
    "wva-v1": lambda knob, hold, low, high, _: WvaSaturation(knob, hold, low, high, up_hold_seconds=hold),
    "wva-v2": lambda knob, hold, low, high, _: WvaTokens(
        knob, hold, low, high, up_hold_seconds=hold, down_boundary=knob * 0.70 / 0.85
    ),
    "aibrix-kpa": lambda knob, hold, low, high, _: AibrixKpa(knob, hold, low, high),
    "aibrix-apa": lambda knob, hold, low, high, _: AibrixApa(knob, hold, low, high),
    "dynamo-constant": lambda knob, hold, low, high, work: DynamoThroughput(work, knob, hold, low, high),
    "dynamo-kalman": lambda knob, hold, low, high, work: DynamoThroughput(
        work, knob, hold, low, high, "kalman"
    ),
    "dynamo-load": lambda knob, hold, low, high, work: DynamoLoad(knob, work, hold, low, high),
    "faro": lambda knob, hold, low, high, work: Faro(knob, work, hold, low, high),
}

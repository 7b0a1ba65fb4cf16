"""Ours without one of its mechanisms: what each is worth, in cost and in cells that are held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from autoscaler import capacity
from autoscaler.forecast import Forecast
from autoscaler.values import changed
from loadtests.replaced import Change, constant, replaced


@dataclass(frozen=True)
class Ablation:
    """A mechanism, and what takes it away: changes by `module:attribute` or `module:Class.attribute`."""

    mechanism: str
    changes: Mapping[str, Change]


def _without_trend(old: Any) -> Any:
    def forecast(*arguments: Any) -> Any:
        found = old(*arguments)
        return changed(found, expected=found.level)

    return forecast


def _without_stand_by(old: Any) -> Any:
    return lambda expected, seasonal, stand_by: old(expected, seasonal, 0.0)


def _at_rest_alone(old: Any) -> Any:
    reasons = ("Frozen", "Blind", "GpuUnseen", "Hold", "NothingLearned")
    return lambda *a, **k: found if (found := old(*a, **k)) in reasons else None


ANY_NUMBER = 10**6
ABLATIONS: Mapping[str, Ablation] = {
    "clock": Ablation(
        "what comes by the clock of the day or the week is prepared for",
        {"autoscaler.seasons:Season.believed": constant(property(lambda self: False))},
    ),
    "stand-by": Ablation(
        "rates that came faster than pods start are stood by for",
        {"autoscaler.cases:to_prepare_for": _without_stand_by},
    ),
    "trend": Ablation(
        "a rise is extrapolated to the horizon", {"autoscaler.demand:forecast": _without_trend}
    ),
    "surge": Ablation(
        "a rise is seen in the fast window, and extrapolated",
        {"autoscaler.demand:forecast": constant(lambda fast, base, *_: Forecast(base, base))},
    ),
    "urgency": Ablation(
        "a queue or lateness asks for replicas by itself",
        {"autoscaler.cases:urgent_replicas": constant(lambda case: 0)},
    ),
    "bands": Ablation(
        "demand and work move in bands, so that noise decides nothing",
        {"autoscaler.forecast:Band.following": constant(lambda self, value, *_: changed(self, value=value))},
    ),
    "hold": Ablation(
        "a higher need is held for as long as a start takes",
        {"autoscaler.learn:StartTime.hold_seconds": constant(lambda self, stated: float(stated or 0))},
    ),
    "vetoes": Ablation(
        "nobody is removed while requests are late, queue or keep accelerators busy",
        {"autoscaler.decide:_veto": _at_rest_alone},
    ),
    "in-flight": Ablation(
        "what is in flight keeps its replicas", {"autoscaler.decide:occupied": constant(lambda case: 0)}
    ),
    "steps-down": Ablation(
        "replicas go a fifth at a time, and not at each tick",
        {
            "autoscaler.decide:STEP_DOWN_FRACTION": constant(1.0),
            "autoscaler.decide:STEP_DOWN_PERIOD_SECONDS": constant((0.0, 0.0)),
        },
    ),
    "steps-up": Ablation(
        "a decision at most doubles the replicas", {"autoscaler.decide:FIRST_STEP_UP": constant(ANY_NUMBER)}
    ),
    "ceiling": Ablation(
        "lateness asks for at most twice what arrivals justify",
        {"autoscaler.decide:CEILING_FACTOR": constant(ANY_NUMBER)},
    ),
    "contention": Ablation(
        "replicas that only make each other slower are not added",
        {"autoscaler.contention:Contention.most": constant(lambda self, demand: None)},
    ),
    "caution": Ablation(
        "a mean of few requests is believed with a margin",
        {"autoscaler.learn:ServiceTime.cautious_seconds": constant(property(lambda self: self.mean_seconds))},
    ),
    "variability": Ablation(
        "how much the work varies is learned",
        {"autoscaler.learn:ServiceTime.tail_measured": constant(property(lambda self: False))},
    ),
    "budget-share": Ablation(
        "sizing leaves a part of the late requests for what goes wrong",
        {"autoscaler.capacity:BUDGET_SHARE": constant(1.0)},
    ),
    "routing": Ablation(
        "several replicas carry less than a pooled queue",
        {"autoscaler.capacity:ROUTING_EFFICIENCY": constant(1.0)},
    ),
}


@contextmanager
def without(name: str) -> Iterator[None]:
    """Let ours lack a mechanism while the block lasts; with the empty name nothing. Raises KeyError for an unknown one."""
    if not name:
        yield
        return
    with ExitStack() as patches:
        for target, change in ABLATIONS[name].changes.items():
            patches.enter_context(replaced(target, change))
        patches.callback(_forget)
        _forget()
        yield


def _forget() -> None:
    """The model's answers are kept by what was asked, not by its constants."""
    capacity._SMALLEST.clear()
    capacity._LARGEST.clear()

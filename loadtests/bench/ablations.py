"""Ours without one of its mechanisms: what each is worth, in cost and in cells that are held."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from autoscaler import capacity
from autoscaler.values import changed


@dataclass(frozen=True)
class Ablation:
    """What is taken away: `target`, as `module:attribute` or `module:Class.attribute`, is what `change` makes of it."""

    mechanism: str
    target: str
    change: Callable[[Any], Any]


def _constant(value: Any) -> Callable[[Any], Any]:
    return lambda old: value


def _level_alone(old: Any) -> Any:
    def forecast(*arguments: Any) -> Any:
        found = old(*arguments)
        return changed(found, expected=found.level)

    return forecast


def _at_rest_alone(old: Any) -> Any:
    reasons = ("Frozen", "Blind", "GpuUnseen", "Hold", "NothingLearned")
    return lambda *a, **k: found if (found := old(*a, **k)) in reasons else None


ABLATIONS: Mapping[str, Ablation] = {
    "clock": Ablation(
        "what comes by the clock of the day or the week is prepared for",
        "autoscaler.cases:to_prepare_for",
        lambda old: lambda expected, seasonal, stand_by: old(expected, 0.0, stand_by),
    ),
    "stand-by": Ablation(
        "rates that came faster than pods start are stood by for",
        "autoscaler.cases:to_prepare_for",
        lambda old: lambda expected, seasonal, stand_by: old(expected, seasonal, 0.0),
    ),
    "trend": Ablation("a rise is extrapolated to the horizon", "autoscaler.demand:forecast", _level_alone),
    "urgency": Ablation(
        "a queue or lateness asks for replicas by itself",
        "autoscaler.cases:urgent_replicas",
        _constant(lambda case: 0),
    ),
    "bands": Ablation(
        "demand and work move in bands, so that noise decides nothing",
        "autoscaler.forecast:Band.following",
        _constant(lambda self, target, up, down: changed(self, value=target)),
    ),
    "vetoes": Ablation(
        "nobody is removed while requests are late, queue or keep accelerators busy",
        "autoscaler.decide:_veto",
        _at_rest_alone,
    ),
    "in-flight": Ablation(
        "what is in flight keeps its replicas", "autoscaler.decide:occupied", _constant(lambda case: 0)
    ),
    "steps-down": Ablation(
        "replicas go a fifth at a time", "autoscaler.decide:STEP_DOWN_FRACTION", _constant(1.0)
    ),
    "variability": Ablation(
        "how much the work varies is learned",
        "autoscaler.learn:ServiceTime.variability",
        _constant(property(lambda self: capacity.PRIOR_VARIABILITY)),
    ),
    "budget-share": Ablation(
        "sizing leaves a part of the late requests for what goes wrong",
        "autoscaler.capacity:BUDGET_SHARE",
        _constant(1.0),
    ),
    "routing": Ablation(
        "several replicas carry less than a pooled queue",
        "autoscaler.capacity:ROUTING_EFFICIENCY",
        _constant(1.0),
    ),
}


@contextmanager
def without(name: str) -> Iterator[None]:
    """Let ours lack a mechanism while the block lasts; with the empty name nothing. Raises KeyError for an unknown one."""
    if not name:
        yield
        return
    module, _, path = ABLATIONS[name].target.partition(":")
    holder: Any = importlib.import_module(module)
    *parents, attribute = path.split(".")
    for parent in parents:
        holder = getattr(holder, parent)
    forget()
    try:
        with mock.patch.object(holder, attribute, ABLATIONS[name].change(holder.__dict__[attribute])):
            yield
    finally:
        forget()


def forget() -> None:
    """The model's answers are kept by what was asked, not by its constants."""
    capacity._SMALLEST.clear()
    capacity._LARGEST.clear()

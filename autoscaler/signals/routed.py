"""What a gateway counts of a target: by itself, or with all backends of its route."""

from __future__ import annotations

from autoscaler.signals.expected import Expectation
from autoscaler.signals.numbers import TargetKey
from autoscaler.signals.profiles import ENVOY
from autoscaler.signals.queries import of_route
from autoscaler.signals.views import Signals, View
from autoscaler.values import changed


def at_gateway(signals: Signals, key: TargetKey, expected: Expectation) -> tuple[View, View]:
    """The gateway's account of a target, and the account that it is taken from: the same, or that of its whole route.

    A target's part of a route is what its weight says, also where it is only prepared for: then the parts of all
    revisions are the whole.
    """
    if not signals.knows(key, ENVOY):
        route = key[0], of_route(expected.route)
        if signals.knows(route, ENVOY):
            whole = signals.view(route, ENVOY, expected)
            return _part(whole, expected.weight_percent / 100), whole
    view = signals.view(key, ENVOY, expected)
    return view, view


def _part(whole: View, part: float) -> View:
    """Rates and numbers of requests in part; means are those of the whole."""
    return changed(
        whole,
        part=part,
        arrivals_now=part * whole.arrivals_now,
        arrivals_base=part * whole.arrivals_base,
        unanswered=part * whole.unanswered,
        responses=None if whole.responses is None else part * whole.responses,
        failures_now=part * whole.failures_now,
        completions=part * whole.completions,
        in_flight=None if whole.in_flight is None else part * whole.in_flight,
        within={bound: part * rate for bound, rate in whole.within.items()},
    )

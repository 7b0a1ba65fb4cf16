"""What is looked for in Prometheus: the signals of a service or of everybody, and how they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from autoscaler.signals.profiles import BUILT_IN, ENVOY, Metric, Profile
from servingctl.preflight.finding import Finding, Unasked, unknown


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its labels, and when it was sampled last, in seconds since 1970."""

    labels: Mapping[str, str]
    sampled_at: float


Answer = Sequence[Series] | Unasked


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that is read: what for, which metric, and of which pods or backends (regular expressions)."""

    what: str
    metric: Metric
    source: str
    profile: str = ""
    """Whose it is; empty of what says whether pods are scraped at all."""
    namespace: str = ""
    deployments: tuple[str, ...] = ()
    lazy: bool = False
    """Whether it appears with the first request only."""
    is_only_source: bool = False
    """Whether load is read nowhere else, so that the autoscaler is blind without it."""

    def selector(self, matcher: str) -> str:
        """Return the selector of what belongs to the deployments; of everything without any."""
        own = ""
        names = "|".join(self.deployments)
        if names and self.source == "pods":
            own = f'namespace="{self.namespace}", pod=~"(?:{names})-.+"'
        elif names:
            own = f'envoy_cluster_name=~"httproute/{self.namespace}/[^/]+/rule/[0-9]+/backend/(?:{names})"'
        return f"{self.metric.name}{{{', '.join(part for part in (self.metric.matchers, own, matcher) if part)}}}"

    def anything(self, matcher: str) -> str:
        """Return the selector of whatever there is of the metric."""
        return f"{self.metric.name}{{{', '.join(part for part in (self.metric.matchers, matcher) if part)}}}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What Prometheus said of one signal: of the service, and where that is nothing, a few series of anything."""

    own: Answer
    others: Answer = ()


def wanted(
    profiles: Iterable[Profile], namespace: str = "", deployments: tuple[str, ...] = ()
) -> list[Signal]:
    """Return the signals of profiles, each metric once."""
    found = [Signal("scraped", Metric("up"), "pods", "", namespace, deployments)]
    profiles = list(profiles)
    only = all(profile.source != "pods" for profile in profiles)
    for profile in profiles:
        metrics = [(name, metric) for name, metric in profile.counters.items()]
        metrics.append(("work", profile.work.count))
        if profile.buckets is not None:
            metrics.append(("latency", profile.buckets))
        metrics += [("in flight", gauge) for gauge in profile.in_flight]
        for name, metric in metrics:
            lazy = profile.lazy or name != profile.presence
            found.append(Signal(name, metric, profile.source, profile.id, namespace, deployments, lazy, only))
    return found


def telling(pairs: Sequence[tuple[Signal, Reading]]) -> list[tuple[Signal, Reading]]:
    """Leave out what says the same again: of a Gateway that is not seen at all, one signal is enough.

    Without a service also profiles of which there is nothing: `unused` tells of these.
    """
    seen = any(signal.source != "pods" and reading.own for signal, reading in pairs)
    absent = _absent(pairs)
    return [
        (signal, reading)
        for signal, reading in pairs
        if signal.profile not in absent and (seen or signal.source == "pods" or signal.what == ENVOY.presence)
    ]


def unused(pairs: Sequence[tuple[Signal, Reading]]) -> list[Finding]:
    """Say in one line of which profiles there is nothing: without a service nobody knows whether one needs them."""
    absent = _absent(pairs)
    if not absent:
        return []
    words = "Prometheus has no series of them: no service uses them yet, or its pods or the Gateway's proxies are not scraped"
    remedy = "servingctl check NAME tells, once there is a service"
    return [unknown(f"signals of {', '.join(absent)}", Unasked(words), remedy)]


def profiles_of(names: Iterable[str]) -> list[Profile]:
    """Return built-in profiles by name, the gateway's last and once."""
    found = [BUILT_IN[name] for name in dict.fromkeys(names) if name in BUILT_IN and name != ENVOY.id]
    return [*found, ENVOY]


def _absent(pairs: Sequence[tuple[Signal, Reading]]) -> list[str]:
    """Return the profiles that no service was named for and that have no series."""
    there = {
        signal.profile for signal, reading in pairs if signal.deployments or reading.own or reading.others
    }
    names = dict.fromkeys(signal.profile for signal, _ in pairs if signal.profile)
    return [name for name in names if name not in there]

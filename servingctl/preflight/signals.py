"""What is looked for in Prometheus: the signals of a service or of everybody, and how they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from autoscaler.signals.profiles import BUILT_IN, ENVOY, GATEWAY, Metric, Profile
from servingctl.preflight.finding import Finding, Unasked, unknown

CLUSTER: Final = "envoy_cluster_name"
"""The label that says whose requests a Gateway's Envoy has counted."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its labels, and when it was sampled last, in seconds since 1970."""

    labels: Mapping[str, str]
    sampled_at: float


Answer = Sequence[Series] | Unasked


@dataclass(frozen=True, slots=True)
class Target:
    """What of a service the signals are looked for of; its route has its name."""

    namespace: str
    name: str
    profiles: tuple[str, ...]
    """By which its autoscalers read its load."""
    deployments: tuple[str, ...]
    ready_pods: int
    threshold_milliseconds: int | None
    evidence: str
    """Where requests of its canaries are counted; empty if nobody judges them."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that is read: what for, which metric, and of which pods or backends (regular expressions)."""

    what: str
    metric: Metric
    source: str
    profile: str = ""
    """Whose it is; empty of what says whether pods are scraped at all."""
    namespace: str = ""
    route: str = ""
    deployments: tuple[str, ...] = ()
    lazy: bool = False
    """Whether it appears with the first request only."""
    is_only_source: bool = False
    """Whether load is read nowhere else, so that the autoscaler is blind without it."""

    def selectors(self, matcher: str) -> list[str]:
        """Return selectors of what belongs to the deployments, of what belongs to any, and of whatever there is."""
        names = "|".join(self.deployments)
        if self.source == "pods":
            owned = [f'namespace="{self.namespace}", pod=~"(?:{names})-.+"', ""]
        else:
            rule = "rule/[0-9]+"
            backends, whole = f"[^/]+/{rule}/backend/(?:{names})", f"{self.route}/{rule}(?:/backend/[0-9]+)?"
            own = f"httproute/{self.namespace}/(?:{backends}|{whole})"
            owned = [
                f'{CLUSTER}=~"{own}"',
                f'{CLUSTER}=~"httproute/[^/]+/[^/]+/{rule}(?:/backend/[^/]+)?"',
                "",
            ]
        return [
            f"{self.metric.name}{{{', '.join(part for part in (self.metric.matchers, own, matcher) if part)}}}"
            for own in owned[0 if names else 1 :]
        ]


@dataclass(frozen=True, slots=True)
class Reading:
    """What Prometheus said of one signal: of the service, and where that is nothing, a few series of others."""

    own: Answer
    others: Answer = ()


def wanted(profiles: Iterable[Profile], target: Target | None) -> list[Signal]:
    """Return the signals of profiles, each metric once: of a service, or of everybody."""
    if target is not None and not target.deployments:
        return []
    scraped = Signal("scraped", Metric("up"), "pods")
    if target is not None:
        scraped = replace(
            scraped, namespace=target.namespace, route=target.name, deployments=target.deployments
        )
    found = [scraped]
    for profile in profiles:
        metrics = [(name, metric) for name, metric in profile.counters.items()]
        metrics.append(("work", profile.work.count))
        if profile.buckets is not None:
            metrics.append(("latency", profile.buckets))
        metrics += [("in flight", gauge) for gauge in profile.in_flight]
        for name, metric in metrics:
            lazy = profile.lazy or name != profile.presence
            only = profile.id == GATEWAY and target is not None and GATEWAY in target.profiles
            found.append(
                replace(
                    scraped,
                    what=name,
                    metric=metric,
                    source=profile.source,
                    profile=profile.id,
                    lazy=lazy,
                    is_only_source=only,
                )
            )
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


def profiles_of(target: Target | None) -> list[Profile]:
    """Return the profiles that a service is read by, the gateway's last and once; all without one."""
    names = BUILT_IN if target is None else dict.fromkeys(target.profiles)
    found = [BUILT_IN[name] for name in names if name in BUILT_IN and name != GATEWAY]
    return [*found, ENVOY]


def _absent(pairs: Sequence[tuple[Signal, Reading]]) -> list[str]:
    """Return the profiles that no service was named for and that have no series."""
    there = {
        signal.profile for signal, reading in pairs if signal.deployments or reading.own or reading.others
    }
    names = dict.fromkeys(signal.profile for signal, _ in pairs if signal.profile)
    return [name for name in names if name not in there]

"""The questions of a tick: one per signal for all services, whatever their number.

Every answer is summed by (namespace, deployment) and says by the labels `profile` and `signal` what it is. Where a gateway
counts all backends of a route together, the route stands in the place of the Deployment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from autoscaler.signals.profiles import Metric, Profile

PER_TICK: Final = ("now", "base", "late", "gauges", "gpu")
BOUNDS: Final = "bounds"
"""The sixth question, asked rarely: which buckets the histograms have."""

LONGEST_COVERED: Final = 2.0
"""Windows per span with requests: no shorter spans are counted, so that rates at it are too low."""
DUPLICATES: Final = "job, prometheus, prometheus_replica, replica"
"""Labels by which the same series of a Prometheus pair, or of two jobs for one target, differ."""
POD_OF_DEPLOYMENT: Final = "(.+)-(?:[a-z0-9]{1,10}-[a-z0-9]{5}|[a-z0-9]{6,15})"
"""<deployment>-<hash>-<suffix>; of a long name the API server cuts the hash and the dash after it."""
CLUSTER_OF_BACKEND: Final = "httproute/([^/]+)/[^/]+/rule/[0-9]+/backend/([^/]*[^/0-9][^/]*)"
"""Envoy's name of a backend: its Service, and so its Deployment, has the name at the end."""
ROUTE_OF_CLUSTER: Final = "httproute/([^/]+)/([^/]+)/rule/[0-9]+(?:/backend/[0-9]+)?"
"""Envoy Gateway's names: of all backends of a rule together, or of each by its position, which changes with the weights."""
_NAMESPACE_OF_CLUSTER: Final = "httproute/([^/]+)/.+"


def of_route(route: str) -> str:
    """What stands for the Deployment where a whole route is counted; no Deployment can have such a name."""
    return f"route/{route}"


@dataclass(frozen=True)
class Windows:
    """Windows of the rates in seconds, from the measured scrape interval."""

    fast: int
    base: int

    @classmethod
    def of(cls, scrape_seconds: float) -> Windows:
        """At least four samples in each, so that one lost scrape does not blind a rate."""
        fast = int(min(max(4 * scrape_seconds, 20), 240))
        return cls(fast, max(60, 3 * fast))


def questions(
    profiles: Sequence[Profile], windows: Windows, bounds: Mapping[str, Iterable[str]], matcher: str = ""
) -> dict[str, str]:
    """PromQL by name. `bounds`: the `le` values to read, by profile; `matcher` is added to every selector."""
    ask = _Asker(matcher)
    now, base, late, gauges = [], [], [], []
    for profile in profiles:
        for signal, metric in profile.counters.items():
            now.append(ask.counter(profile, signal, metric, windows.fast))
        for part, metric in (("sum", profile.work.sum), ("count", profile.work.count)):
            now.append(ask.rate(profile, f"work_{part}", metric, windows.fast))
        for signal in profile.arrivals:
            metric = profile.counters[signal]
            base.append(ask.counter(profile, signal, metric, windows.base))
        for signal in profile.unanswered:
            late.append(ask.counter(profile, signal, profile.counters[signal], windows.base))
        late.append(ask.rate(profile, "responses", profile.work.count, windows.base))
        if profile.buckets and (wanted := sorted(bounds.get(profile.id, ()))):
            choice = "|".join(bound.replace("+", r"\\+").replace(".", r"\\.") for bound in wanted)
            chosen = _and(profile.buckets.matchers, f'le=~"{choice}"')
            late.append(
                ask.rate(profile, "within", Metric(profile.buckets.name, chosen), windows.base, by=", le")
            )
        if profile.in_flight:
            gauges.append(ask.gauge(profile, "in_flight", profile.in_flight, windows.fast))
        gauges.append(ask.newest(profile))
        if profile.source == "gateway":
            gauges.append(ask.samples(profile))
    gauges += ask.presence()
    unions = {"now": now, "base": base, "late": late, "gauges": gauges, "gpu": [ask.gpu(windows.fast)]}
    return {name: "\nor\n".join(parts) for name, parts in unions.items()}


def bounds_question(profiles: Sequence[Profile], matcher: str = "") -> str:
    """Which `le` values exist, per profile."""
    ask = _Asker(matcher)
    return "\nor\n".join(
        ask.tagged(f"count by (le) ({ask.selector(profile.buckets)})", profile.id, "bound")
        for profile in profiles
        if profile.buckets
    )


def arrivals_question(profiles: Sequence[Profile], seconds: int, matcher: str = "") -> str:
    """Arrivals alone, one series for each target and profile: what history is read with."""
    ask = _Asker(matcher)
    return "\nor\n".join(
        ask.tagged(ask.signed(profile, profile.arrivals, seconds), profile.id, "arrivals")
        for profile in profiles
    )


def sums(profile: Profile, seconds: int) -> dict[str, str]:
    """Rates by namespace and deployment: arrivals, failures, seconds of work or stay, responses by bound."""
    ask = _Asker("")

    unit = "" if profile.work.seconds == 1 else f" * {profile.work.seconds:g}"
    asked = {
        "arrivals": ask.signed(profile, profile.arrivals, seconds),
        "failures": ask.signed(profile, profile.failures, seconds),
        f"{profile.durations}_seconds": ask.summed(profile, profile.work.sum, seconds) + unit,
        "responses": ask.summed(profile, profile.work.count, seconds),
    }
    if profile.buckets:
        asked["responses_within"] = ask.summed(profile, profile.buckets, seconds, by=", le")
    return asked


class _Asker:
    def __init__(self, matcher: str) -> None:
        self._matcher = matcher

    def selector(self, metric: Metric) -> str:
        return f"{metric.name}{{{_and(metric.matchers, self._matcher)}}}"

    def tagged(self, expression: str, profile: str, signal: str) -> str:
        named = f'label_replace({expression}, "signal", "{signal}", "", "")'
        return f'label_replace({named}, "profile", "{profile}", "", "")'

    def rate(self, profile: Profile, signal: str, metric: Metric, seconds: int, by: str = "") -> str:
        return self.tagged(self.summed(profile, metric, seconds, by), profile.id, signal)

    def counter(self, profile: Profile, signal: str, metric: Metric, seconds: int) -> str:
        """The rate of a counter; of those beside the requests only what is not 0: most stand still, and none is read as 0."""
        rates = self.summed(profile, metric, seconds)
        return self.tagged(rates if signal == profile.presence else f"{rates} != 0", profile.id, signal)

    def summed(self, profile: Profile, metric: Metric, seconds: int, by: str = "") -> str:
        rates = f"max without ({DUPLICATES}) (rate({self.selector(metric)}[{seconds}s]))"
        return f"sum by (namespace, deployment{by}) ({_owned(profile, 'sum', rates, by)})"

    def signed(self, profile: Profile, signs: Mapping[str, int], seconds: int) -> str:
        # Told apart by a label before they are summed: of some sources a counter is absent until it counts.
        terms = [
            f"label_replace({'' if sign > 0 else '-1 * '}{self.summed(profile, profile.counters[signal], seconds)}, "
            f'"part", "{signal}", "", "")'
            for signal, sign in signs.items()
        ]
        return f"sum by (namespace, deployment) ({' or '.join(terms)})"

    def gauge(self, profile: Profile, signal: str, metrics: Sequence[Metric], seconds: int) -> str:
        averages = (
            f"max without ({DUPLICATES}) (avg_over_time({self.selector(metric)}[{seconds}s]))"
            for metric in metrics
        )
        parts = [_owned(profile, "sum", average) for average in averages]
        if len(parts) > 1:
            # Averages have no names: they are told apart by a label before they are summed.
            parts = [f'label_replace({part}, "part", "{at}", "", "")' for at, part in enumerate(parts)]
        summed = f"sum by (namespace, deployment) ({' or '.join(parts)})"
        return self.tagged(summed, profile.id, signal)

    def newest(self, profile: Profile) -> str:
        times = f"timestamp({self.selector(profile.counters[profile.presence])})"
        return self.tagged(
            f"max by (namespace, deployment) ({_owned(profile, 'max', times)})", profile.id, "sampled_at"
        )

    def samples(self, profile: Profile) -> str:
        """How often a gateway was scraped in a minute: that may be another job than that of the pods."""
        counts = f"count_over_time({self.selector(profile.counters[profile.presence])}[1m])"
        return self.tagged(
            f"max by (namespace, deployment) ({_owned(profile, 'max', counts)})",
            profile.id,
            "samples_per_minute",
        )

    def presence(self) -> list[str]:
        """When a pod was scraped last with success, how many pods are, and how often in a minute."""
        up = self.selector(Metric("up", 'pod!=""'))
        pods = f"max by (namespace, pod) (timestamp({up}) and ({up} == 1))"
        owned = f'label_replace({pods}, "deployment", "$1", "pod", "{POD_OF_DEPLOYMENT}")'
        samples = f"max by (namespace, pod) (count_over_time({up}[1m]))"
        counted = f'label_replace({samples}, "deployment", "$1", "pod", "{POD_OF_DEPLOYMENT}")'
        return [
            self.tagged(f"max by (namespace, deployment) ({owned})", "up", "sampled_at"),
            self.tagged(f"count by (namespace, deployment) ({owned})", "up", "scraped"),
            self.tagged(f"max by (namespace, deployment) ({counted})", "up", "samples_per_minute"),
        ]

    def gpu(self, seconds: int) -> str:
        """Busy share of the accelerators, 0 to 1: the profiling counter, else the coarse one in percent."""
        active, coarse = (
            self._by_pod(name, seconds) for name in ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_DEV_GPU_UTIL")
        )
        per_pod = f"{active} or {coarse} / 100"
        owned = f'label_replace({per_pod}, "deployment", "$1", "pod", "{POD_OF_DEPLOYMENT}")'
        return self.tagged(f"avg by (namespace, deployment) ({owned})", "gpu", "utilization")

    def _by_pod(self, name: str, seconds: int) -> str:
        """By namespace and pod of the workload: without honorLabels they are in the `exported_` labels."""
        there, exported = (
            f"avg_over_time({self.selector(Metric(name, matcher))}[{seconds}s])"
            for matcher in ('exported_pod=""', 'exported_pod!=""')
        )
        # Without the exporter's own pod: an exporter that was replaced has series of the same labels otherwise.
        moved = f"avg by (namespace, exported_namespace, exported_pod) ({exported})"
        for label in ("namespace", "pod"):
            moved = f'label_replace({moved}, "{label}", "$1", "exported_{label}", "(.+)")'
        return f"avg by (namespace, pod) ({moved} or avg by (namespace, pod) ({there}))"


def _owned(profile: Profile, how: str, expression: str, by: str = "") -> str:
    """With the Deployment as a label. Put together before by what tells it: an exporter may have any other label, also
    `deployment`, and of two elements that become alike Prometheus refuses the whole question."""
    if profile.source == "pods":
        of_pods = f"{how} by (namespace, pod{by}) ({expression})"
        return f'label_replace({of_pods}, "deployment", "$1", "pod", "{POD_OF_DEPLOYMENT}")'
    cluster, of_clusters = '"envoy_cluster_name"', f"{how} by (envoy_cluster_name{by}) ({expression})"
    owned = f'label_replace({of_clusters}, "deployment", "$2", {cluster}, "{CLUSTER_OF_BACKEND}")'
    owned = f'label_replace({owned}, "deployment", "{of_route("$2")}", {cluster}, "{ROUTE_OF_CLUSTER}")'
    return f'label_replace({owned}, "namespace", "$1", {cluster}, "{_NAMESPACE_OF_CLUSTER}")'


def _and(*matchers: str) -> str:
    return ", ".join(matcher for matcher in matchers if matcher)

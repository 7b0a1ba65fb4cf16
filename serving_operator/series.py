"""Series of services and of the evidence of their canaries, made at each scrape: those of what is gone end with it."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from serving_api.names import ServiceKey
from serving_operator.judge.verdict import judge
from serving_operator.judge.windows import Evidence, totals
from serving_operator.world import Manifest


class Services(Collector):
    """Series of the services, made at each scrape: those of a service that is gone end with it."""

    def __init__(self) -> None:
        self.seen: dict[ServiceKey, tuple[Manifest, Mapping[str, int]]] = {}

    def describe(self) -> list[GaugeMetricFamily]:
        return self._families()

    def collect(self) -> list[GaugeMetricFamily]:
        ready, condition, canary, revision = families = self._families()
        for (namespace, name), (status, weights) in list(self.seen.items()):
            for entry in status.get("conditions") or ():
                holds = float(entry.get("status") == "True")
                condition.add_metric([namespace, name, entry["type"], entry.get("reason", "")], holds)
                if entry["type"] == "Ready":
                    ready.add_metric([namespace, name], holds)
            for hash_, weight in weights.items():
                revision.add_metric([namespace, name, hash_], weight)
            if attempt := status.get("canary"):
                canary.add_metric(
                    [namespace, name, attempt["revision"]], float(weights.get(attempt["revision"], 0))
                )
        return families

    @staticmethod
    def _families() -> list[GaugeMetricFamily]:
        service = ["namespace", "service"]
        return [
            GaugeMetricFamily(
                "serving_inferenceservice_ready", "1 if the service answers with its need.", labels=service
            ),
            GaugeMetricFamily(
                "serving_condition",
                "1 if the service's condition is True.",
                labels=[*service, "condition", "reason"],
            ),
            GaugeMetricFamily(
                "serving_canary_weight_percent",
                "Percent of the traffic that the route gives the canary.",
                labels=[*service, "revision"],
            ),
            GaugeMetricFamily(
                "serving_revision_weight_percent",
                "Percent of the traffic that the route gives a revision.",
                labels=[*service, "revision"],
            ),
        ]


class EvidenceSeries(Collector):
    """Series of the steps under way, made at each scrape: what was counted so far, and what the judge makes of it."""

    def __init__(self) -> None:
        self.seen: dict[ServiceKey, Evidence] = {}

    def describe(self) -> list[GaugeMetricFamily]:
        return self._families()

    def collect(self) -> list[GaugeMetricFamily]:
        windows, requests, bad, missing, worse, good = families = self._families()
        for (namespace, name), evidence in list(self.seen.items()):
            step = [namespace, name, evidence.attempt]
            counted = totals(evidence.windows)
            windows.add_metric([*step, evidence.source], len(evidence.windows))
            for side, its_requests, its_bad in (
                ("canary", counted.requests, counted.bad),
                ("stable", counted.stable_requests, counted.stable_bad),
            ):
                requests.add_metric([*step, side], its_requests)
                bad.add_metric([*step, side], its_bad)
            if evidence.limits is not None:
                found = judge(evidence.windows, evidence.limits)
                worse.add_metric(step, found.worse)
                good.add_metric(step, found.good_enough)
            if evidence.missing is not None:
                missing.add_metric([*step, evidence.missing.reason], 1)
        return families

    @staticmethod
    def _families() -> list[GaugeMetricFamily]:
        step = ["namespace", "service", "attempt"]
        return [
            GaugeMetricFamily(
                "serving_canary_windows", "Windows counted of the step under way.", labels=[*step, "source"]
            ),
            GaugeMetricFamily(
                "serving_canary_requests",
                "Requests counted in the step under way, of canary and stable.",
                labels=[*step, "side"],
            ),
            GaugeMetricFamily(
                "serving_canary_bad_requests",
                "Those of them that were late or failed.",
                labels=[*step, "side"],
            ),
            GaugeMetricFamily(
                "serving_canary_evidence_missing", "1 while evidence is missing.", labels=[*step, "reason"]
            ),
            GaugeMetricFamily(
                "serving_canary_worse_than_stable",
                "The e-value of the step under way, of all its windows: what 1 says nothing of, and its bound aborts.",
                labels=step,
            ),
            GaugeMetricFamily(
                "serving_canary_good_enough",
                "The likelihood ratio of acceptable to unacceptable, likewise: its bound advances.",
                labels=step,
            ),
        ]

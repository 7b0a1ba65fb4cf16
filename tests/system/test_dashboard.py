"""Every query of the shipped dashboards finds data of a service under load and in the middle of a rollout."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from loadtests.demo.dashboard import Query, dashboard, filled, queries
from localcluster.cluster import Cluster
from tests.system.judging import at_step, judged
from tests.system.kube import Kube
from tests.system.load import Load, measured
from tests.system.services import first_revision, replicas

SILENT = {
    "Evidence that is missing": "all that the canary is judged by is there",
    "Limited by what": "nothing limits a service that does not ask for more than its bounds",
    "Alerts": "nobody is called for a rollout that goes well",
}
"""Panels without series while all is well, and why; tests/contract/test_dashboards.py shows them with some."""
STEP_SECONDS = 600
"""So long the canary stays at its step, however good it is; the test ends as soon as each query was answered once."""


def variables() -> Iterator[str]:
    """The queries by which Grafana fills in the variables."""
    for name in ("scaling", "rollout"):
        for variable in dashboard(name)["templating"]["list"]:
            if variable["type"] == "query":
                yield variable["query"]


@pytest.mark.lengthy
def test_every_panel_has_data(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """Variables list the service, and each query answers with a number, GPU utilisation included."""
    host = f"{namespace}.example.com"
    first, second = judged(host, "1", 50), judged(host, "2", 50)
    for manifest in (first, second):
        manifest["spec"]["predictor"]["annotations"] = {"serving-operator.dev/emulate-gpu": "true"}
        manifest["spec"]["rollout"]["steps"][0]["pauseSeconds"] = STEP_SECONDS

    def answered(query: Query) -> None:
        what = f"panel {query.panel!r} has data for {query.promql}"
        kube.until(what, partial(measured, cluster, query.promql))

    first_revision(kube, namespace, first)
    for manifest in (first, second):  # of the first replica's start the autoscaler may have seen nothing
        manifest["spec"]["predictor"]["minReplicas"] = 2
    kube.apply(namespace, first)
    kube.until("the second replica has started", lambda: replicas(kube, namespace)["ready"] == 2)
    with Load(cluster, host, rate=10):
        for query in queries(namespace, "digits", "scaling"):
            answered(query)
        for variable in variables():
            metric, label = variable.removeprefix("label_values(").removesuffix(")").rsplit(",", 1)
            wanted = {"namespace": namespace, "service": "digits"}[label.strip()]
            found_series = measured(cluster, filled(metric, namespace, "digits"))
            values = {series["metric"][label.strip()] for series in found_series}

            assert wanted in values, variable
        at_step(kube, namespace, second)
        for name in ("rollout", "fleet", "operator"):
            for query in queries(namespace, "digits", name):
                if query.panel not in SILENT:
                    answered(query)

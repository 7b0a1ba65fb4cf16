"""Every query of the shipped dashboard finds data of a service under load."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import pytest

from loadtests.demo.dashboard import DASHBOARD, filled, queries
from localcluster.cluster import Cluster
from tests.system.kube import Kube
from tests.system.load import Load, measured
from tests.system.services import first_revision, web_service


def variables() -> Iterator[str]:
    """The queries by which Grafana fills in the variables."""
    for variable in json.loads(DASHBOARD.read_text())["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]


@pytest.mark.lengthy
def test_every_panel_has_data(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """Variables list the service, and each query answers with a number, GPU utilisation included."""
    host = f"{namespace}.example.com"
    manifest = web_service(host=host, spec__predictor__minReplicas=2)  # a second start is measured
    manifest["spec"]["predictor"]["annotations"] = {"serving-operator.dev/emulate-gpu": "true"}
    found = queries(namespace, "digits")

    first_revision(kube, namespace, manifest)
    with Load(cluster, host, rate=5):
        for query in found:
            what = f"panel {query.panel!r} has data for {query.promql}"
            kube.until(what, partial(measured, cluster, query.promql))
        for variable in variables():
            metric, label = variable.removeprefix("label_values(").removesuffix(")").rsplit(",", 1)
            wanted = {"namespace": namespace, "service": "digits"}[label.strip()]
            found_series = measured(cluster, filled(metric, namespace, "digits"))
            values = {series["metric"][label.strip()] for series in found_series}

            assert wanted in values, variable

    assert len(found) >= len({query.panel for query in found}) >= 8

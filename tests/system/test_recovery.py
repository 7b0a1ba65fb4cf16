"""kill -9 of each part under load: all recover without a person, and the ladder prints what the load generator saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from localcluster.cluster import Cluster
from serving_io import kinds
from tests.system.failures import AUTOSCALER, OPERATOR, kill_component, kill_container, program_pod
from tests.system.kube import Kube, holds
from tests.system.load import Load
from tests.system.services import canary_at_step, committed, first_revision, web_service


@pytest.mark.disruptive
@pytest.mark.lengthy
def test_the_data_path_needs_no_controller(
    kube: Kube, cluster: Cluster, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    """Operator, autoscaler, gateway controller and API server are killed under load: no request is lost by it.

    Afterwards a whole rollout shows that each of them works again.
    """
    host = f"{namespace}.example.com"
    first_revision(kube, namespace, web_service(host=host))
    with Load(cluster, host, rate=8) as load:
        load.go_on()
        for program in (OPERATOR, AUTOSCALER):
            kill_container(kube, program_pod(kube, program))
            load.go_on()
        for component in ("gateway", "kube-apiserver"):
            kill_component(cluster, component)
            load.go_on()
        attempt = canary_at_step(kube, namespace, web_service(version="2", host=host))
        kube.label(namespace, "digits", promote=attempt)
        status = committed(kube, namespace, attempt)
    record_property("saw", f"controllers killed: {len(load.records)} requests, {len(load.bad())} bad")

    assert load.bad() == []
    assert holds(status, "Ready")


def test_a_killed_model_costs_what_it_held(
    kube: Kube, cluster: Cluster, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    """Of two killed one after the other, a model's process loses what it worked on; the rest is answered."""
    host = f"{namespace}.example.com"
    first_revision(kube, namespace, web_service(host=host, spec__predictor__minReplicas=2))
    kube.until("two pods serve", lambda: kube.status(namespace).get("replicas") == 2)
    with Load(cluster, host, rate=8) as load:
        load.go_on()
        before = len(load.records)
        pod = kube.list(kinds.POD, namespace)[0]
        kill_container(kube, pod)
        kube.until("the service is ready again", lambda: holds(kube.status(namespace), "Ready"))
        after = len(load.records)
        load.go_on()
    kinds_of_bad = Counter(str(record.status) if record.status else record.failure for record in load.bad())
    record_property(
        "saw", f"a model's process killed: {len(load.records)} requests, bad: {dict(kinds_of_bad) or 0}"
    )

    assert [record for record in load.records[:before] if not record.is_success] == []
    assert [record for record in load.records[after:] if not record.is_success] == []
    assert len(load.bad()) < after - before, "nothing was answered while one of two pods was down"

"""Whatever step a rollout is at: the operator may die there, and a label takes the traffic back from there."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from localcluster.cluster import Cluster
from serving_io import kinds
from tests.system.failures import OPERATOR, kill_container, program_pod
from tests.system.judging import arrived, at_step, judged
from tests.system.kube import Kube, Manifest
from tests.system.load import Load
from tests.system.recording import Recording
from tests.system.services import canary_weight, committed, first_revision

WEIGHTS = (20, 50, 80)
STAYS_SECONDS = 3600
"""The pause of a step that is left by a label only."""


def service(namespace: str, name: str, version: str, until: int = 0) -> Manifest:
    """One of the services, in one of its versions; it stays at the step with the weight `until`."""
    weights = [weight for weight in WEIGHTS if not until or weight <= until]
    made = judged(f"{name}.{namespace}.example.com", version, *weights, name=name)
    if until:
        made["spec"]["rollout"]["steps"][-1]["pauseSeconds"] = STAYS_SECONDS
    return made


@pytest.mark.disruptive
@pytest.mark.lengthy
def test_every_step_can_lose_the_operator_and_be_aborted(
    kube: Kube, cluster: Cluster, namespace: str
) -> None:
    """One rollout promotes itself although the operator is killed at each of its three steps; beside it three others are
    aborted by label, each at another step. Every weight is passed once, and no request is lost."""
    aborted = {f"aborted-at-{weight}": weight for weight in WEIGHTS}
    stays = {"promoted": 0} | aborted
    for name, until in stays.items():
        kube.apply(namespace, service(namespace, name, "1", until))
    stable = {
        name: first_revision(kube, namespace, service(namespace, name, "1", until))
        for name, until in stays.items()
    }
    with ExitStack() as stack:
        loads = [
            stack.enter_context(Load(cluster, f"{name}.{namespace}.example.com", rate=10)) for name in stays
        ]
        routes = stack.enter_context(Recording(kube, kinds.HTTP_ROUTE, namespace))
        for name, until in aborted.items():
            kube.apply(namespace, service(namespace, name, "2", until))
        attempts = {"promoted": at_step(kube, namespace, service(namespace, "promoted", "2"))["id"]}
        for name, weight in aborted.items():
            assert arrived(kube, namespace, weight, "promoted")["id"] == attempts["promoted"]
            kill_container(kube, program_pod(kube, OPERATOR))
            attempts[name] = arrived(kube, namespace, weight, name)["id"]
            kube.label(namespace, name, abort=attempts[name])
        status = committed(kube, namespace, attempts["promoted"], "promoted")
        kube.until(
            "the aborts are over",
            lambda: not any(kube.status(namespace, name).get("canary") for name in aborted),
        )

    assert not status.get("rejected")
    for name, weight in aborted.items():
        entry = kube.status(namespace, name)["rejected"][-1]
        assert (entry["id"], entry["reason"]) == (attempts[name], "AbortedByLabel")
        assert kube.status(namespace, name)["stable"]["revision"] == stable[name]
        passed = [step for step in WEIGHTS if step <= weight]
        assert weights(routes.versions(), name, attempts[name]) == [0, *passed, 0]
    assert weights(routes.versions(), "promoted", attempts["promoted"]) == [0, *WEIGHTS, 100]
    assert [record for load in loads for record in load.bad()] == []


def weights(routes: list[Manifest], name: str, attempt: str) -> list[int]:
    """The weights that an attempt had, one after another."""
    found: list[int] = []
    for route in routes:
        if route["metadata"]["name"] == name and found[-1:] != [weight := canary_weight(route, attempt)]:
            found.append(weight)
    return found

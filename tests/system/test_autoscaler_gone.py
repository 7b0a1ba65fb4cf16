"""Without the autoscaler rollouts hold and say for whom; the time is not theirs, and an abort needs nobody."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from serving_io import kinds
from tests.system.failures import AUTOSCALER, SYSTEM, component_halted, program_killed
from tests.system.kube import Kube, Manifest, condition, holds
from tests.system.services import canary_at_step, first_revision, web_service

UNAVAILABLE = "AutoscalerUnavailable"
DEADLINE_SECONDS = 65
"""Of the attempts: longer than a Lease counts, shorter than the whole outage."""

pytestmark = [pytest.mark.disruptive, pytest.mark.lengthy]


def service(namespace: str, name: str, version: str) -> Manifest:
    """One of the services, in one of its versions."""
    return web_service(
        name,
        version,
        host=f"{name}.{namespace}.example.com",
        spec__rollout__progressDeadlineSeconds=DEADLINE_SECONDS,
        spec__predictor__maxReplicas=1,  # then nothing but the autoscaler is waited for
    )


def age_seconds(timestamp: str) -> float:
    """Seconds since a time of the API."""
    return (datetime.now(UTC) - datetime.fromisoformat(timestamp)).total_seconds()


def test_rollouts_hold_without_the_autoscaler(kube: Kube, namespace: str) -> None:
    """It is killed before capacity, at the step, in mid-abort and before an abort: two hold, both aborts complete."""
    names = ("capacity", "step", "begun", "abort")
    for name in names:
        kube.apply(namespace, service(namespace, name, "1"))
    stable = {name: first_revision(kube, namespace, service(namespace, name, "1")) for name in names}
    for name in names[1:]:
        kube.apply(namespace, service(namespace, name, "2"))
    attempts = {name: canary_at_step(kube, namespace, service(namespace, name, "2")) for name in names[1:]}
    holder = lease_holder(kube)
    with ExitStack() as outage:
        with component_halted(kube.cluster, "gateway"):  # which has to answer before the abort can go on
            kube.label(namespace, "begun", abort=attempts["begun"])
            kube.until("the abort begins", lambda: kube.status(namespace, "begun")["canary"].get("abort"))
            outage.enter_context(program_killed(kube, AUTOSCALER))
            assert kube.status(namespace, "begun")["canary"]["abort"]["reason"] == "AbortedByLabel"
        kube.apply(namespace, service(namespace, "capacity", "2"))
        attempts["capacity"] = kube.until(
            "the attempt begins", lambda: kube.status(namespace, "capacity").get("canary", {}).get("id")
        )
        kube.label(namespace, "step", promote=attempts["step"])
        kube.label(namespace, "abort", abort=attempts["abort"])
        kube.until(
            "both aborts complete",
            lambda: not any(kube.status(namespace, name).get("canary") for name in ("begun", "abort")),
        )
        kube.until(
            "both others say whom they wait for",
            lambda: all(
                condition(kube.status(namespace, name), "Reconciling").get("reason") == UNAVAILABLE
                for name in ("capacity", "step")
            ),
        )
        started = kube.status(namespace, "capacity")["canary"]["startedAt"]
        kube.until("more time passes than an attempt has", lambda: age_seconds(started) > DEADLINE_SECONDS)
        held = {name: kube.status(namespace, name) for name in names}
        assert lease_holder(kube) == holder  # nobody has released it, and nobody has taken it

    assert {name: status["stable"]["revision"] for name, status in held.items()} == stable
    for name in ("begun", "abort"):
        assert held[name]["rejected"][-1]["id"] == attempts[name]
        assert weights(kube, namespace, name) == {f"{name}-{stable[name]}": 100}
    for name in ("capacity", "step"):
        assert held[name]["canary"]["id"] == attempts[name]
        assert held[name]["canary"]["hold"]["reason"] == UNAVAILABLE
        assert not held[name].get("rejected")
        assert not holds(held[name], "Stalled")
        assert holds(held[name], "Servable")

    kube.until(
        "the promotion goes on",
        lambda: kube.status(namespace, "step")["stable"]["id"] == attempts["step"],
    )
    assert canary_at_step(kube, namespace, service(namespace, "capacity", "2")) == attempts["capacity"]


def lease_holder(kube: Kube) -> str:
    """Which process has the autoscaler's Lease."""
    lease = kube.get(kinds.LEASE, SYSTEM, AUTOSCALER)
    assert lease is not None
    holder: str = lease["spec"]["holderIdentity"]
    return holder


def weights(kube: Kube, namespace: str, name: str) -> dict[str, int]:
    """The backends of a service's route that have a weight."""
    route = kube.get(kinds.HTTP_ROUTE, namespace, name)
    assert route is not None
    backends = route["spec"]["rules"][0]["backendRefs"]
    return {backend["name"]: backend["weight"] for backend in backends if backend["weight"]}

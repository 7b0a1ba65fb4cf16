"""Without the autoscaler rollouts hold and say for whom; the time is not theirs, and an abort needs nobody."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from serving_io import kinds
from tests.system.failures import AUTOSCALER, program_stopped
from tests.system.kube import Kube, Manifest, condition, holds
from tests.system.services import canary_at_step, committed, first_revision, web_service

UNAVAILABLE = "AutoscalerUnavailable"
DEADLINE_SECONDS = 70
"""Of the attempts: longer than a Lease lasts, shorter than the whole outage."""

pytestmark = pytest.mark.outage


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
    """It goes before capacity, at the step, and before an abort: two hold, nothing is rejected, the abort completes."""
    names = ("capacity", "step", "abort")
    for name in names:
        kube.apply(namespace, service(namespace, name, "1"))
    stable = {name: first_revision(kube, namespace, service(namespace, name, "1")) for name in names}
    attempts = {
        name: canary_at_step(kube, namespace, service(namespace, name, "2")) for name in ("step", "abort")
    }
    with program_stopped(kube, AUTOSCALER):
        kube.apply(namespace, service(namespace, "capacity", "2"))
        attempts["capacity"] = kube.until(
            "the attempt begins", lambda: kube.status(namespace, "capacity").get("canary", {}).get("id")
        )
        kube.label(namespace, "step", promote=attempts["step"])
        kube.label(namespace, "abort", abort=attempts["abort"])
        kube.until("the abort completes", lambda: not kube.status(namespace, "abort").get("canary"))
        kube.until(
            "both say whom they wait for",
            lambda: all(
                condition(kube.status(namespace, name), "Reconciling").get("reason") == UNAVAILABLE
                for name in ("capacity", "step")
            ),
        )
        started = kube.status(namespace, "capacity")["canary"]["startedAt"]
        kube.until("more time passes than an attempt has", lambda: age_seconds(started) > DEADLINE_SECONDS)
        held = {name: kube.status(namespace, name) for name in names}

    assert {name: status["stable"]["revision"] for name, status in held.items()} == stable
    assert held["abort"]["rejected"][-1]["id"] == attempts["abort"]
    assert weights(kube, namespace, "abort") == {f"abort-{stable['abort']}": 100}
    for name in ("capacity", "step"):
        assert held[name]["canary"]["id"] == attempts[name]
        assert held[name]["canary"]["hold"]["reason"] == UNAVAILABLE
        assert not held[name].get("rejected")
        assert not holds(held[name], "Stalled")
        assert holds(held[name], "Servable")

    committed(kube, namespace, attempts["step"], "step")
    assert canary_at_step(kube, namespace, service(namespace, "capacity", "2")) == attempts["capacity"]


def weights(kube: Kube, namespace: str, name: str) -> dict[str, int]:
    """The backends of a service's route that have a weight."""
    route = kube.get(kinds.HTTP_ROUTE, namespace, name)
    assert route is not None
    backends = route["spec"]["rules"][0]["backendRefs"]
    return {backend["name"]: backend["weight"] for backend in backends if backend["weight"]}

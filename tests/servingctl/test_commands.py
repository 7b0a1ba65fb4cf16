"""Commands that ask a cluster, as a user gives them: against the fake API server over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.kube import FakeKube
from tests.servingctl.demo import Ctl, revision
from tests.servingctl.run import run

PROMOTE = "serving-operator.dev/promote"
SOME_TIME = "2026-01-01T00:00:00Z"


STABLE = {"id": "11111111-1", "revision": "11111111"}


def canary(version: int = 2) -> dict[str, Any]:
    """A canary of the demo's version 2."""
    return {
        "id": f"{revision(version)}-2",
        "revision": revision(version),
        "step": 0,
        "weight": 25,
        "verdict": "CollectingEvidence",
    }


def test_promote_sets_the_label_that_names_the_attempt(ctl: Ctl) -> None:
    """The label carries the attempt's id; without an operator's answer that is said, with exit code 1."""
    ctl.status(2, stable=STABLE, canary=canary())

    at_once = ctl("promote", "digits", "--wait", "0")

    assert (at_once.code, ctl.labels()[PROMOTE]) == (0, canary()["id"])
    unanswered = ctl("promote", "digits", "--wait", "0.05")
    assert (unanswered.code, "has not answered yet" in unanswered.out) == (1, True)


def test_promote_says_once_it_is_accepted(ctl: Ctl) -> None:
    """A command that the status lists is not given again."""
    command = {"kind": "Promote", "id": canary()["id"], "time": SOME_TIME}
    ctl.status(2, stable=STABLE, canary=canary(), commands=[command])

    ran = ctl("promote", "digits")

    assert (ran.code, "accepted at 2026-01-01" in ran.out, PROMOTE in ctl.labels()) == (0, True, False)


REFUSALS: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
    "nothing to promote": (
        ("promote",),
        {"stable": STABLE},
        "no canary to promote; attempt 11111111-1 is committed",
    ),
    "nothing to abort": (("abort",), {"stable": STABLE}, "add --committed"),
    "nothing to go back to": (
        ("abort", "--committed"),
        {"stable": STABLE},
        "no former revision to go back to",
    ),
    "nothing to retry": (("retry",), {"stable": STABLE}, "there is nothing to retry"),
    "a first revision": (("promote",), {"canary": canary()}, "it needs no promotion"),
    "another attempt": (
        ("promote", "--attempt", "99999999-9"),
        {"stable": STABLE, "canary": canary()},
        f"use {canary()['id']}",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_commands_are_refused_with_a_sentence(ctl: Ctl, name: str) -> None:
    """Where the operator would ignore the label it is not set, and the reason is said."""
    (command, *options), status, words = REFUSALS[name]
    ctl.status(2, **status)

    ran = ctl(command, "digits", *options)

    assert (ran.code, words in ran.err, ctl.labels()) == (1, True, {}), ran.err


def test_retry_names_the_rejected_attempt(ctl: Ctl) -> None:
    """The attempt that the spec still asks for is retried."""
    rejected = {
        "id": f"{revision(2)}-2",
        "revision": revision(2),
        "reason": "WorseThanStable",
        "time": SOME_TIME,
    }
    ctl.status(2, stable=STABLE, rejected=[rejected])

    ran = ctl("retry", "digits", "--dry-run")

    assert (ran.code, f"attempt {revision(2)}-2 would be tried again" in ran.out, ctl.labels()) == (
        0,
        True,
        {},
    )


def test_a_service_that_is_not_there(ctl: Ctl) -> None:
    """A missing service is told apart from missing CRDs."""
    ran = ctl("promote", "other")

    assert (ran.code, "there is no InferenceService other in namespace demo" in ran.err) == (1, True)


def test_status(ctl: Ctl) -> None:
    """The list has a line a service, the description its attempts and conditions; JSON has the status."""
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "NeedReady",
        "message": "all well",
        "lastTransitionTime": SOME_TIME,
    }
    ctl.status(2, stable=STABLE, canary=canary(), conditions=[condition], replicas=3)

    listed, described = ctl("status"), ctl("status", "digits")

    assert canary()["id"] in listed.out.splitlines()[1]
    assert f"canary  {canary()['id']} at 25%, step 0: CollectingEvidence" in described.out
    assert "Ready       True" in described.out
    assert json.loads(ctl("status", "digits", "-o", "json").out)["status"]["replicas"] == 3


def test_explain(ctl: Ctl) -> None:
    """The chain goes from the signals over demand and bounds to the decision, and names what is amiss."""
    ctl.status(1, stable={"id": f"{revision(1)}-1", "revision": revision(1)})
    found = {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "InferenceAutoscaler",
        "metadata": {
            "name": f"digits-{revision(1)}",
            "namespace": "demo",
            "labels": {"serving-operator.dev/service": "digits"},
        },
        "spec": {
            "scaleTargetRef": {"name": f"digits-{revision(1)}"},
            "minReplicas": 1,
            "maxReplicas": 6,
            "objective": {"thresholdMilliseconds": 500},
            "signals": {"profile": "mlserver"},
        },
    }
    decision = {
        "time": SOME_TIME,
        "reason": "Demand",
        "message": "3 replicas carry it.",
        "arrivalsPerMinute": 412,
    }
    trouble = {
        "type": "SignalsAvailable",
        "status": "False",
        "reason": "NoSeries",
        "message": "no series",
        "lastTransitionTime": SOME_TIME,
    }
    ctl.fake.write(found)
    status = {"desiredReplicas": 3, "observedReplicas": 2, "lastDecision": decision, "conditions": [trouble]}
    ctl.fake.write({**found, "status": status}, subresource="status")

    ran = ctl("explain", "digits")

    assert ran.code == 0
    for words in (
        "(stable)",
        "6.87 requests/s arrived",
        "stays at 3 (Demand): 3 replicas carry it.",
        "2 exist",
        "no series (NoSeries)",
    ):
        assert words in ran.out


def test_no_crds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without our CRDs a command names the remedy, with exit code 3."""
    with FakeKube(crds=None) as fake:
        ran = Ctl(fake, fake.kubeconfig(tmp_path / "kubeconfig", "person"), capsys)("status", "digits")

    assert (ran.code, "kubectl apply --server-side -k crds" in ran.err) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--kubeconfig", "/nowhere"), "there is no such file"),
        (("--kubeconfig", "FILE", "--context", "other"), "the kubeconfig has no such context (it has: fake)"),
        (("--kubeconfig", "FILE"), "the API server does not answer"),
    ],
)
def test_no_cluster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    """A kubeconfig that is missing, names no such context, or leads nowhere is told as such, with exit code 3."""
    with FakeKube() as fake:
        file = fake.kubeconfig(tmp_path / "kubeconfig", "person")

    ran = run(capsys, "status", *(str(file) if argument == "FILE" else argument for argument in arguments))

    assert (ran.code, words in ran.err) == (3, True), ran.err

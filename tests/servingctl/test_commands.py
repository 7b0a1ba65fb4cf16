"""Commands that ask a cluster, as a user gives them: against the fake API server over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving_api.revision import revision_of
from serving_api.service import InferenceServiceSpec
from serving_io import kinds
from servingctl.rendering import render
from tests.fakes.kube import FakeKube
from tests.servingctl.run import Ran, run

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "manifests/demo/service-v1.yaml"
PROMOTE = "serving-operator.dev/promote"
SOME_TIME = "2026-01-01T00:00:00Z"


def manifest(version: int = 1) -> dict[str, Any]:
    """The demo's service."""
    made: dict[str, Any] = yaml.safe_load((ROOT / f"manifests/demo/service-v{version}.yaml").read_text())
    return made


def revision(version: int) -> str:
    """The revision of a version of the demo's service."""
    return revision_of(InferenceServiceSpec.model_validate(manifest(version)["spec"]).predictor)


class Ctl:
    """A fake cluster with the demo's service in it, and the command line on it."""

    def __init__(self, fake: FakeKube, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.fake = fake
        self._config = config
        self._capsys = capsys

    def __call__(self, *arguments: str, namespace: str = "demo") -> Ran:
        """Run a command."""
        return run(self._capsys, *arguments, "--kubeconfig", str(self._config), "-n", namespace)

    def status(self, version: int = 1, **status: Any) -> None:
        """Write the service's spec and status."""
        self.fake.write(manifest(version))
        self.fake.write({**manifest(version), "status": status}, subresource="status")

    def labels(self) -> dict[str, str]:
        """The service's labels."""
        return self.fake.get(kinds.INFERENCE_SERVICE, "digits", "demo")["metadata"].get("labels") or {}


@pytest.fixture
def ctl(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Ctl]:
    """A cluster to command."""
    with FakeKube() as fake:
        fake.namespace("demo")
        yield Ctl(fake, fake.kubeconfig(tmp_path / "kubeconfig", "person"), capsys)


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


def test_diff_of_a_new_service(ctl: Ctl) -> None:
    """What is not in the cluster yet is new, with its revision and all that would be made."""
    ran = ctl("diff", "-f", str(DEMO))

    assert ran.code == 1
    assert f"demo/digits: new; its first revision is {revision(1)}" in ran.out
    assert f"create controllerrevision/digits-{revision(1)}" in ran.out
    assert f"deployment/digits-{revision(1)}" in ran.out
    assert ctl.fake.writes("person") == []


def test_diff_names_the_fields_of_a_new_revision(ctl: Ctl) -> None:
    """A file that shapes other pods is a canary, by the fields that are named, beside the committed revision."""
    ctl.status(1, stable={"id": f"{revision(1)}-1", "revision": revision(1)})
    live = ctl.fake.get(kinds.INFERENCE_SERVICE, "digits", "demo")
    record = render(manifest(1), "demo").children[0]
    owner = {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "name": "digits",
        "uid": live["metadata"]["uid"],
    }
    ctl.fake.write(
        {**record, "metadata": {**record["metadata"], "ownerReferences": [{**owner, "controller": True}]}}
    )

    ran = ctl("diff", "-f", str(ROOT / "manifests/demo/service-v2.yaml"))

    assert f"revision {revision(1)} is committed, {revision(2)} becomes a canary" in ran.out
    assert "predictor.model.storageUri: pvc://models/digits/v1 -> pvc://models/digits/v2" in ran.out
    first = ran.out.partition(f"create controllerrevision/digits-{revision(2)}")[2].partition("\n\n")[0]
    assert f"--- digits-{revision(1)}" in first
    assert "+      storageUri: pvc://models/digits/v2" in first
    assert "automountServiceAccountToken" not in first


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

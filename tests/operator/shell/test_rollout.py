"""A rollout through the whole operator: each write with its preconditions, and none of anybody else's fields."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving_api.names import Attempt
from serving_io.kinds import DEPLOYMENT, HTTP_ROUTE, INFERENCE_SERVICE, SERVICE
from serving_operator import asked
from serving_operator.children.route import weights
from serving_operator.executor import applied
from serving_operator.reconciler import without_progress
from serving_operator.rollout import attempts
from serving_operator.status.events import transitions
from serving_operator.world import ObjectId, Plan
from tests.fakes.kube import FakeKube
from tests.operator.shell.surroundings import NAMESPACE, condition, external, operator, quiet, until


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    """A fake API server with the namespace of the tests."""
    with FakeKube() as server:
        server.namespace(NAMESPACE)
        yield server


def status(fake: FakeKube) -> dict[str, Any]:
    """The service's status."""
    service = fake.get(INFERENCE_SERVICE, "llama", NAMESPACE) or {}
    return dict(service.get("status") or {})


def settled(fake: FakeKube) -> bool:
    """Whether the present spec is committed."""
    return condition(fake, "UpToDate").get("status") == "True" and "canary" not in status(fake)


def label(fake: FakeKube, kind: str, value: str) -> None:
    """Do what `kubectl label` does."""
    labels = {f"serving-operator.dev/{kind}": value}
    metadata = {"name": "llama", "namespace": NAMESPACE, "labels": labels}
    fake.write(
        {"apiVersion": "serving-operator.dev/v1alpha1", "kind": "InferenceService", "metadata": metadata},
        manager="labeller",
    )


async def test_a_canary_is_promoted_by_its_label(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed image becomes a canary with its step's weight; the label takes it to all; the old one goes."""
    fake.write(external(), manager="user")
    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: settled(fake), fake)
        old = status(fake)["stable"]["revision"]
        fake.write(external(image="example.com/llm:2"), manager="user")

        def at_the_step() -> bool:
            canary = status(fake).get("canary") or {}
            return weights(fake.get(HTTP_ROUTE, "llama", NAMESPACE)).get(canary.get("revision"), 0) == 10

        await until(at_the_step, fake)
        await until(lambda: status(fake)["canary"].get("weight") == 10, fake)
        canary = status(fake)["canary"]
        label(fake, "promote", canary["id"])
        await until(lambda: settled(fake) and status(fake)["stable"]["revision"] == canary["revision"], fake)
        await until(lambda: fake.get(DEPLOYMENT, f"llama-{old}", NAMESPACE) is None, fake)
        await quiet(fake, 1)

    route = fake.get(HTTP_ROUTE, "llama", NAMESPACE)
    assert {k: v for k, v in weights(route).items() if v} == {canary["revision"]: 100}
    stable = fake.get(SERVICE, "llama", NAMESPACE)
    assert stable["spec"]["selector"]["serving-operator.dev/revision"] == canary["revision"]
    committed = json.loads(stable["metadata"]["annotations"]["serving-operator.dev/committed"])
    attempt = Attempt.parse(committed["id"])
    assert attempt is not None
    assert attempt.revision == canary["revision"]
    managers = {
        entry["manager"]
        for entry in fake.get(INFERENCE_SERVICE, "llama", NAMESPACE)["metadata"]["managedFields"]
        if "f:spec" in entry["fieldsV1"]
    }
    assert managers == {"user"}


async def test_a_quota_without_room_keeps_refusing(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the service is looked at, no attempt begins before there is room; then one does by itself."""
    monkeypatch.setattr(attempts, "UNWATCHED_AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(asked, "FRESH_FOR", timedelta(0))
    place = {"name": "small", "namespace": NAMESPACE}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": place}
    fake.write(external(), manager="user")
    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: settled(fake), fake)
        fake.write(quota | {"spec": {"hard": {"pods": "1"}}})
        full = {"hard": {"pods": "1"}, "used": {"pods": "1"}}
        fake.write(quota | {"status": full}, subresource="status")
        fake.write(external(image="example.com/llm:2"), manager="user")
        await until(lambda: condition(fake, "Stalled").get("reason") == "QuotaExceeded", fake)

        await asyncio.sleep(1.0)  # five more looks
        assert condition(fake, "Stalled").get("reason") == "QuotaExceeded"
        assert "canary" not in status(fake)

        fake.write(quota | {"status": {"hard": {"pods": "2"}, "used": {"pods": "1"}}}, subresource="status")
        await until(lambda: "canary" in status(fake), fake)


async def test_an_abort_by_label_takes_the_traffic_first(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The abort label rejects the canary: its weight goes before its pods do, and nothing of it stays."""
    fake.write(external())
    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: settled(fake), fake)
        old = status(fake)["stable"]["revision"]
        fake.write(external(image="example.com/llm:2"))
        await until(lambda: (status(fake).get("canary") or {}).get("weight") == 10, fake)
        canary = status(fake)["canary"]
        label(fake, "abort", canary["id"])
        await until(lambda: "canary" not in status(fake), fake)
        await until(lambda: fake.get(DEPLOYMENT, f"llama-{canary['revision']}", NAMESPACE) is None, fake)
        await quiet(fake, 1)

    assert status(fake)["stable"]["revision"] == old
    assert [entry["id"] for entry in status(fake)["rejected"]] == [canary["id"]]
    route = fake.get(HTTP_ROUTE, "llama", NAMESPACE)
    assert {k: v for k, v in weights(route).items() if v} == {old: 100}


async def test_a_budget_is_split_and_comes_back(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With surge Budget stable gives up what its traffic took with it, and gets it back before the rest of the traffic."""
    shared: dict[str, Any] = {
        "scaling": {"class": "External", "external": {"replicas": 4}},
        "rollout": {"steps": [{"weight": 50}], "surge": "Budget"},
    }
    fake.write(external(**shared))

    def replicas(revision: str) -> int | None:
        found = fake.get(DEPLOYMENT, f"llama-{revision}", NAMESPACE)
        return int(found["spec"]["replicas"]) if found else None

    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: settled(fake), fake)
        old = status(fake)["stable"]["revision"]
        assert replicas(old) == 4
        fake.write(external(image="example.com/llm:2", **shared))
        await until(lambda: (status(fake).get("canary") or {}).get("weight") == 50, fake)
        canary = status(fake)["canary"]
        await until(lambda: (replicas(old), replicas(canary["revision"])) == (2, 2), fake)
        label(fake, "abort", canary["id"])
        await until(lambda: "aborting" in str(fake.get(HTTP_ROUTE, "llama", NAMESPACE)), fake)
        first = fake.get(HTTP_ROUTE, "llama", NAMESPACE)
        await until(lambda: "canary" not in status(fake), fake)
        await quiet(fake, 1)

    assert weights(first)[canary["revision"]] == 50, "two of four carry half"
    assert replicas(old) == 4
    assert [entry["id"] for entry in status(fake)["rejected"]] == [canary["id"]]


def shipped_rules() -> list[dict[str, Any]]:
    """The operator's rules of the base install."""
    documents = yaml.safe_load_all(Path("manifests/base/rbac-operator.yaml").read_text())
    return [rule for document in documents for rule in document.get("rules") or ()]


async def test_the_shipped_roles_suffice(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the roles of the base install nothing that a rollout, its abort and a repair need is forbidden."""
    fake.knobs.rules["operator"] = shipped_rules()
    fake.write(external())
    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: settled(fake), fake)
        fake.write(external(image="example.com/llm:2"))
        await until(lambda: (status(fake).get("canary") or {}).get("weight") == 10, fake)
        canary = status(fake)["canary"]
        label(fake, "abort", canary["id"])
        await until(lambda: fake.get(DEPLOYMENT, f"llama-{canary['revision']}", NAMESPACE) is None, fake)
        fake.remove(HTTP_ROUTE, "llama", NAMESPACE)
        await until(lambda: fake.get(HTTP_ROUTE, "llama", NAMESPACE), fake)

    assert [request for request in fake.log if request.code == 403] == []


async def test_a_conflict_is_decided_anew(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that met a conflict is not repeated blindly: the object is read, and the rollout goes on."""
    fake.fail(times=4, status=409, match=lambda verb, resource, name: verb == "patch")
    fake.write(external())

    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: settled(fake), fake)

    conflicts = [request for request in fake.log if request.code == 409 and request.user == "operator"]
    assert len(conflicts) == 4


async def test_every_write_says_what_it_was_decided_on(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Creations are creations, never applies of what is not there: no request needed the right to create by patch."""
    fake.write(external())
    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: settled(fake), fake)
        fake.write(external(image="example.com/llm:2"))
        await until(lambda: (status(fake).get("canary") or {}).get("weight") == 10, fake)

    by_patch = [
        request
        for request in fake.writes("operator")
        if request.verb == "patch" and any(check[0] == "create" for check in request.checks)
    ]
    assert by_patch == []


def test_ownership_by_creation_becomes_ownership_by_apply() -> None:
    """What we created is ours by apply, so that the apply can drop it; others' entries stay."""
    ours = {"manager": "serving-operator", "operation": "Update", "fieldsV1": {"f:spec": {}}}
    by_apply = ours | {"operation": "Apply"}
    status_entry = ours | {"subresource": "status"}
    theirs = {"manager": "kubectl", "operation": "Update", "fieldsV1": {}}

    assert applied([ours, status_entry, theirs]) == [status_entry, theirs, by_apply]
    assert applied([ours, by_apply]) == [by_apply]


@pytest.mark.parametrize(
    ("refused", "goes_on"),
    [
        (ObjectId("HTTPRoute", "llama"), False),
        (ObjectId("Service", "llama"), False),
        (ObjectId("Service", "llama-985c2be2"), True),
        (ObjectId("Deployment", "llama-985c2be2"), True),
    ],
)
def test_a_status_does_not_tell_that_traffic_moved_which_did_not(refused: ObjectId, goes_on: bool) -> None:
    """Conditions say what was refused; stable, canary and rejections stay while what carries the traffic is."""
    stalled = {"type": "Stalled", "status": "True", "reason": "Refused", "message": "no"}
    before = {"stable": {"id": "0-1"}, "canary": {"id": "1-1", "weight": 20}, "rejected": []}
    after = {
        "stable": {"id": "0-1"},
        "rejected": [{"id": "1-1", "reason": "Aborted"}],
        "conditions": [stalled],
    }
    plan = Plan(status=after, events=transitions(before, after, {}))
    left = without_progress(plan, refused, {"metadata": {"name": "llama"}, "status": before})

    assert left.status is not None
    assert left.status["conditions"] == [stalled]
    assert ("canary" in left.status) is not goes_on
    assert bool(left.status["rejected"]) is goes_on
    assert [event.reason for event in left.events] == ["Rejected"] * goes_on + ["StalledRefused"]


@pytest.mark.parametrize(
    ("canary", "told"),
    [
        ({"id": "1-1", "weight": 20}, True),  # an abort of the attempt under way is recorded, and acts later
        (
            {"id": "2-1", "weight": 0},
            False,
        ),  # a rollback begins with its command: recorded alone it would be lost
    ],
)
def test_a_command_is_recorded_while_the_route_is_refused(canary: dict[str, Any], told: bool) -> None:
    """What a person commands is heard, whatever the API server refuses meanwhile."""
    before = {"stable": {"id": "0-1"}, "canary": {"id": "1-1", "weight": 10}}
    command = {"kind": "Abort", "id": "1-1", "time": "2026-01-01T00:00:00Z"}
    plan = Plan(status={"stable": {"id": "0-1"}, "canary": canary, "commands": [command]})
    service = {"metadata": {"name": "llama"}, "status": before}
    left = without_progress(plan, ObjectId("HTTPRoute", "llama"), service)

    assert left.status is not None
    assert left.status["canary"] == before["canary"]
    assert ("commands" in left.status) is told


async def test_an_attempt_whose_service_is_refused_ends(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota of Services stops the canary's: the cause is told, and its label aborts it."""
    monkeypatch.setattr("serving_operator.reconciler.REFUSED_SECONDS", 0.3)
    fake.write(external(), manager="user")
    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: settled(fake), fake)
        fake.fail(
            times=10_000, status=403, match=lambda verb, kind, name: (verb, kind) == ("create", "services")
        )
        fake.write(external(image="example.com/llm:2"), manager="user")
        await until(lambda: condition(fake, "Stalled").get("reason") == "Refused", fake)
        canary = status(fake)["canary"]
        label(fake, "abort", canary["id"])
        await until(
            lambda: canary["id"] in [entry["id"] for entry in status(fake).get("rejected") or ()], fake
        )
        await until(lambda: fake.get(DEPLOYMENT, f"llama-{canary['revision']}", NAMESPACE) is None, fake)

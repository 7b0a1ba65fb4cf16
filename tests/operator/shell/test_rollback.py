"""A rollback through the whole operator: by the shipped rights, with the route first if the pods were kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving_io.kinds import CONTROLLER_REVISION, DEPLOYMENT, HTTP_ROUTE, POD, SERVICE
from serving_operator.children.route import weights
from serving_operator.world import Manifest
from tests.fakes.kube import FakeKube
from tests.operator.shell.surroundings import NAMESPACE, condition, external, operator, quiet, until
from tests.operator.shell.test_rollout import label, settled, shipped_rules, status


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    """A fake API server with the namespace of the tests, and the operator's rights as they are shipped."""
    with FakeKube() as server:
        server.namespace(NAMESPACE)
        server.knobs.rules["operator"] = shipped_rules()
        yield server


def service(version: str, keep_warm_seconds: int) -> Manifest:
    """A service that keeps its former revision's pods for so long."""
    rollout = {"soakSeconds": 0, "keepWarmSeconds": keep_warm_seconds}
    return external(image=f"example.com/llm:{version}", rollout=rollout)


async def second_committed(fake: FakeKube, keep_warm_seconds: int) -> tuple[str, str]:
    """Bring two revisions into service, one after the other; return the first, and the second one's attempt."""
    fake.write(service("1", keep_warm_seconds), manager="user")
    await until(lambda: settled(fake), fake)
    first = status(fake)["stable"]["revision"]
    fake.write(service("2", keep_warm_seconds), manager="user")
    await until(lambda: (status(fake).get("canary") or {}).get("weight") == 10, fake)
    attempt = status(fake)["canary"]["id"]
    label(fake, "promote", attempt)
    await until(lambda: settled(fake) and status(fake)["stable"]["id"] == attempt, fake)
    return first, attempt


def rolled_back(fake: FakeKube, first: str) -> bool:
    """Whether the first revision is committed again, and nothing of the second one runs."""
    back = status(fake)["stable"]["revision"] == first and "canary" not in status(fake)
    return back and [found["metadata"]["name"] for found in fake.objects(DEPLOYMENT)] == [f"llama-{first}"]


@pytest.mark.parametrize("keep_warm_seconds", [0, 3600], ids=["cold", "warm"])
async def test_a_committed_revision_is_rolled_back(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep_warm_seconds: int
) -> None:
    """All of the traffic, the stable Service and the mark are the first revision's again; the second is rejected."""
    async with operator(fake, tmp_path, monkeypatch):
        first, attempt = await second_committed(fake, keep_warm_seconds)
        if not keep_warm_seconds:
            await until(lambda: fake.get(DEPLOYMENT, f"llama-{first}", NAMESPACE) is None, fake)
        await quiet(fake, 1)
        pods = {pod["metadata"]["uid"] for pod in fake.objects(POD)}
        before = len(fake.writes("operator"))
        label(fake, "abort", attempt)
        await until(lambda: rolled_back(fake, first), fake)
        await quiet(fake, 1)

    written = [(write.verb, write.resource) for write in fake.writes("operator")[before:]]
    objects = [entry for entry in written if entry[1] not in ("events", "inferenceservices/status")]
    if keep_warm_seconds:
        assert objects[0] == ("patch", "httproutes"), written
        assert {pod["metadata"]["uid"] for pod in fake.objects(POD)} <= pods
    assert {k: v for k, v in weights(fake.get(HTTP_ROUTE, "llama", NAMESPACE)).items() if v} == {first: 100}
    stable = fake.get(SERVICE, "llama", NAMESPACE)
    assert stable["spec"]["selector"]["serving-operator.dev/revision"] == first
    records = {found["revision"]: found["metadata"]["name"] for found in fake.objects(CONTROLLER_REVISION)}
    assert records == {3: f"llama-{first}", 2: f"llama-{attempt.split('-')[0]}"}
    rejected = status(fake)["rejected"][-1]
    assert (rejected["id"], rejected["reason"]) == (attempt, "RolledBack")
    assert condition(fake, "UpToDate")["reason"] == "RolledBack"
    assert [request for request in fake.log if request.code == 403] == []

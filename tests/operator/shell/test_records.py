"""What a ControllerRevision says is put back, and believed only where nobody but the operator wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving_api.names import ATTEMPT_ANNOTATION, REVISION_LABEL
from serving_io.kinds import CONTROLLER_REVISION, DEPLOYMENT, INFERENCE_SERVICE
from tests.fakes.kube import FakeKube
from tests.operator.shell.surroundings import NAMESPACE, condition, external, operator, quiet, until


@pytest.mark.parametrize(
    "edit",
    [
        {"metadata": {"annotations": {ATTEMPT_ANNOTATION: '{"id":"00000000-7"}'}}},
        {"metadata": {"annotations": {ATTEMPT_ANNOTATION: "no JSON"}}},
        {"metadata": {"labels": {REVISION_LABEL: "00000000"}}},
        {"revision": 7},
    ],
    ids=["another attempt", "unreadable", "another revision", "another number"],
)
async def test_an_edited_record_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: dict[str, object]
) -> None:
    """The record is as it was, and nothing was made, deleted or started by what it said meanwhile."""
    with FakeKube() as fake:
        fake.namespace(NAMESPACE)
        fake.write(external())
        async with operator(fake, tmp_path, monkeypatch):
            await until(lambda: condition(fake, "Ready").get("status") == "True", fake)
            await quiet(fake, 0.5)
            (before,) = fake.objects(CONTROLLER_REVISION, NAMESPACE)
            deployments = [item["metadata"]["uid"] for item in fake.objects(DEPLOYMENT, NAMESPACE)]
            identity = {key: before["metadata"][key] for key in ("name", "namespace")}
            metadata = identity | dict(edit.get("metadata") or {})  # type: ignore[call-overload]
            fake.write(
                {"apiVersion": "apps/v1", "kind": "ControllerRevision"} | edit | {"metadata": metadata},
                manager="somebody",
            )
            edited = fake.get(CONTROLLER_REVISION, identity["name"], NAMESPACE)
            assert edited["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]

            def restored() -> bool:
                live = fake.get(CONTROLLER_REVISION, identity["name"], NAMESPACE)
                parts = ("labels", "annotations", "ownerReferences")
                return live["revision"] == before["revision"] and all(
                    live["metadata"].get(part) == before["metadata"].get(part) for part in parts
                )

            await until(restored, fake)
            await quiet(fake, 0.5)
            service = fake.get(INFERENCE_SERVICE, "llama", NAMESPACE)

            assert [item["metadata"]["uid"] for item in fake.objects(DEPLOYMENT, NAMESPACE)] == deployments
            assert len(fake.objects(CONTROLLER_REVISION, NAMESPACE)) == 1
            assert not service["status"].get("canary")

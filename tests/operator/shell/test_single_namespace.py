"""The operator under the Roles of the single-namespace overlay: it asks for nothing outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving_operator.config import parse
from serving_operator.world import Manifest
from tests.fakes.kube import FakeKube
from tests.manifests.rendering import of_kind, rendered
from tests.operator.shell.surroundings import FLAGS, NAMESPACE, external, operator, until
from tests.operator.shell.test_rollout import settled


def granted() -> list[Manifest]:
    """The rules of the operator's Roles in the overlay."""
    roles = of_kind(rendered("overlays/single-namespace"), "Role")
    names = ("serving-operator", "serving-operator-lease")
    return [rule for role in roles if role["metadata"]["name"] in names for rule in role["rules"]]


async def test_one_namespace_is_all_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request names the namespace that the operator lives in and watches, and none is forbidden."""
    started = parse(FLAGS, {"WATCH_NAMESPACE": NAMESPACE, "POD_NAMESPACE": NAMESPACE})
    with FakeKube() as fake:
        for name in (NAMESPACE, "elsewhere"):
            fake.namespace(name)
        fake.knobs.rules["operator"] = granted()
        fake.write(external())
        elsewhere = external("other")
        elsewhere["metadata"]["namespace"] = "elsewhere"
        fake.write(elsewhere)
        config = {field: getattr(started, field) for field in ("namespaces", "lease_namespace", "settings")}
        async with operator(fake, tmp_path, monkeypatch, **config):
            await until(lambda: settled(fake), fake)

        asked = [request for request in fake.log if request.user == "operator" and request.resource]
    assert {request.namespace for request in asked} == {NAMESPACE}
    assert [request for request in asked if request.code == 403] == []

"""An upgrade of the operator replaces no pod: today's code makes of old services what each release has made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from serving_api.revision import revision_of
from serving_api.service import InferenceService
from serving_operator.children.deployment import deployment
from tests.operator.goldens.render import HERE, record

FILES = sorted(HERE.glob("*/*.yaml"))
REMEDY = "docs/operations.md, For maintainers, says what to do"


@pytest.fixture(params=FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def golden(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a release wrote down of one service."""
    path: Path = request.param
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def test_the_revision_is_the_same(golden: dict[str, Any]) -> None:
    """Another name for what has not changed would start a canary of every such service at the upgrade."""
    predictor = InferenceService.parse(golden["service"]).spec.predictor

    assert revision_of(predictor) == golden["revision"], REMEDY


def test_the_pods_are_built_as_they_were_recorded(golden: dict[str, Any]) -> None:
    """A Deployment is rebuilt from the record that the old release left, so that its pods stay."""
    service = InferenceService.parse(golden["service"])

    rebuilt = deployment(service, golden["record"], 1)

    assert rebuilt["spec"]["template"] == golden["record"]["data"]["podTemplate"]


def test_the_pods_are_rendered_as_they_were(golden: dict[str, Any]) -> None:
    """A record that is lost is made anew from the spec, and gives the same pods."""
    assert record(golden["service"])["data"]["podTemplate"] == golden["record"]["data"]["podTemplate"], REMEDY


def test_there_are_goldens() -> None:
    """A release without any would be upgraded from unseen."""
    assert len(FILES) >= 10

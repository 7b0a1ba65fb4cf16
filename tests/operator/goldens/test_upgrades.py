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
from tests.operator.goldens.specs import PREDICTORS

FILES = sorted(HERE.glob("*/*.yaml"))
NEWEST = max(FILES, key=lambda path: [int(part) for part in path.parent.name.split(".")]).parent
REMEDY = "docs/operations.md, For maintainers, says what to do"

each_golden = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")


def golden_in(path: Path) -> dict[str, Any]:
    """What a release wrote down of one service."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


@each_golden
def test_the_revision_is_the_same(path: Path) -> None:
    """Another name for what has not changed would start a canary of every such service at the upgrade."""
    golden = golden_in(path)
    predictor = InferenceService.parse(golden["service"]).spec.predictor

    assert revision_of(predictor) == golden["revision"], REMEDY


@each_golden
def test_the_pods_are_built_as_they_were_recorded(path: Path) -> None:
    """A Deployment is rebuilt from the record that the old release left, so that its pods stay."""
    golden = golden_in(path)
    service = InferenceService.parse(golden["service"])

    rebuilt = deployment(service, golden["record"], 1)

    assert rebuilt["spec"]["template"] == golden["record"]["data"]["podTemplate"]


@pytest.mark.parametrize("path", sorted(NEWEST.iterdir()), ids=lambda path: path.stem)
def test_the_pods_are_rendered_as_by_the_newest_release(path: Path) -> None:
    """A record that is lost is made anew from the spec, and gives the same pods, unless a release means to change them."""
    golden = golden_in(path)

    assert record(golden["service"])["data"]["podTemplate"] == golden["record"]["data"]["podTemplate"], REMEDY


def test_there_are_goldens_of_every_service() -> None:
    """Of what was added last too: a kind of service without one would be upgraded unseen."""
    assert {path.stem for path in NEWEST.iterdir()} == set(PREDICTORS)

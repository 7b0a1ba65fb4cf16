"""How two releases are told apart, and had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.upgrade import releases
from loadtests.upgrade.releases import NoReleaseError, Release, environment
from localcluster.node.catalogue import TREES, find, images, trees


def test_the_programs_of_another_checkout_are_images_of_its_tag() -> None:
    """Each runs the files of its own tree; the one that is always there stays."""
    made = [Release(name, Path(f"/{name}"), Path("/k")) for name in ("other", "present")]
    found = images(None, Path("/cache"), trees(environment(*made)[TREES]))

    for program in ("operator", "autoscaler"):
        name = f"ghcr.io/serving-operator/{program}"
        assert find(found, f"{name}:other").env == {"PYTHONPATH": "/other"}
        assert find(found, f"{name}:present").env == {"PYTHONPATH": "/present"}
        assert find(found, f"{name}:0.1.0").env != {"PYTHONPATH": "/present"}
    assert trees("") == {}


def test_a_release_is_installed_from_its_own_manifests(tmp_path: Path) -> None:
    """Its base, with the images of its tag."""
    made = releases._release("other", tmp_path / "tree", tmp_path)
    content = json.loads((made.kustomization / "kustomization.yaml").read_text())

    assert content["resources"] == ["../tree/manifests/base"]
    assert {image["newTag"] for image in content["images"]} == {"other"}
    assert [image["name"].rpartition("/")[2] for image in content["images"]] == ["operator", "autoscaler"]


def test_a_commit_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what git says, and what may help."""
    monkeypatch.setattr(releases, "REPOSITORY", tmp_path)
    with pytest.raises(NoReleaseError, match=r"--from v9: .*git fetch"):
        releases.releases("v9", tmp_path / "out")

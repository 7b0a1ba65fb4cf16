"""How the demo installs the programs."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from loadtests.demo.setup import NAMESPACE, Overlay, _own_kustomization
from tests.manifests.rendering import OVERLAYS, by_id, text


def test_every_overlay_can_be_chosen() -> None:
    """A new folder of manifests/overlays is one to demonstrate."""
    assert set(get_args(Overlay)) == {"base", *OVERLAYS}


def test_a_single_namespace_is_the_demos_own(tmp_path: Path) -> None:
    """All of the overlay lands there, and nothing in the namespace that the manifests name."""
    folder = _own_kustomization(tmp_path / "install", "manifests/overlays/single-namespace")

    objects = by_id(text(folder))

    assert {name.namespace for name in objects} == {NAMESPACE}
    assert {name.kind for name in objects} >= {"Deployment", "Role", "RoleBinding", "ServiceAccount"}
    assert "serving-system" not in text(folder)

"""What kustomize makes of the manifests, by the kubectl of the locked wheel."""

from __future__ import annotations

import copy
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
KUBECTL = Path(sys.executable).with_name("kubectl")
OVERLAYS = tuple(sorted(path.name for path in (MANIFESTS / "overlays").iterdir() if path.is_dir()))
PROGRAMS = ("operator", "autoscaler")

Manifest = dict[str, Any]


class Id(NamedTuple):
    """Where an object is."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, manifest: Manifest) -> Id:
        """Return where the object is."""
        metadata = manifest["metadata"]
        return cls(manifest["kind"], metadata.get("namespace", ""), metadata["name"])


@cache
def text(folder: Path) -> str:
    """What `kubectl kustomize` prints of a folder; raises AssertionError with its words if it fails."""
    done = subprocess.run(
        [str(KUBECTL), "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def _rendered(folder: Path) -> dict[Id, Manifest]:
    return by_id(text(folder))


def rendered(folder: str | Path) -> dict[Id, Manifest]:
    """The objects of a folder below `manifests`, or of any by its path."""
    return copy.deepcopy(_rendered(MANIFESTS / folder))


def by_id(documents: str) -> dict[Id, Manifest]:
    """Objects by where they are; raises AssertionError if two are in one place."""
    found = [entry for entry in yaml.load_all(documents, yaml.CSafeLoader) if entry]
    made = {Id.of(entry): entry for entry in found}
    assert len(made) == len(found), "two objects of one name"
    return made


def of_kind(objects: dict[Id, Manifest], *kinds: str) -> list[Manifest]:
    """The objects of some kinds."""
    return [entry for entry in objects.values() if entry["kind"] in kinds]

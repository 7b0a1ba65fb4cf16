"""`.venv/bin/python -m tests.operator.goldens.render`: write down what this release makes of the services in `specs`.

A file is written once: what a release has made stays what it has made. Before a release is out, delete its folder to
write it anew.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

from serving_api.revision import revision_of
from serving_api.service import InferenceService
from serving_operator.children.revision import controller_revision
from serving_operator.runtimes.catalogue import Catalogue
from tests.operator.goldens.specs import PREDICTORS, service

HERE = Path(__file__).parent
PROJECT = HERE.parents[2] / "pyproject.toml"


def record(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the ControllerRevision that is made of a service."""
    made = InferenceService.parse(manifest)
    return controller_revision(
        made, revision_of(made.spec.predictor), 1, {"id": "golden-1"}, stable=True, runtimes=Catalogue()
    )


def golden(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what is written down of a service: itself, its revision, and the record that its pods are built from."""
    revision = revision_of(InferenceService.parse(manifest).spec.predictor)
    return {"service": manifest, "revision": revision, "record": record(manifest)}


def main() -> int:
    """Write what is missing of this release; exit status 0."""
    version = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"]
    folder = HERE / version
    folder.mkdir(exist_ok=True)
    for name, predictor in PREDICTORS.items():
        path = folder / f"{name}.yaml"
        if path.exists():
            print(f"kept {path}")
            continue
        path.write_text(yaml.safe_dump(golden(service(predictor)), sort_keys=False), encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

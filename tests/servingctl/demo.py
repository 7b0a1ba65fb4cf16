"""The command line on a fake cluster that may have the demo's service in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from serving_api.names import OPERATOR
from serving_api.revision import revision_of
from serving_api.service import InferenceServiceSpec
from serving_io import kinds
from tests.fakes.kube import FakeKube
from tests.servingctl.run import Ran, run

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "manifests/demo/service-v1.yaml"


def manifest(version: int = 1) -> dict[str, Any]:
    """The demo's service."""
    made: dict[str, Any] = yaml.safe_load((ROOT / f"manifests/demo/service-v{version}.yaml").read_text())
    return made


def revision(version: int) -> str:
    """The revision of a version of the demo's service."""
    return revision_of(InferenceServiceSpec.model_validate(manifest(version)["spec"]).predictor)


class Ctl:
    """A fake cluster with the demo's service in it, and the command line on it."""

    def __init__(self, fake: FakeKube, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.fake = fake
        self._config = config
        self._capsys = capsys

    def __call__(self, *arguments: str, namespace: str = "demo") -> Ran:
        """Run a command."""
        return run(self._capsys, *arguments, "--kubeconfig", str(self._config), "-n", namespace)

    def status(self, version: int = 1, **status: Any) -> None:
        """Write the service's spec and status."""
        self.fake.write(manifest(version))
        self.fake.write({**manifest(version), "status": status}, subresource="status")

    def labels(self) -> dict[str, str]:
        """The service's labels."""
        return self.fake.get(kinds.INFERENCE_SERVICE, "digits", "demo")["metadata"].get("labels") or {}

    def own(self, *children: dict[str, Any]) -> None:
        """Write children of the service, as the operator does."""
        live = self.fake.get(kinds.INFERENCE_SERVICE, "digits", "demo")
        owner = {key: live[key] for key in ("apiVersion", "kind")} | {"name": "digits"}
        owner |= {"uid": live["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
        for child in children:
            metadata = {**child["metadata"], "ownerReferences": [owner]}
            self.fake.write({**child, "metadata": metadata}, manager=OPERATOR)

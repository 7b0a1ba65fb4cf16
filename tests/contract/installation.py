"""What the tests of the install share: kubectl as the administrator, and the foreign objects that it needs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from localcluster import established
from localcluster.foreign import crds
from tests.manifests.rendering import KUBECTL, ROOT, Manifest

PATIENCE_SECONDS = 120.0
CRDS = ("inferenceservices.serving-operator.dev", "inferenceautoscalers.serving-operator.dev")
MONITORING = ("podmonitors", "prometheusrules")


@dataclass(frozen=True)
class Admin:
    """The administrator of a real API server."""

    kubeconfig: str

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """What kubectl prints; raises AssertionError with its words if it fails and `check` is set."""
        done = subprocess.run(
            [str(KUBECTL), "--kubeconfig", self.kubeconfig, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def apply(self, objects: Iterable[Manifest], *arguments: str) -> str:
        """Apply objects server-side, fields that nobody knows refused."""
        text = yaml.safe_dump_all(objects)
        return self.kubectl("apply", "--server-side", "--validate=strict", *arguments, "-f", "-", stdin=text)

    def get(self, *arguments: str) -> Any:
        """What `kubectl get` finds, or None."""
        text = self.kubectl("get", "--ignore-not-found", "-o", "json", *arguments)
        return json.loads(text) if text else None

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait for something to be so."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:.0f} s: {what}"
            time.sleep(0.2)

    @property
    def has_the_product(self) -> bool:
        """Whether our kinds are served: then somebody uses this cluster."""
        return self.get("crd", CRDS[0]) is not None

    def serve_kinds(self) -> None:
        """Install our CRDs and those of the Prometheus operator, and wait until they are served."""
        self.kubectl("apply", "--server-side", "-k", "crds")
        for path in monitoring_files():
            self.kubectl("apply", "--server-side", "-f", str(path))
        names = [*CRDS, *(f"{plural}.monitoring.coreos.com" for plural in MONITORING)]
        self.established(*names)

    def established(self, *names: str) -> None:
        """Wait until these CRDs can be used."""
        kubectl = [str(KUBECTL), "--kubeconfig", self.kubeconfig]
        established.wait(kubectl, *(f"crd/{name}" for name in names), seconds=PATIENCE_SECONDS)

    def remove_kinds(self, *, ours: bool) -> None:
        """Undo that; with `ours`, for our own kinds too."""
        names = [f"{plural}.monitoring.coreos.com" for plural in MONITORING]
        self.kubectl("delete", "crd", "--ignore-not-found", *names, *(CRDS if ours else ()))


def monitoring_files() -> list[Path]:
    """The CRDs of the kinds of the Prometheus operator that are used."""
    return [crds("prometheus-operator") / f"monitoring.coreos.com_{plural}.yaml" for plural in MONITORING]

"""Write the chart's files from what kustomize renders: `.venv/bin/python manifests/helm/chart.py [--check]`.

CRDs and the Namespace are left out: Helm never upgrades the one, and `helm install --create-namespace` makes the other.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
MANIFESTS = HERE.parent
KUBECTL = Path(sys.executable).with_name("kubectl")
"""Of the locked wheel: other versions may lay out the same objects differently."""
HEAD = "# Written by `make manifests` from manifests/{}; `make lint` compares.\n"
LEFT_OUT = ("CustomResourceDefinition", "Namespace")
PARTS = {
    "high-availability": ("PodDisruptionBudget",),
    "monitors": ("PodMonitor", "PrometheusRule"),
    "network-policies": ("NetworkPolicy",),
}
"""Kinds of the objects that each component adds to the base."""
COMPONENTS = ("high-availability", "prometheus-operator", "network-policies")

Manifest = dict[str, Any]


def render(*components: str) -> list[Manifest]:
    """Return what kustomize makes of the base with these components."""
    with tempfile.TemporaryDirectory() as folder:
        there = os.path.relpath(MANIFESTS, Path(folder).resolve())
        kustomization = {
            "resources": [f"{there}/base"],
            "components": [f"{there}/components/{component}" for component in components],
        }
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        done = subprocess.run(
            [str(KUBECTL), "kustomize", folder], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(f"kubectl kustomize failed: {done.stderr}")
    return [entry for entry in yaml.safe_load_all(done.stdout) if entry["kind"] not in LEFT_OUT]


def files() -> dict[str, str]:
    """Return the files of the chart, by their paths in it."""
    everything = render(*COMPONENTS)
    made = {"cluster": ("base", render()), "single-namespace": ("overlays", render("single-namespace"))}
    for part, kinds in PARTS.items():
        made[part] = ("components", [entry for entry in everything if entry["kind"] in kinds])
    texts = {
        f"files/{part}.yaml": HEAD.format(source) + yaml.safe_dump_all(objects, sort_keys=False, width=120)
        for part, (source, objects) in made.items()
    }
    for program in ("operator", "autoscaler"):
        patch = (MANIFESTS / "components" / "high-availability" / f"{program}.yaml").read_text()
        texts[f"files/high-availability/serving-{program}.yaml"] = HEAD.format("components") + patch
    return texts


def main() -> None:
    """Write or check the chart's files."""
    parser = argparse.ArgumentParser(prog="python manifests/helm/chart.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a file differs instead of writing it")
    check = parser.parse_args().check
    stale = []
    for name, text in files().items():
        path = HERE / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    if check and stale:
        sys.exit(f"{', '.join(stale)} of the chart differ from what kustomize renders: run `make manifests`")


if __name__ == "__main__":
    main()

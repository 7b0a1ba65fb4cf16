"""helm, kubeconform and foreign CRDs: from PATH, else built or taken once from their Go modules, into the local cluster's cache."""

from __future__ import annotations

import shutil
from pathlib import Path

from localcluster import gobuild
from localcluster.lock import exclusive
from localcluster.paths import cache_dir
from localcluster.progress import Progress
from localcluster.versions import HELM, KUBECONFORM

PINNED = {"helm": HELM, "kubeconform": KUBECONFORM}
MONITORING = "github.com/prometheus-operator/prometheus-operator"
MONITORING_VERSION = "v0.85.0"
MONITORING_SUM = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="


def program(name: str) -> Path:
    """helm or kubeconform; about three minutes and half a minute of CPU time where they are built."""
    if found := shutil.which(name):
        return Path(found)
    directory = cache_dir() / f"{name}-{PINNED[name]}"
    target = directory / name
    progress = Progress()
    with exclusive(directory.with_name(f"{directory.name}.lock"), lambda: progress.say(f"{name}: waiting")):
        if not target.is_file():
            progress.say(f"{name}: building from its Go module, once")
            gobuild.build(gobuild.toolchain(cache_dir(), progress), name, target, progress)
    return target


def monitoring_crds() -> Path:
    """A folder with the CRDs of the Prometheus operator."""
    target = cache_dir() / f"prometheus-operator-{MONITORING_VERSION}" / "crds"
    progress = Progress()
    with exclusive(target.parent / "lock"):
        if not target.is_dir():
            go = gobuild.toolchain(cache_dir(), progress)
            archive = gobuild.module_zip(go, MONITORING, MONITORING_VERSION, MONITORING_SUM)
            prefix = f"{MONITORING}@{MONITORING_VERSION}/example/prometheus-operator-crd/"
            gobuild.extract(archive, prefix, target)
    return target

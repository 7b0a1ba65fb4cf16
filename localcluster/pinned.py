"""Programs that tests and benchmarks need beside a cluster: from PATH, else built once from their Go modules."""

from __future__ import annotations

import shutil
from pathlib import Path

from localcluster import gobuild
from localcluster.lock import exclusive
from localcluster.paths import cache_dir
from localcluster.progress import Progress
from localcluster.versions import HELM, KEDA, KSTATUS, KUBECONFORM, METRICS_SERVER

PINNED = {
    "helm": HELM,
    "kubeconform": KUBECONFORM,
    "kstatus": KSTATUS,
    "metrics-server": METRICS_SERVER,
    "keda-operator": KEDA,
    "keda-adapter": KEDA,
}
"""kstatus is a program of ours around the library of this version."""


def program(name: str) -> Path:
    """One of PINNED; KEDA's two take some ten minutes of CPU time where they are built, helm three, the others half of one."""
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

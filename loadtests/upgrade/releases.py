"""Two releases side by side: the files of another commit, and how each is installed."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from localcluster.node.catalogue import TREES
from localcluster.paths import REPOSITORY

PRESENT, OTHER = "present", "other"
PROGRAMS = ("operator", "autoscaler")


class NoReleaseError(Exception):
    """The other release is not to be had; the message says why, and what helps."""


@dataclass(frozen=True)
class Release:
    """A release: the tag that its images have here, its files, and the kustomization that installs it."""

    name: str
    tree: Path
    kustomization: Path


def releases(commit: str, folder: Path) -> tuple[Release, Release]:
    """Return the release of a commit, whose files are laid into `folder`, and the present one. Raises NoReleaseError."""
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(_archive(commit))) as content:
        content.extractall(tree, filter="data")
    return _release(OTHER, tree, folder), _release(PRESENT, REPOSITORY, folder)


def environment(*found: Release) -> dict[str, str]:
    """Return what tells the local cluster where the programs of each release are."""
    return {TREES: os.pathsep.join(f"{release.name}={release.tree}" for release in found)}


def name_of(commit: str) -> str:
    """Return a commit as `git describe` calls it. Raises NoReleaseError."""
    return _git("describe", "--always", "--tags", commit).decode().strip()


def _release(name: str, tree: Path, folder: Path) -> Release:
    kustomization = folder / name
    kustomization.mkdir(parents=True, exist_ok=True)
    base = os.path.relpath(tree / "manifests" / "base", kustomization)
    images = [{"name": f"ghcr.io/serving-operator/{program}", "newTag": name} for program in PROGRAMS]
    content = {"resources": [base], "images": images}
    (kustomization / "kustomization.yaml").write_text(json.dumps(content) + "\n", encoding="utf-8")
    return Release(name, tree, kustomization)


def _archive(commit: str) -> bytes:
    return _git("archive", "--format=tar", commit)


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True)
    except FileNotFoundError as error:
        raise NoReleaseError("no `git` on PATH; the other release is read from the repository") from error
    if done.returncode:
        raise NoReleaseError(
            f"--from {arguments[-1]}: {done.stderr.decode(errors='replace').strip()}; name a tag or a commit, "
            "and fetch it first (git fetch --tags --unshallow)"
        )
    return done.stdout

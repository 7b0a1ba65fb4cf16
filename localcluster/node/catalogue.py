"""Which local command stands for which public image reference. Data, and its look-up."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from localcluster.environments import (
    EnvironmentBuildError,
    ensure_model_downloader,
    model_downloader_python,
)
from localcluster.progress import Progress

LISTEN = "{listen}"
TREES = "SERVING_LOCAL_CLUSTER_TREES"
"""Names other checkouts of this repository, as `TAG=DIRECTORY` with the separator of PATH between them: the programs
of each are images with that tag."""
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_REPOSITORY_DIR = Path(__file__).resolve().parents[2]
_REFERENCE = re.compile(
    r"(?P<name>(?:[\w.-]+:\d+/)?[\w.-]+(?:/[\w.-]+)*)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class ImageError(Exception):
    """An image or a program in it cannot be had; `reason` is what a kubelet calls it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ProgramError(Exception):
    """A container's program cannot be started."""


@dataclass(frozen=True)
class Image:
    """One image: what it runs unless told otherwise, and the local programs behind its own."""

    name: str
    tags: frozenset[str]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    programs: Mapping[str, Path] = field(default_factory=dict)
    needs: Path | None = None
    """A file that must exist before anything of this image runs."""
    install: Callable[[], object] | None = None
    """Makes it exist, at the first use of the image; without it whoever started the cluster has."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Set over the pod's own: what an address of its own takes. `{listen}` is the pod's listen address."""

    def argv(self, command: Sequence[str], args: Sequence[str]) -> list[str]:
        """The local command line for a container's `command` and `args`, by the rules of images."""
        line = [*command, *args] if command else [*self.entrypoint, *(args or self.command)]
        if not line:
            raise ImageError("RunContainerError", f"no command specified, and image {self.name} has none")
        program = self.programs.get(os.path.basename(line[0]))
        found = str(program) if program else shutil.which(line[0], path=_SYSTEM_PATH)
        if not found:
            raise ProgramError(f'exec: "{line[0]}": executable file not found in $PATH')
        return [found, *line[1:]]

    def pull(self) -> None:
        """Have what it needs. Raises ImageError."""
        if self.install is not None:
            try:
                self.install()
            except EnvironmentBuildError as error:
                raise ImageError("ErrImagePull", str(error)) from error
        if self.needs and not self.needs.exists():
            raise ImageError("ErrImagePull", f"{self.name} needs {self.needs}, which is not installed (yet)")

    @property
    def path(self) -> str:
        """The container's PATH."""
        own = dict.fromkeys(str(program.parent) for program in self.programs.values())
        return ":".join([*own, _SYSTEM_PATH])


def trees(stated: str) -> dict[str, Path]:
    """Checkouts by tag, as the variable TREES states them."""
    pairs = (pair.partition("=") for pair in stated.split(os.pathsep) if pair)
    return {tag: Path(directory) for tag, _, directory in pairs}


def images(
    model_server_python: Path | None, cache: Path, others: Mapping[str, Path] | None = None
) -> tuple[Image, ...]:
    """The catalogue; `others` are further checkouts by tag. MLServer's address is not in its command line, hence its `env`."""
    python = Path(sys.executable)
    server = model_server_python or Path("/nonexistent/python")
    downloader = model_downloader_python(cache)

    def program(module: str, name: str, tag: str = "0.1.0", tree: Path = _REPOSITORY_DIR) -> Image:
        return Image(
            name=f"ghcr.io/serving-operator/{name}",
            tags=frozenset({tag}),
            entrypoint=("python", "-m", module),
            programs={"python": python},
            env={"PYTHONPATH": str(tree)},
        )

    return (
        Image(
            name="docker.io/seldonio/mlserver",
            tags=frozenset({"1.7.1", "1.7.1-sklearn"}),
            command=("mlserver", "start", "/mnt/models"),
            programs={"mlserver": server.parent / "mlserver", "python": server, "python3": server},
            needs=server,
            env={"MLSERVER_HOST": LISTEN},
        ),
        Image(
            name="docker.io/library/python",
            tags=frozenset({"3.11-slim", "3.12-slim"}),
            command=("python3",),
            programs={"python": python, "python3": python},
        ),
        Image(name="docker.io/library/busybox", tags=frozenset({"1.37"}), command=("sh",)),
        program("serving_operator", "operator"),
        program("autoscaler", "autoscaler"),
        *(
            program(module, name, tag, tree)
            for tag, tree in (others or {}).items()
            for module, name in (("serving_operator", "operator"), ("autoscaler", "autoscaler"))
        ),
        replace(
            program("model_downloader", "model-downloader"),
            programs={"python": downloader},
            needs=downloader,
            install=partial(ensure_model_downloader, cache, Progress()),
        ),
    )


def canonical(reference: str) -> tuple[str, str]:
    """A reference's full name and its tag; a digest is checked for form and left out."""
    match = _REFERENCE.fullmatch(reference)
    if not match:
        raise ImageError("InvalidImageName", f"couldn't parse image name {reference!r}")
    name, tag = match["name"], match["tag"]
    first, _, rest = name.partition("/")
    if not rest or not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}" if rest else f"docker.io/library/{name}"
    return name, tag or ("" if match["digest"] else "latest")


def find(catalogue: Sequence[Image], reference: str) -> Image:
    """The image behind a reference; raises ImageError that names the catalogue."""
    name, tag = canonical(reference)
    for image in catalogue:
        if image.name == name and (tag in image.tags or not tag):
            return image
    known = ", ".join(f"{image.name}:{tag}" for image in catalogue for tag in sorted(image.tags))
    raise ImageError(
        "ErrImagePull",
        f"{name}:{tag or 'latest'} is not in the local cluster's catalogue (localcluster/node/catalogue.py), "
        f"which stands in for a registry; it has {known}",
    )

"""Image references and the local commands behind them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from localcluster.environments import EnvironmentBuildError, model_downloader_python
from localcluster.node.catalogue import ImageError, ProgramError, canonical, find, images

CATALOGUE = images(Path(sys.executable), Path("/cache"))
DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("reference", "name", "tag"),
    [
        ("python:3.11-slim", "docker.io/library/python", "3.11-slim"),
        ("seldonio/mlserver:1.7.1", "docker.io/seldonio/mlserver", "1.7.1"),
        ("docker.io/seldonio/mlserver:1.7.1-sklearn", "docker.io/seldonio/mlserver", "1.7.1-sklearn"),
        (f"ghcr.io/serving-operator/operator:0.1.0@{DIGEST}", "ghcr.io/serving-operator/operator", "0.1.0"),
        (f"busybox@{DIGEST}", "docker.io/library/busybox", ""),
        ("localhost:5000/a/b", "localhost:5000/a/b", "latest"),
        ("registry.example:5000/a:1", "registry.example:5000/a", "1"),
    ],
)
def test_canonical(reference: str, name: str, tag: str) -> None:
    """A reference gets the registry and the tag that a container runtime would add."""
    assert canonical(reference) == (name, tag)


@pytest.mark.parametrize("reference", ["", "a b", "python:", "python@sha256:12", "UP/../x:1 "])
def test_invalid_reference(reference: str) -> None:
    """What is no reference is InvalidImageName, as a kubelet says."""
    with pytest.raises(ImageError, match="couldn't parse image name") as raised:
        canonical(reference)
    assert raised.value.reason == "InvalidImageName"


@pytest.mark.parametrize("reference", ["vllm/vllm-openai:v0.10.0", "python:2.7", "seldonio/mlserver"])
def test_unknown_image_names_the_catalogue(reference: str) -> None:
    """An image that is not in the catalogue fails to be pulled, and the message lists what there is."""
    with pytest.raises(ImageError, match=r"catalogue\.py.*it has .*mlserver:1\.7\.1-sklearn") as raised:
        find(CATALOGUE, reference)
    assert raised.value.reason == "ErrImagePull"


def test_image_whose_environment_is_missing(tmp_path: Path) -> None:
    """The model server's image cannot be had before its environment is installed, and says so."""
    with pytest.raises(ImageError, match="not installed"):
        find(images(tmp_path / "bin" / "python", tmp_path), "seldonio/mlserver:1.7.1").pull()


def test_an_environment_that_cannot_be_built_is_an_image_that_cannot_be_pulled(tmp_path: Path) -> None:
    """The installer's words are the kubelet's."""

    def fails() -> None:
        raise EnvironmentBuildError("model-downloader: no index can be reached")

    found = find(images(None, tmp_path), "ghcr.io/serving-operator/model-downloader:0.1.0")
    assert found.needs == model_downloader_python(tmp_path)
    with pytest.raises(ImageError, match="no index can be reached") as raised:
        replace(found, install=fails).pull()
    assert raised.value.reason == "ErrImagePull"


def test_mlserver_listens_on_its_own_address() -> None:
    """MLServer takes its address from the environment; its default command serves /mnt/models."""
    image = find(CATALOGUE, "seldonio/mlserver:1.7.1-sklearn")
    assert image.env == {"MLSERVER_HOST": "{listen}"}
    server = str(Path(sys.executable).parent / "mlserver")
    assert image.argv([], []) == [server, "start", "/mnt/models"]
    assert image.argv(["mlserver", "start", "/m"], []) == [server, "start", "/m"]


def test_command_and_args() -> None:
    """args follow the image's entrypoint; command replaces both, as in a container."""
    operator = find(CATALOGUE, "ghcr.io/serving-operator/operator:0.1.0")
    assert operator.argv([], ["run", "-v"]) == [sys.executable, "-m", "serving_operator", "run", "-v"]
    assert operator.argv(["python"], ["-V"]) == [sys.executable, "-V"]
    busybox = find(CATALOGUE, "busybox:1.37")
    assert busybox.argv(["sleep"], ["1"])[1:] == ["1"]


def test_unknown_program() -> None:
    """A program that the image does not have is named in the error."""
    with pytest.raises(ProgramError, match='exec: "nvidia-smi-not-here": executable file not found'):
        find(CATALOGUE, "busybox:1.37").argv(["nvidia-smi-not-here"], [])

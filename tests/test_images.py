"""The images that the base install names can be built from this repository, and run as it expects."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINES = (ROOT / "Containerfile").read_text().replace("\\\n", "").splitlines()
PROGRAMS = ("operator", "autoscaler")


def words(instruction: str) -> list[list[str]]:
    """What follows each of these instructions, as words."""
    return [line.split()[1:] for line in LINES if line.startswith(f"{instruction} ")]


def pins(lock: str) -> set[str]:
    """Names and versions of a lock file, each with its hashes."""
    text = (ROOT / "requirements" / lock).read_text()
    found = re.findall(r"^(\S+==\S+)(?: ;[^\\\n]*)? \\\n +--hash=sha256:", text, re.MULTILINE)
    assert len(found) == len(re.findall(r"^\S+==", text, re.MULTILINE)), "one without a hash"
    return set(found)


def container(program: str) -> dict[str, Any]:
    """The pod's and the container's part of a program's Deployment, as one."""
    manifest = yaml.safe_load((ROOT / "manifests" / "base" / f"{program}.yaml").read_text())
    spec = manifest["spec"]["template"]["spec"]
    (only,) = spec["containers"]
    return {**only, "user": spec["securityContext"]["runAsUser"]}


def test_every_source_that_is_copied_exists() -> None:
    """And every package of the wheel, with what its metadata names, is among them."""
    sources = {source for copied in words("COPY") if "--from=build" not in copied for source in copied[:-1]}
    assert [source for source in sources if not (ROOT / source).exists()] == []
    metadata = {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    assert sources >= {*PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"], *metadata}


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_image_runs_its_program_as_the_deployment_expects(program: str) -> None:
    """The target's entrypoint is the console script; the Deployment sets no command, and agrees on the user."""
    after = LINES[LINES.index(f"FROM program AS {program}") + 1]
    assert json.loads(after.removeprefix("ENTRYPOINT ")) == [f"serving-{program}"]
    assert f"serving-{program}" in PROJECT["project"]["scripts"]
    wanted = container(program)
    assert "command" not in wanted
    assert "args" not in wanted
    assert words("USER") == [[f"{wanted['user']}:{wanted['user']}"]]


def test_the_base_is_pinned_and_what_is_installed_is_locked() -> None:
    """One base of a named version for both stages; every package from an index is checked by its hash."""
    assert [stage[0] for stage in words("FROM") if "/" in stage[0]] == ["docker.io/library/python:3.11-slim"]
    installs = re.findall(r"pip install (.*?)(?: &&|$)", "\n".join(LINES), re.MULTILINE)
    assert len(installs) == 3
    ours = "--no-cache-dir --no-deps wheels/*.whl"
    assert all("--require-hashes" in install or install == ours for install in installs)


def test_images_hold_what_was_tested() -> None:
    """Their locks are part of the one that the tests run with, build backend included."""
    tested = pins("dev.lock")
    assert pins("runtime.lock") < tested
    assert pins("build.lock") < tested
    assert set(PROJECT["build-system"]["requires"]) <= pins("build.lock")


def test_the_readme_renames_the_images_of_the_base() -> None:
    """The kustomization that it shows names exactly the images in use, with their tags."""
    text = (ROOT / "README.md").read_text()
    shown = yaml.safe_load(text.split("```yaml\nresources:")[1].split("```")[0].partition("\n")[2])
    renamed = {f"{entry['name']}:{entry['newTag']}" for entry in shown["images"]}
    assert renamed == {container(program)["image"] for program in PROGRAMS}
    for entry in shown["images"]:
        program = entry["name"].rpartition("/")[2]
        assert f"--target {program} --tag {entry['newName']}:{entry['newTag']} ." in text

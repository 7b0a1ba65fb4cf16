"""The images that the base install names: what goes into them, and that they run as it expects."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINES = (ROOT / "Containerfile").read_text().replace("\\\n", "").splitlines()
PACKAGES: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
PROGRAMS = {"operator": "serving_operator", "autoscaler": "autoscaler"}


def stages() -> dict[str, list[list[str]]]:
    """The instructions of each stage, as words; the first is its FROM."""
    found: dict[str, list[list[str]]] = {}
    name = ""
    for line in LINES:
        words = line.split()
        if words and words[0] == "FROM":
            name = words[3]
            found[name] = []
        if name and words and not line.startswith("#"):
            found[name].append(words)
    return found


def lineage(stage: str) -> list[str]:
    """The stage and all that it is built upon or copies from, itself first."""
    known, found = stages(), [stage]
    for name in found:
        for words in known.get(name, []):
            others = [words[1]] if words[0] == "FROM" else []
            others += [word.removeprefix("--from=") for word in words if word.startswith("--from=")]
            found += [other for other in others if other in known and other not in found]
    return found


def copied(stage: str) -> set[str]:
    """What of this repository is copied into a stage, or into one that it takes from."""
    return {
        source
        for name in lineage(stage)
        for words in stages()[name]
        if words[0] == "COPY" and not words[1].startswith("--from=")
        for source in words[1:-1]
    }


def pins(lock: str) -> set[str]:
    """Names and versions of a lock file, each with its hashes."""
    text = (ROOT / "requirements" / lock).read_text()
    found = re.findall(r"^(\S+==\S+)(?: ;[^\\\n]*)? \\\n +--hash=sha256:", text, re.MULTILINE)
    assert len(found) == len(re.findall(r"^\S+==", text, re.MULTILINE)), "one without a hash"
    assert "://" not in text
    return set(found)


def imported(package: str) -> set[str]:
    """The distributions that a package imports, by way of our own modules too."""
    left, seen, found = [*(ROOT / package).rglob("*.py")], set[Path](), set[str]()
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                top = name.partition(".")[0]
                if top in PACKAGES:
                    module = ROOT / name.replace(".", "/")
                    left += [at for at in (module.with_suffix(".py"), module / "__init__.py") if at.exists()]
                elif top not in sys.stdlib_module_names:
                    found.add({"yaml": "pyyaml"}.get(top, top.replace("_", "-")))
    return found


def container(program: str) -> dict[str, Any]:
    """The pod's and the container's part of a program's Deployment, as one."""
    manifest = yaml.safe_load((ROOT / "manifests" / "base" / f"{program}.yaml").read_text())
    spec = manifest["spec"]["template"]["spec"]
    (only,) = spec["containers"]
    return {**only, "user": spec["securityContext"]["runAsUser"]}


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_image_is_made_of_its_own_lock_and_the_wheel(program: str) -> None:
    """Of this repository go in the packages that run, their metadata, the build backend's lock and the program's, no more."""
    metadata = {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    locks = {"requirements/build.lock", f"requirements/{program}.lock"}

    assert copied(program) == {*PACKAGES, *metadata, *locks}
    assert [source for source in copied(program) if not (ROOT / source).exists()] == []
    into_the_last = [words for words in stages()[program] if words[0] == "COPY"]
    assert into_the_last == [
        ["COPY", f"--from={program}-environment", "/opt/serving", "/opt/serving"],
    ], "neither sources nor the build backend"


def test_the_wheel_holds_what_runs(tmp_path: Path) -> None:
    """The packages that run and nothing else: no tests, no local cluster, no load tests."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")

    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    kept = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert names == kept


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_lock_is_for_what_the_program_imports(program: str) -> None:
    """Its input names exactly the distributions that the program's modules import, each a dependency of the project."""
    asked = (ROOT / "requirements" / f"{program}.in").read_text().splitlines()[1:]
    declared = {re.split(r"[<>=]", entry)[0] for entry in PROJECT["project"]["dependencies"]}

    assert set(asked) == imported(PROGRAMS[program])
    assert set(asked) <= declared
    assert {pin.partition("==")[0] for pin in pins(f"{program}.lock")} >= set(asked)


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_image_runs_its_program_as_the_deployment_expects(program: str) -> None:
    """The target's entrypoint is the console script; the Deployment sets no command, and agrees on the user."""
    entrypoint = stages()[program][-1]
    assert entrypoint[0] == "ENTRYPOINT"
    assert json.loads(" ".join(entrypoint[1:])) == [f"serving-{program}"]
    assert f"serving-{program}" in PROJECT["project"]["scripts"]
    wanted = container(program)
    assert "command" not in wanted
    assert "args" not in wanted
    assert ["USER", f"{wanted['user']}:{wanted['user']}"] in stages()["program"]
    assert wanted["securityContext"]["readOnlyRootFilesystem"] is True
    written = [mount["mountPath"] for mount in wanted["volumeMounts"] if not mount.get("readOnly")]
    assert written == ["/tmp"]
    assert ["WORKDIR", "/tmp"] in stages()["program"]


def test_the_base_is_pinned_and_what_is_installed_is_locked() -> None:
    """One base of an exact release for all stages; every package from an index is checked by its hash."""
    (default,) = [line.split("=", 1)[1] for line in LINES if line.startswith("ARG BASE=")]
    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim-[a-z]+", default)
    outside = {words[1] for lines in stages().values() for words in lines[:1]} - set(stages())
    assert outside == {"${BASE}"}
    installs = re.findall(r"pip install (.*?)(?: &&|$)", "\n".join(LINES), re.MULTILINE)
    ours = "--no-cache-dir --no-deps wheels/*.whl"
    assert len(installs) == 5
    assert all("--require-hashes" in install or install == ours for install in installs)


def test_the_downloader_is_made_of_its_lock_and_its_package() -> None:
    """On the same base, as a user that is not root; its lock holds what the package imports, and its tests run with the same."""
    lines = (ROOT / "Containerfile.model-downloader").read_text().replace("\\\n", "").splitlines()
    (default,) = [line for line in lines if line.startswith("ARG BASE=")]
    assert default in LINES
    assert {line.split()[1] for line in lines if line.startswith("FROM ")} == {"${BASE}"}
    copies = [line.split()[1] for line in lines if line.startswith("COPY ")]
    assert copies == ["requirements/model-downloader.lock", "--from=build", "model_downloader"]
    assert "USER 65532:65532" in lines
    assert lines[-1] == 'ENTRYPOINT ["python", "-m", "model_downloader"]'
    assert any("--require-hashes --no-deps -r model-downloader.lock" in line for line in lines)
    held = {pin.partition("==")[0] for pin in pins("model-downloader.lock")}
    assert imported("model_downloader") - {"model-downloader"} <= {name.replace("_", "-") for name in held}
    assert pins("model-downloader.lock") <= pins("model-downloader-test.lock")


def test_images_hold_what_was_tested() -> None:
    """Their locks are part of the one that the tests run with, build backend included."""
    tested = pins("dev.lock")
    for lock in ("operator.lock", "autoscaler.lock", "build.lock"):
        assert pins(lock) < tested
    assert set(PROJECT["build-system"]["requires"]) <= pins("build.lock")
    assert not any(pin.startswith("kopf==") for pin in pins("autoscaler.lock"))


def test_the_documentation_renames_the_images_of_the_base() -> None:
    """The kustomization that the documentation shows names exactly the images in use, with their tags."""
    text = (ROOT / "docs" / "install.md").read_text()
    shown = yaml.safe_load(text.split("```yaml\n# images\n")[1].split("```")[0])
    renamed = {f"{entry['name']}:{entry['newTag']}" for entry in shown["images"]}
    assert renamed == {container(program)["image"] for program in PROGRAMS}
    for entry in shown["images"]:
        program = entry["name"].rpartition("/")[2]
        assert f"--target {program} --tag {entry['newName']}:{entry['newTag']} ." in text

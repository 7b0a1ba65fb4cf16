"""Python environments of the local cluster's own, built once from a lock file and kept in the cache."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from localcluster.lock import exclusive
from localcluster.paths import REQUIREMENTS
from localcluster.progress import Progress
from localcluster.versions import Version, version_of

MODEL_SERVER_LOCK = REQUIREMENTS / "model-server.lock"
MODEL_SERVER_PYTHONS = ((3, 11), (3, 12))
"""Interpreters that the model server's packages support."""


class EnvironmentBuildError(Exception):
    """An environment could not be built; the message holds the installer's last words."""


def environment_dir(cache: Path, name: str, lock: Path) -> Path:
    """Where the environment for exactly this lock file lives."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    return cache / "environments" / f"{name}-{digest}"


def ensure_environment(cache: Path, name: str, lock: Path, python: Path, progress: Progress) -> Path:
    """Its directory, complete: built now if it is not there, resumed if a build was interrupted."""
    directory = environment_dir(cache, name, lock)
    complete = directory / "complete"
    if complete.exists():
        return directory
    with exclusive(
        directory.with_suffix(".lock"), lambda: progress.say(f"{name}: another process installs it")
    ):
        if complete.exists():
            return directory
        progress.say(f"{name}: installing into {directory}")
        interpreter = directory / "bin" / "python"
        if not interpreter.exists():
            _run([str(python), "-m", "venv", "--clear", str(directory)], name)
        uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
        installer = [uv, "pip", "install", "--quiet", "--python", str(interpreter)] if uv else None
        installer = installer or [str(interpreter), "-m", "pip", "install", "--quiet"]
        _run([*installer, "--no-deps", "--require-hashes", "-r", str(lock)], name)
        complete.touch()
        progress.say(f"{name}: installed")
    return directory


def _run(command: list[str], name: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        last_lines = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        raise EnvironmentBuildError(f"{name}: `{' '.join(command[:4])} …` failed:\n{last_lines}")


def _model_server_interpreter() -> Path:
    for candidate in (
        sys.executable,
        "python3.11",
        "python3.12",
        "/usr/bin/python3.11",
        "/usr/bin/python3.12",
    ):
        found = shutil.which(candidate)
        version = version_of(Path(found)) if found else None
        if found and isinstance(version, Version) and (version.major, version.minor) in MODEL_SERVER_PYTHONS:
            return Path(found)
    raise EnvironmentBuildError(
        "the model server needs Python 3.11 or 3.12; install one so that `python3.11` is on PATH"
    )


def model_server_python(cache: Path) -> Path:
    """The interpreter of the model server's environment, built or not."""
    return environment_dir(cache, "model-server", MODEL_SERVER_LOCK) / "bin" / "python"


def ensure_model_server(cache: Path, progress: Progress) -> Path:
    """Build the model server's environment if need be; its interpreter."""
    if not (model_server_python(cache).parent.parent / "complete").exists():
        python = _model_server_interpreter()
        ensure_environment(cache, "model-server", MODEL_SERVER_LOCK, python, progress)
    return model_server_python(cache)

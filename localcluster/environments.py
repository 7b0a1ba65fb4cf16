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
MODEL_DOWNLOADER_LOCK = REQUIREMENTS / "model-downloader.lock"
MODEL_SERVER_PYTHONS = ((3, 11), (3, 12))
"""Interpreters that the model server's packages support."""
_UV_PYTHON = "3.12"


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
        uv = _uv()
        installer = [uv, "pip", "install", "--quiet", "--python", str(interpreter)] if uv else None
        installer = installer or [str(interpreter), "-m", "pip", "install", "--quiet"]
        _run([*installer, "--no-deps", "--require-hashes", "-r", str(lock)], name)
        complete.touch()
        progress.say(f"{name}: installed")
    return directory


def _uv() -> str | None:
    return shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))


def _run(command: list[str], name: str) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        last_lines = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        raise EnvironmentBuildError(f"{name}: `{' '.join(command[:4])} …` failed:\n{last_lines}")
    return done.stdout


def model_server_python(cache: Path) -> Path:
    """The interpreter of the model server's environment, built or not."""
    return environment_dir(cache, "model-server", MODEL_SERVER_LOCK) / "bin" / "python"


def model_server_base(cache: Path, progress: Progress) -> Path | None:
    """The interpreter to build the model server's environment with; None if that is built.

    Taken from the machine, else supplied by uv, which may download it. Raises EnvironmentBuildError with the remedy.
    """
    if (model_server_python(cache).parent.parent / "complete").exists():
        return None
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
    return _python_of_uv(progress)


def _python_of_uv(progress: Progress) -> Path:
    cause = "there is no uv to supply one"
    if uv := _uv():
        progress.say(f"model-server: this machine has no Python 3.11 or 3.12; uv installs {_UV_PYTHON}")
        try:
            _run([uv, "python", "install", "--no-progress", "--no-bin", _UV_PYTHON], "model-server")
            return Path(_run([uv, "python", "find", "--managed-python", _UV_PYTHON], "model-server").strip())
        except EnvironmentBuildError as error:
            cause = f"uv cannot supply one\n{error}"
    raise EnvironmentBuildError(
        "the model server needs Python 3.11 or 3.12. Install one so that `python3.11` or `python3.12` is on PATH, "
        f"beside the Python in use, and run the same command again: {cause}"
    )


def ensure_model_server(cache: Path, base: Path | None, progress: Progress) -> None:
    """Build the model server's environment with `base`, as `model_server_base` found it."""
    if base is not None:
        ensure_environment(cache, "model-server", MODEL_SERVER_LOCK, base, progress)


def model_downloader_python(cache: Path) -> Path:
    """The interpreter of the model downloader's environment, built or not."""
    return environment_dir(cache, "model-downloader", MODEL_DOWNLOADER_LOCK) / "bin" / "python"


def ensure_model_downloader(cache: Path, progress: Progress) -> None:
    """Build the model downloader's environment. Raises EnvironmentBuildError."""
    ensure_environment(cache, "model-downloader", MODEL_DOWNLOADER_LOCK, Path(sys.executable), progress)
